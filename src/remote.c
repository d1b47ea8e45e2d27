// SPDX-License-Identifier: BSD-3-Clause
/*
 * Finding a key in somebody's memory.
 *
 * A slot has two copies, and the owner overwrites the older one. So:
 *
 * - both verify: the one with the higher stamp was the newest at some moment of
 *   this read. (What was newest when the read began stays whole in its copy
 *   until the owner has published the next version in the other one.)
 * - one verifies: it is the newest, unless the owner published the other one and
 *   came round to this read's second copy meanwhile. If the same copy with the
 *   same stamp is seen again by a later attempt, with the other one still torn in
 *   between, it was the newest at that moment. Remote loads of one attempt come
 *   in no order, hence STEADY attempts: the middle one lies between the others.
 *   This is also how an entry is read whose owner died, or was stopped, while
 *   writing it.
 * - none verifies: look again.
 *
 * A key is absent if, in one attempt, every slot where it could be was seen to
 * hold something else: the two buckets, and the overflow chain to its end. A
 * chain's slot must hold, or have held last, a key with the same home; else it
 * left the chain under our feet, and the attempt is void. Slots join a chain at
 * its front only, so an old link into it still leads to all of its rest.
 */
#include "remote.h"

#include "clock.h"
#include "extent.h"
#include "shared.h"

#include <errno.h>
#include <sched.h>

#define STEADY 3

/* So often is something read that will not verify before it is called damaged. */
#define ATTEMPTS 2000

/* What one attempt found out. */
enum finding {
	FOUND,
	ABSENT,
	UNSURE, /* torn or changing: look again */
	BROKEN, /* verified, and yet not what an owner writes: hostile, or a bug */
};

/* One copy verifies, the other is torn; the same again and again is an answer, see above. */
struct doubt {
	uint32_t slot;
	uint64_t stamp;
	unsigned int times;
	unsigned int attempt; /* the last one that saw it */
};

/* More doubtful slots at a time than writers can leave behind in a key's reach. */
#define DOUBTS 16

struct attempt {
	const struct remote_table *table;
	const struct entry_key *key; /* what is looked for; NULL: all with @home */
	uint64_t home;
	unsigned int number;
	unsigned int doubts;
	struct doubt doubt[DOUBTS];
};

static const struct layout_bucket *bucket_at(const struct remote_table *table, uint64_t bucket)
{
	return (const struct layout_bucket *)(table->buckets +
					      geometry_bucket_offset(table->geometry, bucket));
}

static const struct layout_copy *copy_at(const struct remote_table *table, uint32_t slot,
					 unsigned int copy)
{
	const unsigned char *bucket = (const unsigned char *)bucket_at(table, slot / LAYOUT_SLOTS);

	return (const struct layout_copy *)(bucket + geometry_copy_offset(table->geometry,
									  slot % LAYOUT_SLOTS,
									  copy));
}

/* One copy verifies, the other is torn: does that stand? */
static int steady(struct attempt *attempt, uint32_t slot, uint64_t stamp)
{
	struct doubt *doubt = attempt->doubt;
	struct doubt *end = doubt + attempt->doubts;

	while (doubt < end && doubt->slot != slot)
		doubt++;
	if (doubt == end) {
		if (attempt->doubts == DOUBTS)
			return 0;
		attempt->doubts++;
		*doubt = (struct doubt){ .slot = slot };
	}
	if (doubt->attempt == attempt->number && doubt->stamp == stamp)
		return doubt->times >= STEADY;
	if (doubt->stamp != stamp || doubt->attempt != attempt->number - 1)
		doubt->times = 0;
	doubt->stamp = stamp;
	doubt->attempt = attempt->number;
	return ++doubt->times >= STEADY;
}

/* The newest version in a slot. ENTRY_TORN: unsure. */
static enum entry_state load_slot(struct attempt *attempt, uint32_t slot, struct entry_copy *out)
{
	const struct remote_table *table = attempt->table;
	struct entry_copy other;
	enum entry_state first =
		entry_load(table->geometry, table->salt, slot, copy_at(table, slot, 0), out);
	enum entry_state second;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	second = entry_load(table->geometry, table->salt, slot, copy_at(table, slot, 1), &other);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (first == ENTRY_TORN && second == ENTRY_TORN)
		return ENTRY_TORN;
	if (second == ENTRY_TORN)
		return steady(attempt, slot, first == ENTRY_EMPTY ? 0 : out->stamp) ? first
										    : ENTRY_TORN;
	if (first == ENTRY_TORN) {
		if (!steady(attempt, slot, second == ENTRY_EMPTY ? 0 : other.stamp))
			return ENTRY_TORN;
	} else if (second == ENTRY_EMPTY || (first != ENTRY_EMPTY && out->stamp > other.stamp)) {
		return first;
	}
	*out = other;
	return second;
}

