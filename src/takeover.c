// SPDX-License-Identifier: BSD-3-Clause
#include "takeover.h"

#include "absorb.h"
#include "error.h"
#include "judge.h"
#include "remote.h"
#include "slot.h"
#include "store.h"
#include "write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A sealed bucket does not change: one that will not verify for so long is damaged. */
#define READ_US 1000000

/* Homes between two looks at whether to stop. */
#define HOMES_PER_LOOK 64

/* A table of theirs, and ours that it becomes a part of. */
struct taken_table {
	unsigned int number; /* in their directory */
	struct region_table place;
	struct estate_table *table;
	uint64_t reserved; /* entries that we counted for it and have not used */
};

struct run {
	struct takeover *takeover;
	struct estate *es;
	const void *memory;
	int resumed; /* the pool knew of it */
	unsigned int count;
	struct taken_table
		*tables; /* in the order of their names: numbers change with their lives */
	struct taken_table *table; /* that is being taken */
	uint64_t home; /* the same */
	struct entry_copy *copies; /* of one home */
	unsigned int room;
	unsigned char *values; /* of extents, ABSORB_MAX */
	size_t value_room;
};

static void set_state(struct layout_adoption *record, uint32_t state)
{
	__atomic_store_n(&record->state, state, __ATOMIC_RELEASE);
}

/* Our table for theirs, with room for all of its entries. */
static int prepare_table(struct run *run, struct taken_table *taken, int resuming)
{
	const struct region_table *place = &taken->place;
	struct estate_table *table;
	estate_reduce_fn *custom;
	int error = store_table(run->es, place->name, &place->geometry, &table);

	if (error)
		return error;
	pthread_mutex_lock(&run->es->lock);
	custom = table->custom;
	pthread_mutex_unlock(&run->es->lock);
	if (place->geometry.merge == ESTATE_MERGE_CUSTOM && !custom)
		return error_set(-ENOTSUP, "table %s: its merge rule is custom, and not given here",
				 table->name);
	taken->table = table;
	error = write_reserve(table, place->entries);
	if (!error)
		taken->reserved = place->entries;
	/* There was room when it began, and some of them are in it: now for each as it comes. */
	return error == -ENOSPC && resuming ? 0 : error;
}

static int compare_tables(const void *a, const void *b)
{
	return strcmp(((const struct taken_table *)a)->place.name,
		      ((const struct taken_table *)b)->place.name);
}

/* All tables, before anything is taken: what is to be refused is refused as a whole. */
static int prepare(struct run *run, int resuming)
{
	size_t size = run->takeover->leaver->peer->size;
	size_t value = 16;

	run->tables = calloc(ESTATE_TABLES_MAX, sizeof(*run->tables));
	if (!run->tables)
		return error_set(-ENOMEM, "no memory to take an instance over");
	for (unsigned int index = 0;;) {
		struct taken_table *taken = &run->tables[run->count];
		int error;

		taken->number = index;
		error = region_next_table(run->memory, size, &index, &taken->place);
		if (error == -ENOENT)
			break;
		if (!error)
			error = prepare_table(run, taken, resuming);
		if (error)
			return error;
		run->count++;
		if (taken->place.geometry.value_size > value)
			value = taken->place.geometry.value_size;
	}
	if (run->count)
		qsort(run->tables, run->count, sizeof(*run->tables), compare_tables);
	run->room = 64;
	run->copies = malloc(run->room * sizeof(*run->copies));
	run->value_room = (value + 15) / 16 * 16;
	run->values = malloc(run->value_room * ABSORB_MAX);
	if (!run->copies || !run->values)
		return error_set(-ENOMEM, "no memory to take an instance over");
	return 0;
}

static void give_back(struct run *run)
{
	for (unsigned int t = 0; t < run->count; t++)
		if (run->tables[t].reserved)
			write_unreserve(run->tables[t].table, run->tables[t].reserved);
}

/* The live entries of a home, in run->copies; a negative errno value. */
static int read_home(struct run *run, const struct remote_source *source)
{
	for (;;) {
		int found = remote_home(source, run->home, clock_monotonic_us() + READ_US,
					run->copies, run->room);
		struct entry_copy *larger;

		if (found < 0 || (unsigned int)found <= run->room)
			return found;
		larger = realloc(run->copies, (size_t)found * sizeof(*larger));
		if (!larger)
			return error_set(-ENOMEM, "no memory to take an instance over");
		run->copies = larger;
		run->room = (unsigned int)found;
	}
}

