// SPDX-License-Identifier: BSD-3-Clause
#include "recovery.h"

#include "error.h"
#include "judge.h"
#include "mapping.h"
#include "parallel.h"
#include "slot.h"
#include "stored.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_AHEAD 2
#define BUCKETS_MIN 4096 /* per thread: for less, starting one is not worth it */

/* A slot whose key found its two buckets full. */
struct far_slot {
	uint32_t slot;
	uint64_t hash;
};

/* One thread's part of a table. */
struct part {
	struct mirror *mirror;
	int crashed;
	uint64_t *used; /* a bit for each block of all parts */
	unsigned char *taken; /* of the region: up to there it has memory */
	uint64_t first; /* bucket */
	uint64_t end;

	uint64_t entries;
	uint64_t bytes;
	uint64_t newest; /* stamp */
	uint64_t damaged; /* entries */
	struct far_slot *far;
	size_t far_count;
	size_t far_room;
	struct layout_copy **torn;
	size_t torn_count;
	size_t torn_room;
	int error;
};

/* A live entry's value, if it is in an extent. 0, or -EBADMSG. */
static int take_extent(struct part *part, uint32_t slot, const struct layout_copy *stored)
{
	struct mirror *mirror = part->mirror;
	const struct estate_table *table = mirror->table;
	struct layout_extent extent;
	struct entry_copy copy;
	size_t length;

	if (!table->geometry.blocks)
		return judge_odd_length(&table->geometry, META_INLINE_LENGTH(stored->meta))
			       ? -EBADMSG
			       : 0;
	if (entry_load(&table->geometry, table->salt, slot, stored, &copy) != ENTRY_LIVE ||
	    judge_value(&table->geometry, &copy, &length, &extent) != ABSENT)
		return -EBADMSG;
	if (stored_use_block(part->used, extent.block) ||
	    extent_load(&extent, table->salt, extent_block(&mirror->blocks, extent.block),
			extent_block(&table->extents, extent.block)))
		return -EBADMSG;
	mirror->block[slot] = (uint32_t)extent.block;
	part->bytes += extent.length;
	return 0;
}

