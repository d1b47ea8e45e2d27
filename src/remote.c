// SPDX-License-Identifier: BSD-3-Clause
/* Finding a key in memory that is mapped; what a slot proves is judge.h's. */
#include "remote.h"

#include "clock.h"
#include "extent.h"
#include "shared.h"

#include <errno.h>
#include <sched.h>

static const struct layout_bucket *bucket_at(const struct remote_table *table, uint64_t bucket)
{
	return (const struct layout_bucket *)(table->buckets +
					      geometry_bucket_offset(table->geometry, bucket));
}

/* The first of a slot's copies. */
static const unsigned char *slot_at(const struct remote_table *table, uint32_t slot)
{
	return (const unsigned char *)bucket_at(table, slot / LAYOUT_SLOTS) +
	       geometry_copy_offset(table->geometry, slot % LAYOUT_SLOTS, 0);
}

static enum entry_state load_slot(const struct remote_table *table, struct attempt *attempt,
				  uint32_t slot, struct entry_copy *out)
{
	return judge_slot(attempt, slot, slot_at(table, slot), out);
}

/* Copy the value of a verified, live copy out. */
static enum finding take_value(const struct remote_table *table, const struct entry_copy *copy,
			       struct remote_value *value)
{
	const struct geometry *geometry = table->geometry;
	struct layout_extent extent;
	size_t length;

	switch (judge_value(geometry, copy, &length, &extent)) {
	case FOUND:
		memcpy(value->data, copy->value, length);
		break;
	case ABSENT:
		/* Freed and written again meanwhile, then: the slot says more now. */
		if (extent_load(&extent, table->salt,
				table->buckets + geometry_block_offset(geometry, extent.block),
				value->data))
			return UNSURE;
		break;
	default:
		return BROKEN;
	}
	value->length = length;
	value->stamp = copy->stamp;
	return FOUND;
}

/* Look at one slot for the key. ABSENT: it is not there. */
static enum finding try_slot(const struct remote_table *table, struct attempt *attempt,
			     uint32_t slot, struct remote_value *value)
{
	struct entry_copy copy;
	enum entry_state state = load_slot(table, attempt, slot, &copy);

	if (state == ENTRY_TORN)
		return UNSURE;
	if (state != ENTRY_LIVE || !judge_is_key(attempt, &copy))
		return ABSENT;
	value->slot = slot;
	return take_value(table, &copy, value);
}

static enum finding chain_first(const struct remote_table *table, const struct attempt *attempt,
				uint32_t *slot)
{
	const uint64_t *link = &bucket_at(table, attempt->home)->head;

	return judge_link(attempt, __atomic_load_n(link, __ATOMIC_ACQUIRE),
			  link_place_head(attempt->home), slot);
}

static enum finding chain_next(const struct remote_table *table, const struct attempt *attempt,
			       uint32_t *slot)
{
	const uint64_t *link = &bucket_at(table, *slot / LAYOUT_SLOTS)->next[*slot % LAYOUT_SLOTS];

	return judge_link(attempt, __atomic_load_n(link, __ATOMIC_ACQUIRE), link_place_next(*slot),
			  slot);
}

static enum finding try_chain(const struct remote_table *table, struct attempt *attempt,
			      uint64_t deadline_us, struct remote_value *value)
{
	uint32_t slot = 0;
	enum finding finding = chain_first(table, attempt, &slot);

	for (uint64_t steps = 0; finding == FOUND;
	     steps++, finding = chain_next(table, attempt, &slot)) {
		struct entry_copy copy;
		enum entry_state state = load_slot(table, attempt, slot, &copy);

		if (state == ENTRY_TORN || state == ENTRY_EMPTY || !judge_in_chain(attempt, &copy))
			return UNSURE;
		if (state == ENTRY_LIVE && judge_is_key(attempt, &copy)) {
			value->slot = slot;
			return take_value(table, &copy, value);
		}
		/* A chain cannot have more slots than there are; a circle can be long, though. */
		if (steps >= attempt->geometry->slots)
			return BROKEN;
		if (steps % 64 == 63 && clock_monotonic_us() > deadline_us)
			return UNSURE;
	}
	return finding;
}

