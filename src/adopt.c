// SPDX-License-Identifier: BSD-3-Clause
#include "adopt.h"

#include "error.h"
#include "judge.h"
#include "lineup.h"
#include "merge.h"
#include "remote.h"
#include "store.h"
#include "write.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A sealed bucket does not change: one that will not verify for so long is damaged. */
#define READ_US 1000000

/* Homes between two looks at whether to stop. */
#define HOMES_PER_LOOK 64

struct adopter {
	struct estate *es;
	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t changed;
	pthread_t thread;
	int started;
	int wanted; /* there may be something to do */
	int stop; /* read without the lock */
	int busy; /* the same */
};

/* One leaver, and what becomes of it. */
struct leaver {
	struct estate *es;
	struct adopter *adopter;
	const struct roster_entry *entry;
	const void *memory;
	size_t size;
	struct layout_adoption *record; /* in our region */
	struct estate_table *tables[ESTATE_TABLES_MAX]; /* ours, by its numbers */
	struct region_table places[ESTATE_TABLES_MAX];
	uint64_t reserved[ESTATE_TABLES_MAX]; /* entries that we counted for it and have not used */
	unsigned int count;
	struct entry_copy *copies; /* of one home */
	unsigned int room;
	unsigned char *value; /* of an extent */
};

static void set_state(struct layout_adoption *record, enum layout_adoption_state state)
{
	__atomic_store_n(&record->state, state, __ATOMIC_RELEASE);
}

/* Whether an instance that is not there any more, or has left, is all that a record is about. */
static int is_over(const struct layout_adoption *record, const struct roster *roster)
{
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		if (entry->epoch == record->epoch &&
		    !memcmp(entry->uuid, record->leaver, sizeof(record->leaver)))
			return entry->peer && region_state(entry->peer->memory) == LAYOUT_LEFT;
	}
	return 1;
}

/* A place in our region to say how far we are; NULL: all are in use, for now. */
static struct layout_adoption *make_record(struct estate *es, const struct roster *roster,
					   const struct roster_entry *entry)
{
	struct layout_adoption *records =
		(struct layout_adoption *)(es->region.memory + LAYOUT_ADOPTIONS);
	struct layout_adoption *record = NULL;

	/* One that we refused, and that asks again. */
	for (unsigned int i = 0; i < LAYOUT_ADOPTIONS_MAX && !record; i++)
		if (records[i].epoch == entry->epoch &&
		    !memcmp(records[i].leaver, entry->uuid, sizeof(entry->uuid)))
			record = &records[i];
	for (unsigned int i = 0; i < LAYOUT_ADOPTIONS_MAX && !record; i++)
		if (!records[i].epoch)
			record = &records[i];
	/* A finished one may be needed by whoever still sees its leaver as a member. */
	for (unsigned int i = 0; i < LAYOUT_ADOPTIONS_MAX && !record; i++)
		if (records[i].state != LAYOUT_ADOPTION_RUNNING && is_over(&records[i], roster))
			record = &records[i];
	if (!record)
		return NULL;
	__atomic_store_n(&record->epoch, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&record->state, 0, __ATOMIC_RELEASE);
	shared_copy_to(record->leaver, entry->uuid, sizeof(record->leaver));
	shared_store(&record->attempt,
		     shared_load(&((const struct layout_header *)entry->peer->memory)->attempt));
	for (unsigned int t = 0; t < ESTATE_TABLES_MAX; t++)
		shared_store(&record->cursor[t], 0);
	__atomic_store_n(&record->epoch, entry->epoch, __ATOMIC_RELEASE);
	return record;
}

static void refuse(struct leaver *leaver, int error)
{
	for (unsigned int t = 0; t < leaver->count; t++)
		if (leaver->reserved[t])
			write_unreserve(leaver->tables[t], leaver->reserved[t]);
	__atomic_store_n(&leaver->record->error, error, __ATOMIC_RELAXED);
	set_state(leaver->record, LAYOUT_ADOPTION_REFUSED);
}

/* Our table for the leaver's, with room for all of its entries. */
static int prepare_table(struct leaver *leaver, unsigned int number)
{
	struct region_table *place = &leaver->places[number];
	struct estate_table *table;
	int error;

	error = store_table(leaver->es, place->name, &place->geometry, &table);
	if (error)
		return error;
	if (place->geometry.merge == ESTATE_MERGE_CUSTOM && !table->custom)
		return error_set(-ENOTSUP, "table %s: its merge rule is custom, and not given here",
				 table->name);
	error = write_reserve(table, place->entries);
	if (error)
		return error;
	leaver->tables[number] = table;
	leaver->reserved[number] = place->entries;
	return 0;
}