/* An entry of theirs, ready to be absorbed. 0, or -EBADMSG: its owner did not write that. */
static int load_entry(struct run *run, const struct remote_table *theirs,
		      const struct entry_copy *copy, unsigned char *value, struct absorbed *entry)
{
	const struct roster_entry *leaver = run->takeover->leaver;
	struct layout_extent extent;

	*entry = (struct absorbed){ .key = copy->key,
				    .key_length = META_KEY_LENGTH(copy->meta),
				    .value = copy->value,
				    .stamp = copy->stamp,
				    .name = leaver->name,
				    .uuid = leaver->uuid,
				    .epoch = leaver->epoch };
	switch (judge_value(theirs->geometry, copy, &entry->value_length, &extent)) {
	case FOUND:
		return 0;
	case ABSENT:
		entry->value = value;
		return extent_load(&extent, theirs->salt,
				   theirs->buckets +
					   geometry_block_offset(theirs->geometry, extent.block),
				   value);
	default:
		return -EBADMSG;
	}
}

static int same_place(const struct pool_adoption *last, const struct run *run)
{
	return last->home == run->home && !strcmp(last->table, run->table->place.name);
}

/* An absorb_intend_fn: into the pool, after what was intended of this home before. */
static int intend(const struct absorb_intent *intents, unsigned int count, void *arg)
{
	struct run *run = arg;
	const struct roster_entry *leaver = run->takeover->leaver;
	struct takeover_past *past = run->takeover->past;
	struct pool_adoption *last = &past->last;

	/* What was done was of that place: other tables have the same keys. */
	if (!same_place(last, run))
		last->count = past->done_count = 0;
	if (last->count + count > POOL_INTENTS_MAX)
		return error_set(-E2BIG, "table %s: more than %d entries have one home",
				 run->table->place.name, POOL_INTENTS_MAX);
	memcpy(last->leaver, leaver->uuid, sizeof(last->leaver));
	last->epoch = leaver->epoch;
	last->home = run->home;
	memcpy(last->table, run->table->place.name, sizeof(last->table));
	memcpy(last->intents + last->count, intents, count * sizeof(*intents));
	last->count += count;
	return run->es->pool->operations->adopting(run->es->pool, last);
}

/* An absorb_done_fn, for the home that had begun when we ended. */
static int is_done(uint64_t hash, void *arg)
{
	const struct run *run = arg;
	const struct takeover_past *past = run->takeover->past;

	for (unsigned int i = 0; i < past->done_count; i++)
		if (past->done[i] == hash && same_place(&past->last, run))
			return 1;
	return 0;
}

static int take_entries(struct run *run, const struct remote_table *theirs, int count)
{
	struct estate_table *table = run->table->table;
	absorb_intend_fn *remember = table->mirror ? intend : NULL;
	int error = 0;

	for (int next = 0; next < count && !error;) {
		struct absorbed entries[ABSORB_MAX];
		unsigned int members = 0;

		for (; next < count && members < ABSORB_MAX && !error; next++, members++)
			error = load_entry(run, theirs, &run->copies[next],
					   run->values + members * run->value_room,
					   &entries[members]);
		if (!error)
			error = absorb(table, run->home, entries, members, remember,
				       run->resumed && table->mirror ? is_done : NULL, run,
				       &run->table->reserved);
	}
	return error;
}

static int take_home(struct run *run, const struct remote_table *theirs,
		     const struct remote_source *source)
{
	uint64_t *cursor = &run->takeover->record->cursor[run->table->number];
	int count = read_home(run, source);
	int error = 0;

	if (count < 0)
		return count;
	if (count > 0) {
		__atomic_store_n(cursor, run->home * 2 + 1, __ATOMIC_SEQ_CST);
		error = take_entries(run, theirs, count);
	}
	if (!error)
		__atomic_store_n(cursor, (run->home + 1) * 2, __ATOMIC_RELEASE);
	return error;
}

static int take_table(struct run *run, struct taken_table *taken)
{
	struct remote_table theirs = { &taken->table->geometry,
				       (const unsigned char *)run->memory + taken->place.offset,
				       taken->place.salt };
	struct remote_source source = remote_source(&theirs);
	uint64_t first = run->takeover->record->cursor[taken->number] / 2;

	run->table = taken;
	for (run->home = first; run->home < taken->place.geometry.homes; run->home++) {
		int error;

		if (run->home % HOMES_PER_LOOK == 0 &&
		    __atomic_load_n(run->takeover->stop, __ATOMIC_RELAXED))
			return -ECANCELED;
		error = take_home(run, &theirs, &source);
		if (error)
			return error;
	}
	return 0;
}