static enum finding try_key(const struct remote_table *table, struct attempt *attempt,
			    uint64_t deadline_us, struct remote_value *value)
{
	uint32_t first = (uint32_t)(attempt->home * LAYOUT_SLOTS);
	enum finding finding;

	for (uint32_t slot = first; slot < first + 2 * LAYOUT_SLOTS; slot++) {
		if (!judge_hints(attempt, slot_at(table, slot)))
			continue;
		finding = try_slot(table, attempt, slot, value);
		if (finding != ABSENT)
			return finding;
	}
	/* Nowhere, it seems; to say so takes a verified look at each slot. */
	for (uint32_t slot = first; slot < first + 2 * LAYOUT_SLOTS; slot++) {
		finding = try_slot(table, attempt, slot, value);
		if (finding != ABSENT)
			return finding;
	}
	return try_chain(table, attempt, deadline_us, value);
}

/* Between two attempts: whether to make another one. 0, or the error to give up with. */
static int again(unsigned int attempts, enum finding finding, uint64_t deadline_us)
{
	if (finding == BROKEN || attempts >= JUDGE_ATTEMPTS)
		return -EBADMSG;
	if (attempts % 8 == 7) {
		if (clock_monotonic_us() >= deadline_us)
			return -ETIMEDOUT;
		/* The writer may be waiting for this very core. */
		sched_yield();
	} else {
		shared_pause();
	}
	return 0;
}

int remote_get(const struct remote_table *table, const struct entry_key *key, uint64_t deadline_us,
	       struct remote_value *value)
{
	uint64_t home = geometry_home(table->geometry, key->hash);
	uint32_t first = (uint32_t)(home * LAYOUT_SLOTS);
	struct attempt attempt;
	unsigned int seems = ENTRY_KEY_WORDS(table->geometry, judge_seek, table->geometry, key,
					     slot_at(table, first));

	if (likely(seems < 2 * LAYOUT_SLOTS) &&
	    remote_glance(table, key, first + seems, slot_at(table, first + seems), value))
		return 0;
	judge_begin(&attempt, table->geometry, table->salt, key, home);
	for (unsigned int attempts = 1;; attempts++) {
		enum finding finding;
		int error;

		attempt.number = attempts;
		finding = try_key(table, &attempt, deadline_us, value);

		if (finding == FOUND)
			return 0;
		if (finding == ABSENT)
			return -ENOENT;
		error = again(attempts, finding, deadline_us);
		if (error)
			return error;
	}
}

static const unsigned char *mapped_bucket(void *arg, uint64_t number, unsigned int attempt,
					  int *error)
{
	(void)attempt;
	(void)error;
	return (const unsigned char *)bucket_at(arg, number);
}

struct remote_source remote_source(const struct remote_table *table)
{
	/* It is not written through: the source's argument is for anything. */
	return (struct remote_source){ table->geometry, table->salt, mapped_bucket,
				       (void *)(uintptr_t)table };
}

/* Entries of one home, being collected. */
struct harvest {
	const struct remote_source *source;
	struct attempt attempt;
	uint64_t deadline_us;
	struct entry_copy *found;
	unsigned int max;
	unsigned int count;
	int error; /* of the source */
};

static const unsigned char *source_bucket(struct harvest *harvest, uint64_t number)
{
	const struct remote_source *source = harvest->source;

	return source->bucket(source->arg, number, harvest->attempt.number, &harvest->error);
}