/* All tables, before anything is taken: what is to be refused is refused as a whole. */
static int prepare(struct leaver *leaver)
{
	size_t value = 16;

	for (unsigned int index = 0;;) {
		unsigned int number = index;
		int error = region_next_table(leaver->memory, leaver->size, &index,
					      &leaver->places[number]);

		if (error == -ENOENT)
			break;
		if (!error) {
			leaver->count = index;
			error = prepare_table(leaver, number);
		}
		if (error)
			return error;
		if (leaver->places[number].geometry.value_size > value)
			value = leaver->places[number].geometry.value_size;
	}
	leaver->room = 64;
	leaver->copies = malloc(leaver->room * sizeof(*leaver->copies));
	leaver->value = malloc(value);
	if (!leaver->copies || !leaver->value)
		return error_set(-ENOMEM, "no memory to take an instance over");
	return 0;
}

/* The live entries of a home, in leaver->copies; a negative errno value. */
static int read_home(struct leaver *leaver, const struct remote_source *source, uint64_t home)
{
	for (;;) {
		int found = remote_home(source, home, clock_monotonic_us() + READ_US,
					leaver->copies, leaver->room);
		struct entry_copy *larger;

		if (found < 0 || (unsigned int)found <= leaver->room)
			return found;
		larger = realloc(leaver->copies, (size_t)found * sizeof(*larger));
		if (!larger)
			return error_set(-ENOMEM, "no memory to take an instance over");
		leaver->copies = larger;
		leaver->room = (unsigned int)found;
	}
}

/* One entry of theirs becomes a part of ours. */
static int take_entry(struct leaver *leaver, unsigned int number, const struct remote_table *theirs,
		      const struct entry_copy *copy)
{
	struct estate_table *table = leaver->tables[number];
	struct write_absorbed entry = { .key = copy->key,
					.key_length = META_KEY_LENGTH(copy->meta),
					.value = copy->value,
					.stamp = copy->stamp,
					.name = leaver->entry->name,
					.uuid = leaver->entry->uuid,
					.epoch = leaver->entry->epoch };
	struct layout_extent extent;
	int used = 0;
	int error;

	switch (judge_value(&table->geometry, copy, &entry.value_length, &extent)) {
	case FOUND:
		break;
	case ABSENT:
		if (extent_load(&extent, theirs->salt,
				theirs->buckets +
					geometry_block_offset(&table->geometry, extent.block),
				leaver->value))
			return -EBADMSG;
		entry.value = leaver->value;
		break;
	default:
		return -EBADMSG;
	}
	error = write_absorb(table, &entry, &used);
	leaver->reserved[number] -= (uint64_t)used;
	return error;
}

static int take_home(struct leaver *leaver, unsigned int number, const struct remote_table *theirs,
		     const struct remote_source *source, uint64_t home)
{
	uint64_t *cursor = &leaver->record->cursor[number];
	int count = read_home(leaver, source, home);
	int error = 0;

	if (count < 0)
		return count;
	if (count > 0) {
		__atomic_store_n(cursor, home * 2 + 1, __ATOMIC_SEQ_CST);
		for (int i = 0; i < count && !error; i++)
			error = take_entry(leaver, number, theirs, &leaver->copies[i]);
	}
	if (!error)
		__atomic_store_n(cursor, (home + 1) * 2, __ATOMIC_RELEASE);
	return error;
}

static int take_table(struct leaver *leaver, unsigned int number)
{
	const struct region_table *place = &leaver->places[number];
	struct remote_table theirs = { &leaver->tables[number]->geometry,
				       (const unsigned char *)leaver->memory + place->offset,
				       place->salt };
	struct remote_source source = remote_source(&theirs);

	for (uint64_t home = 0; home < place->geometry.homes; home++) {
		int error;

		if (home % HOMES_PER_LOOK == 0 &&
		    __atomic_load_n(&leaver->adopter->stop, __ATOMIC_RELAXED))
			return -ECANCELED;
		error = take_home(leaver, number, &theirs, &source, home);
		if (error)
			return error;
	}
	return 0;
}