static int keep_far(struct part *part, uint32_t slot, uint64_t hash)
{
	if (part->far_count == part->far_room) {
		size_t room = part->far_room ? part->far_room * 2 : 256;
		struct far_slot *larger = realloc(part->far, room * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		part->far = larger;
		part->far_room = room;
	}
	part->far[part->far_count++] = (struct far_slot){ slot, hash };
	return 0;
}

/* The copy that is not the newest, if a crash came while it was written. */
static int keep_torn(struct part *part, uint32_t slot, struct layout_copy *copy)
{
	const struct estate_table *table = part->mirror->table;
	struct entry_copy ignored;

	if (entry_load(&table->geometry, table->salt, slot, copy, &ignored) != ENTRY_TORN)
		return 0;
	if (part->torn_count == part->torn_room) {
		size_t room = part->torn_room ? part->torn_room * 2 : 64;
		struct layout_copy **larger = reallocarray(part->torn, room, sizeof(void *));

		if (!larger)
			return -ENOMEM;
		part->torn = larger;
		part->torn_room = room;
	}
	part->torn[part->torn_count++] = copy;
	return 0;
}

/* Few: a call of memcpy() would take longer. */
static inline void copy_words(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to[i] = from[i];
}

static void take_slot(struct part *part, uint64_t bucket, uint32_t slot)
{
	struct mirror *mirror = part->mirror;
	struct estate_table *table = mirror->table;
	const struct geometry *geometry = &table->geometry;
	struct layout_copy *copies = mirror_copy(mirror, slot, 0);
	const struct layout_copy *copy;
	unsigned int which;
	enum entry_state state = stored_newest(geometry, table->salt, slot, copies, &which);
	uint64_t hash;
	uint64_t home;

	if (state == ENTRY_TORN) {
		part->damaged++;
		return;
	}
	copy = mirror_copy(mirror, slot, which);
	mirror->current[slot] = (uint8_t)which;
	if (part->crashed && keep_torn(part, slot, mirror_copy(mirror, slot, !which)))
		part->error = -ENOMEM;
	/* The other one was never drained, if it is anything: it is written first. */
	if (state == ENTRY_EMPTY)
		return;
	if (copy->stamp > part->newest)
		part->newest = copy->stamp;
	if (state == ENTRY_DELETED) {
		/* Its stamp goes on, and tells what had become of the slot. */
		memcpy(table_copy(table, slot, which), copy,
		       sizeof(struct layout_copy) + geometry->key_room);
		tag_store(table->tags + slot, which ? TAG_CURRENT : 0);
		return;
	}
	if (take_extent(part, slot, copy)) {
		part->damaged++;
		return;
	}
	hash = entry_hash(geometry, copy + 1, META_KEY_LENGTH(copy->meta));
	home = geometry_home(geometry, hash);
	copy_words((uint64_t *)table_copy(table, slot, which), (const uint64_t *)copy,
		   stored_bytes(geometry, copy->meta) / 8);
	tag_store(table->tags + slot,
		  (uint16_t)(sidecar_fingerprint(hash) | (which ? TAG_CURRENT : 0)));
	part->entries++;
	if (home != bucket && home + 1 != bucket && keep_far(part, slot, hash))
		part->error = -ENOMEM;
}

/* What is read next, and where it goes: lines are left out, so the CPU does not see that they follow each other. */
static void fetch_ahead(const struct part *part, uint64_t bucket)
{
	const struct estate_table *table = part->mirror->table;
	uint32_t slot = (uint32_t)(bucket * LAYOUT_SLOTS);
	const char *from = (const char *)mirror_copy(part->mirror, slot, 0);
	const char *to = (const char *)table_copy(table, slot, 0);

	if (bucket >= part->end)
		return;
	for (size_t at = 0; at < format_copy_offset(&table->geometry, LAYOUT_SLOTS, 0); at += 64)
		__builtin_prefetch(from + at);
	for (size_t at = 0; at < table->geometry.bucket_size - sizeof(struct layout_bucket);
	     at += 64)
		__builtin_prefetch(to + at, 1);
}

static unsigned char *bucket_end(const struct part *part, uint64_t bucket)
{
	const struct estate_table *table = part->mirror->table;

	return (unsigned char *)table_bucket(table, bucket) + table->geometry.bucket_size;
}

/* The region's memory, up to the end of @bucket, if that is ours. */
static int take_memory(struct part *part, uint64_t bucket)
{
	unsigned char *limit = bucket_end(part, part->end - 1);
	const unsigned char *until = bucket < part->end ? bucket_end(part, bucket) : limit;

	return mapping_populate_to(&part->taken, until, limit);
}

static void *run_part(void *arg)
{
	struct part *part = arg;

	part->taken = (unsigned char *)table_bucket(part->mirror->table, part->first);
	for (uint64_t bucket = part->first; bucket < part->end && !part->error; bucket++) {
		part->error = take_memory(part, bucket + BUCKETS_AHEAD + 1);
		if (part->error)
			break;
		fetch_ahead(part, bucket + BUCKETS_AHEAD);
		for (unsigned int i = 0; i < LAYOUT_SLOTS; i++)
			take_slot(part, bucket, (uint32_t)(bucket * LAYOUT_SLOTS) + i);
	}
	part->bytes += format_copy_offset(&part->mirror->table->geometry,
					  (part->end - part->first) * LAYOUT_SLOTS, 0);
	return NULL;
}

static const struct layout_copy *shown(const struct estate_table *table, uint32_t slot)
{
	const struct slot at = slot_at(table, slot);

	return slot_current(table, &at);
}

/*
 * The older of two slots with one key goes: a crash came between two of a
 * flush's stores, one that deletes the key here and one that has it there. In the
 * pool, too, or it would come back when the other one has been deleted.
 */
static int drop_older(struct mirror *mirror, uint32_t a, uint32_t b)
{
	struct estate_table *table = mirror->table;
	uint32_t loser = shown(table, a)->stamp < shown(table, b)->stamp ? a : b;
	const struct layout_copy *copy = shown(table, loser);
	uint64_t words[SLOT_WORDS_MAX];
	uint64_t key[ESTATE_KEY_MAX / 8];
	uint32_t length = META_KEY_LENGTH(copy->meta);
	uint64_t crc = table->salt;

	memcpy(key, copy + 1, table->geometry.key_room);
	for (uint32_t i = 0; i < table->geometry.key_room / 8; i++)
		crc = crc_word(crc, key[i]);
	entry_store((struct layout_copy *)words, loser, key, (uint32_t)crc, copy->stamp + 1,
		    META(length, 0, 0), key, table->geometry.key_room / 8);
	if (table->geometry.blocks)
		extent_free(&table->extents, mirror->block[loser]);
	memset(table_copy(table, loser, 0), 0, (size_t)table->geometry.copy_size * 2);
	tag_store(table->tags + loser, 0);
	table->entries--;
	return mirror_write(mirror, loser, (struct layout_copy *)words);
}

static int same_key(const struct estate_table *table, uint32_t a, uint32_t b)
{
	const struct layout_copy *left = shown(table, a);
	const struct layout_copy *right = shown(table, b);

	return META_KEY_LENGTH(left->meta) == META_KEY_LENGTH(right->meta) &&
	       !memcmp(left + 1, right + 1, table->geometry.key_room);
}

/* Keys that are twice in one bucket, or in one and the next. */
static int drop_doubles(struct mirror *mirror)
{
	struct estate_table *table = mirror->table;

	for (uint64_t slot = 0; slot < table->geometry.slots; slot++) {
		uint64_t end = (slot / LAYOUT_SLOTS + 2) * LAYOUT_SLOTS;

		for (uint64_t other = slot + 1; other < end && other < table->geometry.slots;
		     other++) {
			uint16_t tag = table->tags[slot] & TAG_FINGERPRINT;
			int error;

			if (!tag || tag != (table->tags[other] & TAG_FINGERPRINT) ||
			    !same_key(table, (uint32_t)slot, (uint32_t)other))
				continue;
			error = drop_older(mirror, (uint32_t)slot, (uint32_t)other);
			if (error)
				return error;
		}
	}
	return 0;
}

/* The chains are not in the pool: they are what the slots say. */
static int chain_far(struct mirror *mirror, const struct part *part)
{
	struct estate_table *table = mirror->table;

	for (size_t i = 0; i < part->far_count; i++) {
		uint64_t home = geometry_home(&table->geometry, part->far[i].hash);
		uint32_t slot = part->far[i].slot;
		const struct layout_copy *copy = shown(table, slot);
		struct entry_key key;
		struct slot other;

		/* It was the older of two that are near each other. */
		if (!(table->tags[slot] & TAG_FINGERPRINT))
			continue;
		table_key(table, copy + 1, META_KEY_LENGTH(copy->meta), &key);
		if (slot_find(table, &key, home, &other, table->geometry.key_room / 8)) {
			int error = drop_older(mirror, slot, other.number);

			if (error)
				return error;
			/* If that was in the chain, its place is in it, and empty. */
			if (!(table->tags[slot] & TAG_FINGERPRINT))
				continue;
			chain_remove(table, home, other.number);
		}
		chain_push(table, home, slot);
		table->locks[home] |= SIDECAR_CHAIN;
	}
	return 0;
}

/*
 * What is left of versions that were being written goes: the next version that is
 * written there could lend them the part that they lack, such as a stamp, if the
 * clock has not gone on since; then a crash would bring back what was lost before.
 */
static int clear_torn(struct mirror *mirror, const struct part *parts, unsigned int count)
{
	struct persist_batch batch = persist_begin(mirror->medium);

	for (unsigned int i = 0; i < count; i++)
		for (size_t j = 0; j < parts[i].torn_count; j++)
			persist_zero(&batch, parts[i].torn[j],
				     format_copy_size(&mirror->table->geometry));
	return persist_drain(&batch);
}

static int finish(struct mirror *mirror, const struct part *parts, unsigned int count,
		  uint64_t *used)
{
	struct estate_table *table = mirror->table;
	uint64_t damaged = 0;
	int error = 0;

	for (unsigned int i = 0; i < count; i++) {
		damaged += parts[i].damaged;
		table->entries += parts[i].entries;
		clock_raise(table->clock, parts[i].newest);
		if (parts[i].error)
			return error_set(parts[i].error, "table %s: no memory to recover it",
					 table->name);
	}
	if (damaged)
		return error_set(-EBADMSG,
				 "table %s: %llu of its entries in the pool are damaged: \"estate "
				 "pool recover\" takes out the others",
				 table->name, (unsigned long long)damaged);
	if (table->geometry.blocks) {
		extent_pool_reserve(&mirror->blocks, used);
		extent_pool_reserve(&table->extents, used);
	}
	error = clear_torn(mirror, parts, count);
	if (!error && parts[0].crashed)
		error = drop_doubles(mirror);
	for (unsigned int i = 0; i < count && !error; i++)
		error = chain_far(mirror, &parts[i]);
	if (!error && table->entries > table->geometry.capacity)
		error = error_set(-EBADMSG,
				  "table %s: the pool has %llu entries of it, more than fit",
				  table->name, (unsigned long long)table->entries);
	shared_store(table->directory_entries, table->entries);
	return error;
}

int recovery_run(struct mirror *mirror, int crashed, struct estate_recovery *report)
{
	const struct geometry *geometry = &mirror->table->geometry;
	uint64_t buckets = geometry->slots / LAYOUT_SLOTS;
	unsigned int threads = parallel_threads(buckets, BUCKETS_MIN);
	struct part parts[PARALLEL_MAX];
	uint64_t *used = calloc(geometry->blocks / 64 + 1, sizeof(*used));
	int error = 0;

	if (!used)
		return error_set(-ENOMEM, "table %s: no memory to recover it", mirror->table->name);
	/* Values come in the order of their keys: in none that the memory could be taken in. */
	if (geometry->blocks)
		error = mapping_populate(mirror->table->buckets +
						 geometry_block_offset(geometry, 0),
					 geometry->length - geometry_block_offset(geometry, 0));
	for (unsigned int i = 0; i < threads; i++)
		parts[i] = (struct part){ .mirror = mirror,
					  .error = error,
					  .crashed = crashed,
					  .used = used,
					  .first = buckets * i / threads,
					  .end = buckets * (i + 1) / threads };
	parallel_run(run_part, parts, sizeof(*parts), threads);
	error = finish(mirror, parts, threads, used);
	for (unsigned int i = 0; i < threads; i++) {
		report->bytes += parts[i].bytes;
		free(parts[i].far);
		free(parts[i].torn);
	}
	free(used);
	report->entries += mirror->table->entries;
	report->tables++;
	if (report->threads < threads)
		report->threads = threads;
	return error;
}