static void keep(struct harvest *harvest, const struct entry_copy *copy)
{
	const struct geometry *geometry = harvest->source->geometry;

	if (harvest->count < harvest->max) {
		struct entry_copy *kept = &harvest->found[harvest->count];

		kept->stamp = copy->stamp;
		kept->meta = copy->meta;
		memcpy(kept->key, copy->key, geometry->key_room);
		memcpy(kept->value, copy->value, geometry->value_room);
	}
	harvest->count++;
}

/* The entries in one of the two buckets. ABSENT: that was all. */
static enum finding harvest_bucket(struct harvest *harvest, uint64_t number)
{
	const unsigned char *bucket = source_bucket(harvest, number);

	if (!bucket)
		return BROKEN;
	for (unsigned int i = 0; i < LAYOUT_SLOTS; i++) {
		struct entry_copy copy;
		enum entry_state state = judge_slot(
			&harvest->attempt, (uint32_t)number * LAYOUT_SLOTS + i,
			bucket + geometry_copy_offset(harvest->source->geometry, i, 0), &copy);

		if (state == ENTRY_TORN)
			return UNSURE;
		if (state == ENTRY_LIVE && judge_in_chain(&harvest->attempt, &copy))
			keep(harvest, &copy);
	}
	return ABSENT;
}

/* The entries of the chain, but for those in the two buckets. ABSENT: that was all. */
static enum finding harvest_chain(struct harvest *harvest)
{
	const struct geometry *geometry = harvest->source->geometry;
	struct attempt *attempt = &harvest->attempt;
	uint64_t place = link_place_head(attempt->home);
	const unsigned char *bucket = source_bucket(harvest, attempt->home);
	const uint64_t *link;

	if (!bucket)
		return BROKEN;
	link = &((const struct layout_bucket *)bucket)->head;
	for (uint64_t steps = 0;; steps++) {
		struct entry_copy copy;
		enum entry_state state;
		uint32_t slot;
		enum finding finding =
			judge_link(attempt, __atomic_load_n(link, __ATOMIC_ACQUIRE), place, &slot);

		if (finding != FOUND)
			return finding;
		bucket = source_bucket(harvest, slot / LAYOUT_SLOTS);
		if (!bucket)
			return BROKEN;
		state = judge_slot(attempt, slot,
				   bucket + geometry_copy_offset(geometry, slot % LAYOUT_SLOTS, 0),
				   &copy);
		if (state == ENTRY_TORN || state == ENTRY_EMPTY || !judge_in_chain(attempt, &copy))
			return UNSURE;
		if (state == ENTRY_LIVE && slot / LAYOUT_SLOTS != attempt->home &&
		    slot / LAYOUT_SLOTS != attempt->home + 1)
			keep(harvest, &copy);
		if (steps >= geometry->slots)
			return BROKEN;
		if (steps % 64 == 63 && clock_monotonic_us() > harvest->deadline_us)
			return UNSURE;
		link = &((const struct layout_bucket *)bucket)->next[slot % LAYOUT_SLOTS];
		place = link_place_next(slot);
	}
}

int remote_home(const struct remote_source *source, uint64_t home, uint64_t deadline_us,
		struct entry_copy *found, unsigned int max)
{
	struct harvest harvest;

	harvest.source = source;
	harvest.deadline_us = deadline_us;
	harvest.found = found;
	harvest.max = max;
	harvest.error = 0;
	judge_begin(&harvest.attempt, source->geometry, source->salt, NULL, home);
	for (unsigned int attempts = 1;; attempts++) {
		enum finding finding;
		int error;

		harvest.attempt.number = attempts;
		harvest.count = 0;
		finding = harvest_bucket(&harvest, home);
		if (finding == ABSENT)
			finding = harvest_bucket(&harvest, home + 1);
		if (finding == ABSENT)
			finding = harvest_chain(&harvest);
		if (finding == ABSENT)
			return (int)harvest.count;
		error = harvest.error ? harvest.error : again(attempts, finding, deadline_us);
		if (error)
			return error;
	}
}
