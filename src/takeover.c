// SPDX-License-Identifier: BSD-3-Clause
#include "takeover.h"

#include "absorb.h"
#include "crc.h"
#include "error.h"
#include "judge.h"
#include "pace.h"
#include "reach.h"
#include "remote.h"
#include "slot.h"
#include "store.h"
#include "write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
	const void *memory; /* of a far one, a copy of what is before its tables */
	struct reach *reach; /* NULL: it is mapped */
	int unread; /* what went wrong is that the leaver could not be read */
	int resumed; /* the pool knew of it */
	unsigned int count;
	struct taken_table
		*tables; /* in the order of their names: numbers change with their lives */
	struct taken_table *table; /* that is being taken */
	uint64_t home; /* the same */
	struct entry_copy *copies; /* of one home */
	unsigned int room;
	struct pace pace; /* a look at the clock at each home would take longer than the rest */
	unsigned char *values; /* of extents: ABSORB_MAX, or of a far one's, those of the home */
	size_t value_room;
	size_t values_max;
};

static void set_state(struct layout_adoption *record, uint32_t state)
{
	__atomic_store_n(&record->state, state, __ATOMIC_RELEASE);
}

/* Our table for theirs. */
static int prepare_table(struct run *run, struct taken_table *taken)
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
	return 0;
}

static int compare_tables(const void *a, const void *b)
{
	return strcmp(((const struct taken_table *)a)->place.name,
		      ((const struct taken_table *)b)->place.name);
}

/* All tables, before anything is taken: what is to be refused is refused as a whole. */
static int prepare(struct run *run)
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
			error = prepare_table(run, taken);
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
	run->values_max = ABSORB_MAX;
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
		int found = remote_home(source, run->home, pace_us(&run->pace) + READ_US,
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

/*
 * The values of a far leaver's home that are in extents: all, before the first entry of it is
 * absorbed, so that nothing is half done when the connection ends.
 */
static int read_values(struct run *run, unsigned int count)
{
	const struct taken_table *taken = run->table;
	const struct geometry *geometry = &taken->table->geometry;

	if (!geometry->blocks)
		return 0;
	if (count > run->values_max) {
		unsigned char *larger = realloc(run->values, run->value_room * count);

		if (!larger)
			return error_set(-ENOMEM, "no memory to take an instance over");
		run->values = larger;
		run->values_max = count;
	}
	for (unsigned int c = 0; c < count; c++) {
		struct layout_extent extent;
		size_t length;
		int error;

		/* What is wrong with it is seen when it is absorbed. */
		if (judge_value(geometry, &run->copies[c], &length, &extent) != ABSENT ||
		    !extent.length)
			continue;
		error = reach_extent(run->reach, extent.block, extent.length,
				     run->values + c * run->value_room);
		if (error)
			return error;
	}
	return 0;
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
		if (run->reach)
			return crc_bytes(theirs->salt, value, extent.length) == extent.crc
				       ? 0
				       : -EBADMSG;
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

/*
 * The program has filled the table up, meanwhile or after a crash: until it has deleted something.
 * What was taken stays, and says so to all others.
 */
static int wait_for_room(const struct run *run)
{
	const struct estate_table *table = run->table->table;
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (__atomic_load_n(&table->entries, __ATOMIC_RELAXED) >= table->geometry.capacity) {
		if (__atomic_load_n(run->takeover->stop, __ATOMIC_RELAXED))
			return -ECANCELED;
		nanosleep(&pause, NULL);
	}
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
					   run->values +
						   (run->reach ? (unsigned int)next : members) *
							   run->value_room,
					   &entries[members]);
		while (!error) {
			error = absorb(table, run->home, entries, members, remember,
				       run->resumed && table->mirror ? is_done : NULL, run,
				       &run->table->reserved);
			if (error != -ENOSPC)
				break;
			error = wait_for_room(run);
		}
	}
	return error;
}

static int take_home(struct run *run, const struct remote_table *theirs,
		     const struct remote_source *source)
{
	uint64_t *cursor = &run->takeover->record->cursor[run->table->number];
	int count = read_home(run, source);
	int error = 0;

	if (count > 0 && run->reach)
		error = read_values(run, (unsigned int)count);
	if (count < 0 || error) {
		run->unread = 1;
		return error ? error : count;
	}
	if (count > 0) {
		__atomic_store_n(cursor, run->home * 2 + 1, __ATOMIC_SEQ_CST);
		error = take_entries(run, theirs, count);
	}
	if (!error)
		__atomic_store_n(cursor, (run->home + 1) * 2, __ATOMIC_RELEASE);
	return error;
}

