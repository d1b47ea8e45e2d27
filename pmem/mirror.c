// SPDX-License-Identifier: BSD-3-Clause
#include "mirror.h"

#include "crc.h"
#include "error.h"
#include "slot.h"
#include "stored.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Of an entry whose writer laps us, after so many looks: the next pass has it. */
#define RETRIES 64

/* Passes, with the CPU given up in between, until an entry that would not verify is damaged. */
#define PASSES 100000

/* Of shorter copies, looking for their pages early costs as much as it saves (doc/bench-pmem.md). */
#define EARLY_MIN 256

/* The most that a copy takes in a pool. */
#define COPY_MAX ((SLOT_WORDS_MAX * 8 + FORMAT_LINE - 1) / FORMAT_LINE * FORMAT_LINE)

int mirror_init(struct mirror *mirror, struct estate_table *table, struct medium *medium,
		unsigned char *memory)
{
	const struct geometry *geometry = &table->geometry;

	*mirror = (struct mirror){ .table = table, .medium = medium, .memory = memory };
	pthread_mutex_init(&mirror->flushing, NULL);
	mirror->current = calloc(geometry->slots, 1);
	if (!mirror->current)
		goto no_memory;
	if (!geometry->blocks)
		return 0;
	mirror->block = malloc(geometry->slots * sizeof(*mirror->block));
	mirror->value = malloc(geometry->value_size);
	if (!mirror->block || !mirror->value ||
	    extent_pool_init(&mirror->blocks, geometry, memory + format_extents(geometry)))
		goto no_memory;
	for (uint64_t slot = 0; slot < geometry->slots; slot++)
		mirror->block[slot] = NO_BLOCK;
	return 0;

no_memory:
	mirror_destroy(mirror);
	return error_set(-ENOMEM, "table %s: no memory to keep it in a pool", table->name);
}

void mirror_destroy(struct mirror *mirror)
{
	extent_pool_destroy(&mirror->blocks);
	free(mirror->value);
	free(mirror->block);
	free(mirror->current);
	pthread_mutex_destroy(&mirror->flushing);
}

static int refuse_damaged(const struct mirror *mirror)
{
	return error_set(-EIO,
			 "table %s: an entry of this instance's own region is damaged and was not "
			 "persisted: something wrote over it",
			 mirror->table->name);
}

/* Overwrite the older copy, by whole lines. */
static void put_copy(struct mirror *mirror, struct persist_batch *batch, uint32_t slot,
		     const struct layout_copy *copy)
{
	unsigned char lines[COPY_MAX] __attribute__((aligned(FORMAT_LINE)));
	size_t length = stored_bytes(&mirror->table->geometry, copy->meta);
	size_t rounded = format_round(length);

	memset(lines + rounded - FORMAT_LINE, 0, FORMAT_LINE);
	memcpy(lines, copy, length);
	persist_copy(batch, mirror_copy(mirror, slot, !mirror->current[slot]), lines, rounded);
}

static struct layout_extent *descriptor(const struct mirror *mirror, struct layout_copy *copy)
{
	return (struct layout_extent *)((char *)(copy + 1) + mirror->table->geometry.key_room);
}

/* The same version with its value in another block. */
static void move_to_block(const struct mirror *mirror, uint32_t slot, struct layout_copy *copy,
			  uint32_t block)
{
	const uint64_t *words = entry_words_const(copy);
	uint32_t key_words = mirror->table->geometry.key_room / 8;
	uint64_t crc = mirror->table->salt;

	descriptor(mirror, copy)->block = block;
	for (uint32_t i = 0; i < key_words; i++)
		crc = crc_word(crc, words[i]);
	crc = entry_crc_header(crc, slot, copy->meta, copy->stamp);
	for (uint32_t i = 0; i < sizeof(struct layout_extent) / 8; i++)
		crc = crc_word(crc, words[key_words + i]);
	copy->crc = (uint32_t)crc;
}

/*
 * One entry with its value in an extent, which is copied from the region's
 * block: nobody writes that one as long as its key is locked.
 */
static int write_large(struct mirror *mirror, uint32_t slot, const struct layout_copy *copy)
{
	struct persist_batch batch = persist_begin(mirror->medium);
	uint32_t old = mirror->block[slot];
	uint32_t block = NO_BLOCK;
	uint64_t words[SLOT_WORDS_MAX];
	struct layout_copy *moved = (struct layout_copy *)words;
	int error = 0;

	memcpy(moved, copy, stored_bytes(&mirror->table->geometry, copy->meta));
	if (copy->meta & META_LIVE) {
		const struct layout_extent *extent = descriptor(mirror, moved);
		const void *value =
			extent_block(&mirror->table->extents, descriptor(mirror, moved)->block);

		block = extent_take(&mirror->blocks);
		persist_copy(&batch, extent_block(&mirror->blocks, block), value, extent->length);
		error = persist_drain(&batch);
		move_to_block(mirror, slot, moved, block);
	}
	if (!error) {
		put_copy(mirror, &batch, slot, moved);
		error = persist_drain(&batch);
	}
	if (error) {
		if (block != NO_BLOCK)
			extent_free(&mirror->blocks, block);
		return error;
	}
	mirror->current[slot] ^= 1;
	mirror->block[slot] = block;
	if (old != NO_BLOCK)
		extent_free(&mirror->blocks, old);
	return 0;
}