/* All of it is ours: that is what the pool knows last. */
static int finish(struct run *run)
{
	const struct roster_entry *leaver = run->takeover->leaver;
	struct pool_adoption *last = &run->takeover->past->last;

	if (!run->es->pool)
		return 0;
	*last = (struct pool_adoption){ .epoch = leaver->epoch };
	memcpy(last->leaver, leaver->uuid, sizeof(last->leaver));
	return run->es->pool->operations->adopting(run->es->pool, last);
}

/* How far the pool says that we had come: of the tables that it has. */
static void resume(struct run *run)
{
	const struct pool_adoption *last = &run->takeover->past->last;

	run->resumed = 1;
	for (unsigned int t = 0; t < run->count; t++) {
		const struct taken_table *taken = &run->tables[t];
		int order = strcmp(taken->place.name, last->table);
		uint64_t *cursor = &run->takeover->record->cursor[taken->number];

		if (!taken->table->mirror || order > 0)
			continue;
		__atomic_store_n(cursor,
				 order ? taken->place.geometry.homes * 2 : last->home * 2 + 1,
				 __ATOMIC_RELAXED);
	}
}

/* The slot's stamp, in a table that came back from the pool: one of nothing is 0. */
static uint64_t slot_stamp(const struct estate_table *table, uint32_t number)
{
	struct slot slot;

	if (number >= table->geometry.slots)
		return 0;
	slot = slot_at(table, number);
	return slot_current(table, &slot)->stamp;
}

/*
 * What was intended and has come, and nothing else: from now on the program writes, and
 * what it writes into these slots has later stamps, too.
 */
static int settle(const struct estate *es, struct takeover_past *past)
{
	struct pool_adoption *last = &past->last;
	uint32_t intended = last->count;

	if (!intended)
		return 0;
	last->count = 0;
	for (unsigned int t = 0; t < es->table_count; t++) {
		if (strcmp(es->tables[t]->name, last->table) != 0)
			continue;
		for (uint32_t i = 0; i < intended; i++) {
			struct absorb_intent intent = last->intents[i];

			if (slot_stamp(es->tables[t], intent.slot) < intent.stamp)
				continue;
			past->done[past->done_count++] = intent.hash;
			intent.stamp = 0;
			last->intents[last->count++] = intent;
		}
	}
	return es->pool->operations->adopting(es->pool, last);
}

int takeover_remember(const struct estate *es, struct takeover_past *past,
		      struct layout_adoption *record)
{
	const struct pool_adoption *last = NULL;

	if (es->pool)
		last = es->pool->operations->adoption(es->pool);
	if (!last)
		return 0;
	past->last = *last;
	memcpy(record->leaver, last->leaver, sizeof(record->leaver));
	record->epoch = last->epoch;
	record->state = *last->table ? LAYOUT_ADOPTION_RESUMING : LAYOUT_ADOPTION_DONE;
	return settle(es, past);
}

void takeover_run(struct takeover *takeover)
{
	struct layout_adoption *record = takeover->record;
	int resuming = record->state == LAYOUT_ADOPTION_RESUMING;
	struct run run = { .takeover = takeover,
			   .es = takeover->es,
			   .memory = takeover->leaver->peer->memory };
	const struct layout_header *header = run.memory;
	int error = prepare(&run, resuming);

	if (!error && resuming)
		resume(&run);
	/* Either the leaver sees this, or we see that it has taken it back. */
	if (!error) {
		__atomic_store_n(&record->state, LAYOUT_ADOPTION_RUNNING, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!resuming && shared_load(&header->withdrawn) == record->attempt) {
			set_state(record, 0);
			error = -ECANCELED;
		}
	}
	for (unsigned int t = 0; t < run.count && !error; t++)
		error = take_table(&run, &run.tables[t]);
	give_back(&run);
	if (!error)
		error = finish(&run);
	__atomic_store_n(&record->error, error, __ATOMIC_RELEASE);
	if (!error)
		set_state(record, LAYOUT_ADOPTION_DONE);
	else if (!record->state)
		set_state(record, LAYOUT_ADOPTION_REFUSED);
	free(run.tables);
	free(run.copies);
	free(run.values);
}