/* What is done with a home. @theirs: where values in extents are, if they are mapped. */
typedef int home_fn(struct run *run, const struct remote_table *theirs,
		    const struct remote_source *source);

static int visit_near(struct run *run, home_fn *visit)
{
	const struct taken_table *taken = run->table;
	struct remote_table theirs = { &taken->table->geometry,
				       (const unsigned char *)run->memory + taken->place.offset,
				       taken->place.salt };
	struct remote_source source = remote_source(&theirs);
	int error = 0;

	for (unsigned int i = 0; i < HOMES_PER_LOOK && !error; i++) {
		if (run->home == taken->place.geometry.homes)
			break;
		error = visit(run, &theirs, &source);
		run->home += !error;
	}
	return error;
}

static int visit_far(struct run *run, home_fn *visit)
{
	const struct taken_table *taken = run->table;
	const struct remote_table theirs = { &taken->table->geometry, NULL, taken->place.salt };
	int error = reach_begin(run->reach, run->takeover->leaver, taken->table, &taken->place,
				run->home);

	run->unread = error != 0;
	if (error)
		return error;
	for (unsigned int i = 0; i < HOMES_PER_LOOK && !error; i++) {
		struct remote_source source;

		if (run->home == taken->place.geometry.homes)
			break;
		source = reach_home(run->reach, run->home, &error);
		run->unread = error != 0;
		if (!error)
			error = visit(run, &theirs, &source);
		run->home += !error;
	}
	reach_rest(run->reach);
	return error;
}

/* Some of the homes from run->home on, which goes on. */
static int visit_homes(struct run *run, home_fn *visit)
{
	if (__atomic_load_n(run->takeover->stop, __ATOMIC_RELAXED))
		return -ECANCELED;
	return run->reach ? visit_far(run, visit) : visit_near(run, visit);
}

/* A home_fn: count the keys that we do not have. */
static int count_new(struct run *run, const struct remote_table *theirs,
		     const struct remote_source *source)
{
	struct taken_table *taken = run->table;
	int count = read_home(run, source);

	(void)theirs;
	for (int i = 0; i < count; i++)
		taken->reserved += estate_get(taken->table, run->copies[i].key,
					      META_KEY_LENGTH(run->copies[i].meta), run->values,
					      run->value_room, NULL) == -ENOENT;
	return count < 0 ? count : 0;
}

/*
 * Room for all of a table's entries; or, as many of them may be keys that we have, too, for those
 * that are new.
 */
static int reserve_table(struct run *run, struct taken_table *taken)
{
	uint64_t entries = taken->place.entries;
	int error = write_reserve(taken->table, entries);

	if (!error) {
		taken->reserved = entries;
		return 0;
	}
	run->table = taken;
	error = 0;
	for (run->home = 0; run->home < taken->place.geometry.homes && !error;)
		error = visit_homes(run, count_new);
	entries = taken->reserved;
	taken->reserved = 0;
	if (!error)
		error = write_reserve(taken->table, entries);
	if (!error)
		taken->reserved = entries;
	return error;
}

/* Before anything is taken. */
static int reserve(struct run *run)
{
	int error = 0;

	for (unsigned int t = 0; t < run->count && !error; t++)
		error = reserve_table(run, &run->tables[t]);
	return error;
}

/*
 * The leaver has come back from its pool, in another life: its tables may be elsewhere, and have
 * other numbers. Meanwhile nobody may look for them by the old ones.
 */
static int find_tables_again(struct run *run)
{
	struct layout_adoption *record = run->takeover->record;
	uint64_t cursor[ESTATE_TABLES_MAX] = { 0 };
	size_t size = run->takeover->leaver->peer->size;

	set_state(record, LAYOUT_ADOPTION_RESUMING);
	for (unsigned int t = 0; t < run->count; t++) {
		struct taken_table *taken = &run->tables[t];
		struct region_table place;
		uint64_t done = record->cursor[taken->number];

		/* It was lost, then, with whatever was not ours yet. */
		if (region_find_table(run->memory, size, taken->place.name, &place) ||
		    !geometry_same(&place.geometry, &taken->place.geometry))
			continue;
		taken->place = place;
		taken->number = region_table_number(run->memory, size, place.name);
		cursor[taken->number] = done;
	}
	for (unsigned int number = 0; number < ESTATE_TABLES_MAX; number++)
		shared_store(&record->cursor[number], cursor[number]);
	set_state(record, LAYOUT_ADOPTION_RUNNING);
	return 0;
}