int mirror_write(struct mirror *mirror, uint32_t slot, const struct layout_copy *copy)
{
	struct persist_batch batch = persist_begin(mirror->medium);
	int error;

	if (mirror->table->geometry.blocks)
		return write_large(mirror, slot, copy);
	put_copy(mirror, &batch, slot, copy);
	error = persist_drain(&batch);
	if (!error)
		mirror->current[slot] ^= 1;
	return error;
}

/* A table_persist_fn. */
static int persist(struct estate_table *table, unsigned int count, const uint32_t *slots,
		   const struct layout_copy *const *copies)
{
	struct mirror *mirror = table->mirror;
	struct persist_batch batch = persist_begin(mirror->medium);
	int error = 0;

	if (count == 1)
		return mirror_write(mirror, slots[0], copies[0]);
	if (table->geometry.blocks) {
		for (unsigned int i = 0; i < count && !error; i++)
			error = mirror_write(mirror, slots[i], copies[i]);
		return error;
	}
	for (unsigned int i = 0; i < count; i++)
		put_copy(mirror, &batch, slots[i], copies[i]);
	error = persist_drain(&batch);
	for (unsigned int i = 0; i < count && !error; i++)
		mirror->current[slots[i]] ^= 1;
	return error;
}

int mirror_attach(struct mirror *mirror)
{
	struct estate_table *table = mirror->table;

	if (table->geometry.durability == ESTATE_DURABILITY_BEFORE_RETURN) {
		table->persist = persist;
		table->kept_size = format_copy_size(&table->geometry);
		if (table->kept_size >= EARLY_MIN)
			table->kept = mirror->memory;
	} else {
		/* Looked at eight at a time. */
		table->dirty = calloc((table->geometry.slots + 7) / 8, 8);
		if (!table->dirty)
			return error_set(-ENOMEM, "table %s: no memory to keep it in a pool",
					 table->name);
	}
	mirror->entries = table->entries;
	table->mirror = mirror;
	return 0;
}

/* What a round looks for. */
enum sought {
	DELETED, /* of tables with extents first: they give blocks back */
	ALL,
};

struct round {
	struct mirror *mirror;
	struct persist_batch batch;
	enum sought sought;
	uint64_t deleted; /* entries, stored since the last drain of a pass */
	int again; /* something was left to the next pass */
};

/* The version that a slot shows now, as words that verify. ENTRY_TORN: it is being written. */
static enum entry_state load(const struct mirror *mirror, uint32_t slot, uint64_t *words)
{
	const struct estate_table *table = mirror->table;
	const struct geometry *geometry = &table->geometry;
	const uint16_t *tag = table->tags + slot;
	struct layout_copy *copy = (struct layout_copy *)words;
	struct entry_copy verified;
	enum entry_state state;

	for (unsigned int tries = 0; tries < RETRIES; tries++) {
		uint16_t was = tag_load(tag);

		shared_load_words(words,
				  (const uint64_t *)table_copy(table, slot, tag_current(was)),
				  geometry->copy_size / 8);
		state = entry_load(geometry, table->salt, slot, copy, &verified);
		if (state != ENTRY_TORN && tag_still(tag, was))
			return state;
	}
	return ENTRY_TORN;
}

static int is_live(const struct mirror *mirror, uint32_t slot)
{
	return !!(mirror_copy(mirror, slot, mirror->current[slot])->meta & META_LIVE);
}

static void count_deleted(struct round *round)
{
	round->mirror->entries -= round->deleted;
	round->deleted = 0;
}

/*
 * Room for one more entry: of a table that is full, a new key must not be in the
 * pool before the deletion that made room for it is. -EAGAIN: that comes later.
 */
static int take_entry(struct round *round)
{
	struct mirror *mirror = round->mirror;
	int error = 0;

	if (mirror->entries >= mirror->table->geometry.capacity && round->deleted) {
		error = persist_drain(&round->batch);
		if (error)
			return error;
		count_deleted(round);
	}
	return mirror->entries < mirror->table->geometry.capacity ? 0 : -EAGAIN;
}

/* A block for a value; what waits for a drain to be free is given one if need be. */
static int take_block(struct round *round, uint32_t *block)
{
	struct mirror *mirror = round->mirror;
	int error = 0;

	if (extent_try_take(&mirror->blocks, block))
		return 0;
	error = persist_drain(&round->batch);
	if (error)
		return error;
	while (mirror->left_count)
		extent_free(&mirror->blocks, mirror->left[--mirror->left_count]);
	return extent_try_take(&mirror->blocks, block) ? 0 : -EAGAIN;
}