static int is_key(const struct geometry *geometry, const struct entry_key *key,
		  const struct entry_copy *copy)
{
	return META_KEY_LENGTH(copy->meta) == key->length &&
	       !memcmp(copy->key, key->words, geometry->key_room);
}

/* A verified value that an owner of this library would not have written. */
static int odd_length(const struct geometry *geometry, size_t length)
{
	return geometry->type == ESTATE_OPAQUE ? length > geometry->value_size
					       : length != geometry->value_size;
}

/* Copy the value of a verified, live copy out. */
static enum finding take_value(const struct remote_table *table, const struct entry_copy *copy,
			       struct remote_value *value)
{
	const struct geometry *geometry = table->geometry;
	size_t length = META_INLINE_LENGTH(copy->meta);
	struct layout_extent extent;

	if (!geometry->blocks) {
		if (odd_length(geometry, length))
			return BROKEN;
		memcpy(value->data, copy->value, length);
	} else {
		if (length != sizeof(extent))
			return BROKEN;
		memcpy(&extent, copy->value, sizeof(extent));
		if (extent.block >= geometry->blocks || odd_length(geometry, extent.length))
			return BROKEN;
		/* Freed and written again meanwhile, then: the slot says more now. */
		if (extent_load(&extent, table->salt,
				table->buckets + geometry_block_offset(geometry, extent.block),
				value->data))
			return UNSURE;
		length = extent.length;
	}
	value->length = length;
	value->stamp = copy->stamp;
	return FOUND;
}

/* Look at one slot for the key. ABSENT: it is not there. */
static enum finding try_slot(struct attempt *attempt, uint32_t slot, struct remote_value *value)
{
	struct entry_copy copy;
	enum entry_state state = load_slot(attempt, slot, &copy);

	if (state == ENTRY_TORN)
		return UNSURE;
	if (state != ENTRY_LIVE || !is_key(attempt->table->geometry, attempt->key, &copy))
		return ABSENT;
	return take_value(attempt->table, &copy, value);
}

/*
 * The slot after a link of the home's chain. FOUND: *@slot; ABSENT: the end.
 * A link that would not verify is changing, or points nowhere: unsure.
 */
static enum finding follow(const struct remote_table *table, const uint64_t *link, uint64_t place,
			   uint32_t *slot)
{
	uint64_t word = __atomic_load_n(link, __ATOMIC_ACQUIRE);
	uint64_t target;

	if (word == LINK_NONE)
		return ABSENT;
	target = link_target(table->geometry, table->salt, place, word);
	if (target == LINK_BAD)
		return UNSURE;
	*slot = (uint32_t)target;
	return FOUND;
}

static enum finding chain_first(const struct attempt *attempt, uint32_t *slot)
{
	return follow(attempt->table, &bucket_at(attempt->table, attempt->home)->head,
		      link_place_head(attempt->home), slot);
}

static enum finding chain_next(const struct attempt *attempt, uint32_t *slot)
{
	const struct layout_bucket *bucket = bucket_at(attempt->table, *slot / LAYOUT_SLOTS);

	return follow(attempt->table, &bucket->next[*slot % LAYOUT_SLOTS], link_place_next(*slot),
		      slot);
}

static int in_chain(const struct attempt *attempt, const struct entry_copy *copy)
{
	const struct geometry *geometry = attempt->table->geometry;
	uint64_t hash = entry_hash(geometry, copy->key, META_KEY_LENGTH(copy->meta));

	return geometry_home(geometry, hash) == attempt->home;
}

static enum finding try_chain(struct attempt *attempt, uint64_t deadline_us,
			      struct remote_value *value)
{
	uint32_t slot = 0;
	enum finding finding = chain_first(attempt, &slot);

	for (uint64_t steps = 0; finding == FOUND; steps++, finding = chain_next(attempt, &slot)) {
		struct entry_copy copy;
		enum entry_state state = load_slot(attempt, slot, &copy);

		if (state == ENTRY_TORN || state == ENTRY_EMPTY || !in_chain(attempt, &copy))
			return UNSURE;
		if (state == ENTRY_LIVE && is_key(attempt->table->geometry, attempt->key, &copy))
			return take_value(attempt->table, &copy, value);
		/* A chain cannot have more slots than there are; a circle can be long, though. */
		if (steps >= attempt->table->geometry->slots)
			return BROKEN;
		if (steps % 64 == 63 && clock_monotonic_us() > deadline_us)
			return UNSURE;
	}
	return finding;
}