static const struct roster_entry *find_again(const struct roster *roster,
					     const struct roster_entry *leaver)
{
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		if (entry->peer && entry->epoch == leaver->epoch &&
		    !memcmp(entry->uuid, leaver->uuid, sizeof(entry->uuid)))
			return entry;
	}
	return NULL;
}

/* One look whether a far leaver is back. 0: it is; -EAGAIN: not yet; -EHOSTDOWN: never. */
static int look_for_it(struct run *run, struct roster *roster)
{
	struct takeover *takeover = run->takeover;
	const struct layout_header *header = run->memory;
	const struct roster_entry *entry = find_again(roster, takeover->leaver);
	int busy = reach_is_busy(run->reach);

	if (!entry) {
		if ((shared_load(&header->flags) & LAYOUT_HAS_POOL) ||
		    !roster_gone(roster, takeover->leaver->uuid, 1))
			return -EAGAIN;
		takeover->lost = 1;
		return error_set(-EHOSTDOWN, "%s died in the midst of being taken over",
				 takeover->leaver->name);
	}
	if (busy || group_renew_peer(run->es->group, entry->peer))
		return -EAGAIN;
	if (entry->peer == takeover->leaver->peer)
		return 0;
	roster_release(takeover->roster);
	takeover->roster = roster;
	takeover->leaver = entry;
	run->memory = entry->peer->memory;
	__atomic_add_fetch(&roster->references, 1, __ATOMIC_RELAXED);
	return find_tables_again(run);
}

/* A far leaver cannot be read: until it can. What was taken stays, and says so to all others. */
static int regain(struct run *run)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	int error = -EAGAIN;

	while (error == -EAGAIN) {
		uint64_t generation;
		struct roster *roster;

		if (__atomic_load_n(run->takeover->stop, __ATOMIC_RELAXED))
			return -ECANCELED;
		nanosleep(&pause, NULL);
		roster = group_roster(run->es->group, &generation);
		error = look_for_it(run, roster);
		roster_release(roster);
	}
	return error;
}

static int is_unreachable(int error)
{
	return error == -EHOSTDOWN || error == -ETIMEDOUT || error == -EIO || error == -EAGAIN;
}

static int take_table(struct run *run, struct taken_table *taken)
{
	run->table = taken;
	run->home = run->takeover->record->cursor[taken->number] / 2;
	while (run->home < taken->place.geometry.homes) {
		int error;

		run->unread = 0;
		error = visit_homes(run, take_home);
		if (error && run->reach && run->unread && is_unreachable(error))
			error = regain(run);
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

int takeover_named(const struct estate *es, const struct layout_header *header)
{
	const uint64_t *words = (const uint64_t *)(const void *)header->adopter;
	uint64_t uuid[2] = { shared_load(words), shared_load(words + 1) };

	return region_state(header) == LAYOUT_SEALED &&
	       !memcmp(uuid, es->identity.uuid, sizeof(uuid));
}

/*
 * The record says that we begin. Either the leaver sees this, or we see that it has taken it back;
 * and that it means this attempt, which nobody but us has begun with.
 */
static int is_meant(const struct run *run)
{
	const struct layout_header *header = run->memory;
	uint64_t attempt = run->takeover->record->attempt;

	return !group_renew_peer(run->es->group, run->takeover->leaver->peer) &&
	       takeover_named(run->es, header) && shared_load(&header->attempt) == attempt &&
	       shared_load(&header->ripe) == attempt && shared_load(&header->withdrawn) != attempt;
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
	int error = prepare(&run);

	if (!error && takeover->leaver->peer->far)
		error = reach_open(run.es, &run.reach);
	/* There was room when it began, and some of them are in it: now for each as it comes. */
	if (!error && resuming)
		resume(&run);
	else if (!error)
		error = reserve(&run);
	if (!error) {
		__atomic_store_n(&record->state, LAYOUT_ADOPTION_RUNNING, __ATOMIC_SEQ_CST);
		if (!resuming && !is_meant(&run)) {
			set_state(record, 0);
			error = -ECANCELED;
		}
	}
	for (unsigned int t = 0; t < run.count && !error; t++)
		error = take_table(&run, &run.tables[t]);
	give_back(&run);
	reach_close(run.reach);
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