static int leave_block(struct round *round, uint32_t block)
{
	struct mirror *mirror = round->mirror;
	int error = 0;

	if (mirror->left_count == MIRROR_LEFT_MAX) {
		error = persist_drain(&round->batch);
		while (!error && mirror->left_count)
			extent_free(&mirror->blocks, mirror->left[--mirror->left_count]);
	}
	if (!error)
		mirror->left[mirror->left_count++] = block;
	return error;
}

/* -EAGAIN: no block is free now, or the value is being written. */
static int put_large(struct round *round, uint32_t slot, struct layout_copy *copy)
{
	struct mirror *mirror = round->mirror;
	const struct estate_table *table = mirror->table;
	const struct layout_extent extent = *descriptor(mirror, copy);
	uint32_t block;
	int error;

	if (extent_load(&extent, table->salt, extent_block(&table->extents, extent.block),
			mirror->value))
		return -EAGAIN;
	error = take_block(round, &block);
	if (error)
		return error;
	persist_copy(&round->batch, extent_block(&mirror->blocks, block), mirror->value,
		     extent.length);
	error = persist_drain(&round->batch);
	if (error)
		return error;
	move_to_block(mirror, slot, copy, block);
	mirror->block[slot] = block;
	return 0;
}

/* -EAGAIN: not now. */
static int flush_slot(struct round *round, uint32_t slot)
{
	struct mirror *mirror = round->mirror;
	uint64_t words[SLOT_WORDS_MAX] = { 0 };
	struct layout_copy *copy = (struct layout_copy *)words;
	uint32_t old = NO_BLOCK;
	int was_live = is_live(mirror, slot);
	enum entry_state state = load(mirror, slot, words);
	int error = 0;

	switch (state) {
	case ENTRY_LIVE:
		if (round->sought == DELETED)
			return -EAGAIN;
		if (!was_live)
			error = take_entry(round);
		if (error || !mirror->block)
			break;
		old = mirror->block[slot];
		error = put_large(round, slot, copy);
		break;
	case ENTRY_DELETED:
		if (!mirror->block)
			break;
		old = mirror->block[slot];
		mirror->block[slot] = NO_BLOCK;
		break;
	case ENTRY_EMPTY:
		return 0;
	default:
		return -EAGAIN;
	}
	if (error)
		return error;
	if (state == ENTRY_LIVE)
		mirror->entries += !was_live;
	else
		round->deleted += (uint64_t)was_live;
	put_copy(mirror, &round->batch, slot, copy);
	mirror->current[slot] ^= 1;
	return old == NO_BLOCK ? 0 : leave_block(round, old);
}

/* Every slot that is dirty, once. */
static int pass(struct round *round)
{
	struct mirror *mirror = round->mirror;
	uint8_t *dirty = mirror->table->dirty;
	int error = 0;

	for (uint64_t first = 0; first < mirror->table->geometry.slots; first += 8) {
		if (!__atomic_load_n((uint64_t *)(void *)(dirty + first), __ATOMIC_RELAXED))
			continue;
		for (uint64_t slot = first; slot < first + 8; slot++) {
			/* What is written from here on makes it dirty again. */
			if (!__atomic_exchange_n(dirty + slot, 0, __ATOMIC_ACQ_REL))
				continue;
			error = flush_slot(round, (uint32_t)slot);
			if (!error)
				continue;
			__atomic_store_n(dirty + slot, 1, __ATOMIC_RELEASE);
			if (error != -EAGAIN)
				return error;
			round->again = 1;
		}
	}
	error = persist_drain(&round->batch);
	if (!error)
		count_deleted(round);
	while (!error && mirror->left_count)
		extent_free(&mirror->blocks, mirror->left[--mirror->left_count]);
	return error;
}

int mirror_flush_slot(struct mirror *mirror, uint32_t slot)
{
	struct round round = { .mirror = mirror,
			       .batch = persist_begin(mirror->medium),
			       .sought = ALL };
	unsigned int tries = 0;
	int error;

	pthread_mutex_lock(&mirror->flushing);
	while ((error = flush_slot(&round, slot)) == -EAGAIN && ++tries < PASSES)
		sched_yield();
	if (!error)
		error = persist_drain(&round.batch);
	while (!error && mirror->left_count)
		extent_free(&mirror->blocks, mirror->left[--mirror->left_count]);
	pthread_mutex_unlock(&mirror->flushing);
	return error == -EAGAIN ? refuse_damaged(mirror) : error;
}

int mirror_flush(struct mirror *mirror)
{
	struct round round = { .mirror = mirror, .batch = persist_begin(mirror->medium) };
	unsigned int passes = 0;
	int error = persist_check(mirror->medium);

	if (error || !mirror->table->dirty)
		return error;
	pthread_mutex_lock(&mirror->flushing);
	do {
		if (passes++)
			sched_yield();
		if (mirror->block) {
			round.sought = DELETED;
			error = pass(&round);
		}
		round.again = 0;
		round.sought = ALL;
		if (!error)
			error = pass(&round);
	} while (!error && round.again && passes < PASSES);
	pthread_mutex_unlock(&mirror->flushing);
	return !error && round.again ? refuse_damaged(mirror) : error;
}