/* Whether either copy of a slot has the key's words now: where to look first. */
static int hints_at(const struct attempt *attempt, uint32_t slot)
{
	const struct remote_table *table = attempt->table;

	return entry_has_key(attempt->key, copy_at(table, slot, 0),
			     table->geometry->key_room / 8) ||
	       entry_has_key(attempt->key, copy_at(table, slot, 1), table->geometry->key_room / 8);
}

static enum finding try_key(struct attempt *attempt, uint64_t deadline_us,
			    struct remote_value *value)
{
	uint32_t first = (uint32_t)(attempt->home * LAYOUT_SLOTS);
	enum finding finding;

	for (uint32_t slot = first; slot < first + 2 * LAYOUT_SLOTS; slot++) {
		if (!hints_at(attempt, slot))
			continue;
		finding = try_slot(attempt, slot, value);
		if (finding != ABSENT)
			return finding;
	}
	/* Nowhere, it seems; to say so takes a verified look at each slot. */
	for (uint32_t slot = first; slot < first + 2 * LAYOUT_SLOTS; slot++) {
		finding = try_slot(attempt, slot, value);
		if (finding != ABSENT)
			return finding;
	}
	return try_chain(attempt, deadline_us, value);
}

/* Between two attempts: whether to make another one. 0, or the error to give up with. */
static int again(unsigned int attempts, enum finding finding, uint64_t deadline_us)
{
	if (finding == BROKEN || attempts >= ATTEMPTS)
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
	struct attempt attempt;

	attempt.table = table;
	attempt.key = key;
	attempt.home = geometry_home(table->geometry, key->hash);
	attempt.doubts = 0;

	for (unsigned int attempts = 1;; attempts++) {
		enum finding finding;
		int error;

		attempt.number = attempts;
		finding = try_key(&attempt, deadline_us, value);

		if (finding == FOUND)
			return 0;
		if (finding == ABSENT)
			return -ENOENT;
		error = again(attempts, finding, deadline_us);
		if (error)
			return error;
	}
}

/* Keep the key of a live copy. */
static void keep(const struct entry_copy *copy, const struct geometry *geometry,
		 struct remote_key *keys, unsigned int max, unsigned int *count)
{
	if (*count < max) {
		keys[*count].length = META_KEY_LENGTH(copy->meta);
		memcpy(keys[*count].words, copy->key, geometry->key_room);
	}
	++*count;
}

static enum finding try_home(struct attempt *attempt, uint64_t deadline_us, struct remote_key *keys,
			     unsigned int max, unsigned int *count)
{
	const struct geometry *geometry = attempt->table->geometry;
	uint32_t first = (uint32_t)(attempt->home * LAYOUT_SLOTS);
	uint32_t slot;
	struct entry_copy copy;
	enum entry_state state;
	enum finding finding;

	*count = 0;
	for (slot = first; slot < first + 2 * LAYOUT_SLOTS; slot++) {
		state = load_slot(attempt, slot, &copy);
		if (state == ENTRY_TORN)
			return UNSURE;
		if (state == ENTRY_LIVE && in_chain(attempt, &copy))
			keep(&copy, geometry, keys, max, count);
	}
	finding = chain_first(attempt, &slot);
	for (uint64_t steps = 0; finding == FOUND; steps++, finding = chain_next(attempt, &slot)) {
		state = load_slot(attempt, slot, &copy);
		if (state == ENTRY_TORN || state == ENTRY_EMPTY || !in_chain(attempt, &copy))
			return UNSURE;
		/* A chain's slot may be in the two buckets, where it was counted. */
		if (state == ENTRY_LIVE && slot - first >= 2 * LAYOUT_SLOTS)
			keep(&copy, geometry, keys, max, count);
		if (steps >= geometry->slots)
			return BROKEN;
		if (steps % 64 == 63 && clock_monotonic_us() > deadline_us)
			return UNSURE;
	}
	return finding;
}

int remote_home(const struct remote_table *table, uint64_t home, uint64_t deadline_us,
		struct remote_key *keys, unsigned int max)
{
	struct attempt attempt;

	attempt.table = table;
	attempt.key = NULL;
	attempt.home = home;
	attempt.doubts = 0;

	for (unsigned int attempts = 1;; attempts++) {
		unsigned int count;
		enum finding finding;
		int error;

		attempt.number = attempts;
		finding = try_home(&attempt, deadline_us, keys, max, &count);

		if (finding == ABSENT)
			return (int)count;
		error = again(attempts, finding, deadline_us);
		if (error)
			return error;
	}
}