/* Take all of it. What fails in the midst leaves the rest with the leaver, where it counts. */
static void take(struct leaver *leaver)
{
	int error = prepare(leaver);

	if (error) {
		refuse(leaver, error);
		goto done;
	}
	set_state(leaver->record, LAYOUT_ADOPTION_RUNNING);
	for (unsigned int t = 0; t < leaver->count && !error; t++)
		error = take_table(leaver, t);
	for (unsigned int t = 0; t < leaver->count; t++)
		if (leaver->reserved[t])
			write_unreserve(leaver->tables[t], leaver->reserved[t]);
	__atomic_store_n(&leaver->record->error, error, __ATOMIC_RELAXED);
	if (!error)
		set_state(leaver->record, LAYOUT_ADOPTION_DONE);
done:
	free(leaver->copies);
	free(leaver->value);
}

/* Whether a member has sealed its region for us, and we have not begun. */
static int wants_us(const struct estate *es, const struct roster_entry *entry)
{
	const struct layout_adoption *record;
	const struct layout_header *header;

	if (!entry->peer || entry->peer->far)
		return 0;
	header = entry->peer->memory;
	if (region_state(header) != LAYOUT_SEALED ||
	    shared_load(&header->adopter_epoch) != es->identity.epoch ||
	    memcmp(header->adopter, es->identity.uuid, sizeof(header->adopter)))
		return 0;
	record = region_adoption(es->region.memory, entry->uuid, entry->epoch);
	return !record || (record->state == LAYOUT_ADOPTION_REFUSED &&
			   record->attempt != shared_load(&header->attempt));
}

static void look_around(struct adopter *adopter)
{
	struct estate *es = adopter->es;
	struct roster *roster;
	uint64_t generation;

	roster = group_roster(es->group, &generation);
	for (unsigned int i = 0; i < roster->count; i++) {
		struct leaver leaver = { .es = es,
					 .adopter = adopter,
					 .entry = &roster->entries[i] };

		if (!wants_us(es, leaver.entry) || adopter->stop)
			continue;
		leaver.memory = leaver.entry->peer->memory;
		leaver.size = leaver.entry->peer->size;
		leaver.record = make_record(es, roster, leaver.entry);
		if (!leaver.record)
			continue;
		__atomic_store_n(&adopter->busy, 1, __ATOMIC_RELAXED);
		take(&leaver);
		__atomic_store_n(&adopter->busy, 0, __ATOMIC_RELAXED);
	}
	roster_release(roster);
}

static void *run(void *arg)
{
	struct adopter *adopter = arg;

	pthread_mutex_lock(&adopter->lock);
	while (!adopter->stop) {
		if (!adopter->wanted) {
			pthread_cond_wait(&adopter->changed, &adopter->lock);
			continue;
		}
		adopter->wanted = 0;
		pthread_mutex_unlock(&adopter->lock);
		look_around(adopter);
		pthread_mutex_lock(&adopter->lock);
	}
	pthread_mutex_unlock(&adopter->lock);
	return NULL;
}

int adopter_init(struct estate *es, struct adopter **result)
{
	struct adopter *adopter = calloc(1, sizeof(*adopter));

	if (!adopter)
		return error_set(-ENOMEM, "estate_open: no memory");
	adopter->es = es;
	pthread_mutex_init(&adopter->lock, NULL);
	pthread_cond_init(&adopter->changed, NULL);
	*result = adopter;
	return 0;
}

void adopter_stop(struct adopter *adopter)
{
	if (!adopter)
		return;
	pthread_mutex_lock(&adopter->lock);
	__atomic_store_n(&adopter->stop, 1, __ATOMIC_RELAXED);
	pthread_cond_signal(&adopter->changed);
	pthread_mutex_unlock(&adopter->lock);
	if (adopter->started)
		pthread_join(adopter->thread, NULL);
	adopter->started = 0;
}

void adopter_destroy(struct adopter *adopter)
{
	if (!adopter)
		return;
	pthread_cond_destroy(&adopter->changed);
	pthread_mutex_destroy(&adopter->lock);
	free(adopter);
}

void adopter_wake(struct adopter *adopter)
{
	sigset_t all;
	sigset_t before;

	pthread_mutex_lock(&adopter->lock);
	adopter->wanted = 1;
	if (!adopter->started && !adopter->stop) {
		/* A signal is for the program's own threads. Without memory: at the next look. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		adopter->started = !pthread_create(&adopter->thread, NULL, run, adopter);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_cond_signal(&adopter->changed);
	pthread_mutex_unlock(&adopter->lock);
}

int adopter_busy(const struct adopter *adopter)
{
	return __atomic_load_n(&adopter->busy, __ATOMIC_RELAXED);
}
