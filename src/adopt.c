// SPDX-License-Identifier: BSD-3-Clause
#include "adopt.h"

#include "error.h"
#include "handover.h"
#include "store.h"
#include "takeover.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* So often an adopter that is closed looks for a leaver's last word: for a second or so. */
#define FAREWELL_LOOKS 4000

struct adopter {
	struct estate *es;
	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t changed;
	pthread_t thread;
	int ready; /* the instance is in its group */
	int started;
	int wanted; /* there may be something to do */
	int stop; /* read without the lock */
	int busy; /* in the midst of an adoption */
	int paused; /* nothing is to begin */

	/* Of the thread alone. */
	/* Of each record: since when nobody asks for it any more; 0: somebody may. */
	uint64_t over_us[LAYOUT_ADOPTIONS_MAX];
	/* And whether its leaver has a pool: if it ends, it may come back. */
	int may_return[LAYOUT_ADOPTIONS_MAX];
	struct takeover_past past;
};

static struct layout_adoption *records_of(const struct estate *es)
{
	return (struct layout_adoption *)(es->region.memory + LAYOUT_ADOPTIONS);
}

static int is_about(const struct layout_adoption *record, const struct roster_entry *leaver)
{
	return record->epoch == leaver->epoch &&
	       !memcmp(record->leaver, leaver->uuid, sizeof(record->leaver));
}

static uint32_t state_of(const struct layout_adoption *record)
{
	return __atomic_load_n(&record->state, __ATOMIC_RELAXED);
}

static void set_over(struct adopter *adopter, const struct layout_adoption *record, int over)
{
	__atomic_store_n(&adopter->over_us[record - records_of(adopter->es)],
			 over ? clock_monotonic_us() : 0, __ATOMIC_RELAXED);
}

/* Whether there is a leaver who may come back from its pool, and must be answered then. */
static int has_unfinished(const struct adopter *adopter)
{
	const struct layout_adoption *records = records_of(adopter->es);

	for (unsigned int i = 0; i < LAYOUT_ADOPTIONS_MAX; i++)
		if (shared_load(&records[i].epoch) &&
		    !__atomic_load_n(&adopter->over_us[i], __ATOMIC_RELAXED))
			return 1;
	return 0;
}

/*
 * Whether a record may become somebody else's: when nobody asks for it any more, and no reader is left
 * who has seen its leaver before that had finished, and would take what is not there for not begun.
 */
static int is_free(const struct adopter *adopter, unsigned int i)
{
	uint64_t over_us = adopter->over_us[i];

	return !shared_load(&records_of(adopter->es)[i].epoch) ||
	       (over_us && clock_monotonic_us() >= over_us + HANDOVER_DEATH_US);
}

/*
 * The record for a leaver: the one that it has, or a new one. NULL: not now, as all
 * are in use, or the pool has one whose leaver is to come first.
 */
static struct layout_adoption *find_record(struct adopter *adopter,
					   const struct roster_entry *leaver)
{
	const struct layout_header *header = leaver->peer->memory;
	struct layout_adoption *records = records_of(adopter->es);
	struct layout_adoption *record = NULL;

	for (unsigned int i = 0; i < LAYOUT_ADOPTIONS_MAX && !record; i++)
		if (is_about(&records[i], leaver))
			record = &records[i];
	/* What the pool knows of is to come to its end first. */
	if (record &&
	    (record->state == LAYOUT_ADOPTION_RESUMING || record->state == LAYOUT_ADOPTION_DONE))
		return record;
	if (adopter->es->pool && has_unfinished(adopter))
		return NULL;
	for (unsigned int i = 0; i < LAYOUT_ADOPTIONS_MAX && !record; i++)
		if (is_free(adopter, i))
			record = &records[i];
	if (!record)
		return NULL;
	set_over(adopter, record, 0);
	adopter->may_return[record - records] = !!(shared_load(&header->flags) & LAYOUT_HAS_POOL);
	__atomic_store_n(&record->epoch, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&record->state, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&record->error, 0, __ATOMIC_RELAXED);
	shared_copy_to(record->leaver, leaver->uuid, sizeof(record->leaver));
	shared_store(&record->attempt, shared_load(&header->attempt));
	for (unsigned int t = 0; t < ESTATE_TABLES_MAX; t++)
		shared_store(&record->cursor[t], 0);
	__atomic_store_n(&record->epoch, leaver->epoch, __ATOMIC_RELEASE);
	return record;
}

/* Whether a member has sealed its region for us, and has no answer yet. */
static int wants_us(const struct estate *es, const struct roster_entry *entry)
{
	const struct layout_adoption *record;
	const struct layout_header *header;

	if (!entry->peer)
		return 0;
	header = entry->peer->memory;
	if (!takeover_named(es, header))
		return 0;
	/* What one READ shows comes in no order: the words of the next one are not older than these. */
	if (entry->peer->far &&
	    (group_renew_peer(es->group, entry->peer) || !takeover_named(es, header)))
		return 0;
	if (shared_load(&header->ripe) != shared_load(&header->attempt))
		return 0;
	record = region_adoption(es->region.memory, entry->uuid, entry->epoch);
	/* Our last life had all of it, and may have forgotten it, which the leaver does not know yet. */
	if (shared_load(&header->flags) & LAYOUT_FINISHED)
		return record && state_of(record) == LAYOUT_ADOPTION_DONE;
	/* One that is done may have finished by now. */
	return !record || state_of(record) == LAYOUT_ADOPTION_RESUMING ||
	       state_of(record) == LAYOUT_ADOPTION_DONE ||
	       (state_of(record) == LAYOUT_ADOPTION_REFUSED &&
		record->attempt != shared_load(&header->attempt));
}

static int is_there(struct estate *es, const struct roster_entry *member)
{
	uint64_t generation;
	struct roster *roster = group_roster(es->group, &generation);
	int there = 0;

	for (unsigned int i = 0; i < roster->count; i++)
		there |= roster->entries[i].peer == member->peer;
	roster_release(roster);
	return there;
}

/* Whether it certainly is no more. */
static int is_gone(struct estate *es, const struct roster_entry *member)
{
	uint64_t generation;
	struct roster *roster = group_roster(es->group, &generation);
	int gone = roster_gone(roster, member->uuid, 1);

	roster_release(roster);
	return gone;
}

/* Nothing of it is in the pool any more: there is room for somebody else. */
static int forget(struct adopter *adopter)
{
	struct pool *pool = adopter->es->pool;

	adopter->past.last = (struct pool_adoption){ 0 };
	adopter->past.done_count = 0;
	return pool ? pool->operations->adopting(pool, &adopter->past.last) : 0;
}

/*
 * The leaver has all that it needs of us. One that has a pool may end before that, and come back, and
 * ask again: until its own pool says that it has not to. One that is far may only seem to have ended.
 */
static int is_served(struct estate *es, const struct roster_entry *leaver)
{
	const struct layout_header *header = leaver->peer->memory;

	if (region_state(header) == LAYOUT_LEFT || (shared_load(&header->flags) & LAYOUT_FINISHED))
		return 1;
	return !(shared_load(&header->flags) & LAYOUT_HAS_POOL) && is_gone(es, leaver);
}

/* See the leaver leave, so that its record is needed no more. */
static void see_off(struct adopter *adopter, const struct roster_entry *leaver,
		    struct layout_adoption *record)
{
	const struct layout_header *header = leaver->peer->memory;
	const struct timespec pause = { .tv_nsec = 200000 };
	unsigned int looks_left = FAREWELL_LOOKS;

	while (looks_left && region_state(header) == LAYOUT_SEALED) {
		looks_left -= (unsigned int)__atomic_load_n(&adopter->stop, __ATOMIC_RELAXED);
		if (record->state == LAYOUT_ADOPTION_DONE && is_served(adopter->es, leaver) &&
		    !forget(adopter))
			__atomic_store_n(&record->state, LAYOUT_ADOPTION_ENDED, __ATOMIC_RELEASE);
		/* Whoever is far, and knows that we know, is not seen leaving. */
		if (record->state == LAYOUT_ADOPTION_ENDED && leaver->peer->far)
			break;
		if (!is_there(adopter->es, leaver))
			break;
		nanosleep(&pause, NULL);
	}
	if (record->state == LAYOUT_ADOPTION_DONE && is_served(adopter->es, leaver) &&
	    !forget(adopter))
		__atomic_store_n(&record->state, LAYOUT_ADOPTION_ENDED, __ATOMIC_RELEASE);
	set_over(adopter, record, record->state == LAYOUT_ADOPTION_ENDED);
}

/* A later life of a leaver is there: what it had handed over its pool knows to be ours. */
static int came_back_later(const struct roster *roster, const uint8_t *uuid, uint64_t epoch)
{
	for (unsigned int i = 0; i < roster->count; i++)
		if (roster->entries[i].epoch > epoch &&
		    !memcmp(roster->entries[i].uuid, uuid, sizeof(roster->entries[i].uuid)))
			return 1;
	return 0;
}

/*
 * Those whom we saw neither leave nor end, as the connection broke before, and of whom it is certain now:
 * nobody asks for their records again. Lock held.
 */
static void settle(struct adopter *adopter, const struct roster *roster)
{
	struct layout_adoption *records = records_of(adopter->es);
	uint8_t leaver[sizeof(records->leaver)];

	for (unsigned int i = 0; i < LAYOUT_ADOPTIONS_MAX && !adopter->busy; i++) {
		if (state_of(&records[i]) != LAYOUT_ADOPTION_DONE || adopter->over_us[i])
			continue;
		shared_copy_from(leaver, records[i].leaver, sizeof(leaver));
		if (!came_back_later(roster, leaver, shared_load(&records[i].epoch)) &&
		    (adopter->may_return[i] || !roster_gone(roster, leaver, 1)))
			continue;
		if (forget(adopter))
			continue;
		__atomic_store_n(&records[i].state, LAYOUT_ADOPTION_ENDED, __ATOMIC_RELEASE);
		set_over(adopter, &records[i], 1);
	}
}

static void adopt(struct adopter *adopter, const struct roster_entry *leaver)
{
	struct takeover takeover = { .es = adopter->es,
				     .leaver = leaver,
				     .record = find_record(adopter, leaver),
				     .stop = &adopter->stop,
				     .past = &adopter->past };

	if (!takeover.record)
		return;
	if (takeover.record->state != LAYOUT_ADOPTION_DONE)
		takeover_run(&takeover);
	if (takeover.record->state == LAYOUT_ADOPTION_DONE)
		see_off(adopter, takeover.leaver, takeover.record);
	else if (takeover.record->state == LAYOUT_ADOPTION_REFUSED || !takeover.record->state ||
		 (takeover.lost && !forget(adopter)))
		set_over(adopter, takeover.record, 1);
	roster_release(takeover.roster);
}

/* 0: not now. */
static int set_busy(struct adopter *adopter)
{
	int busy;

	pthread_mutex_lock(&adopter->lock);
	busy = !adopter->paused && !adopter->stop;
	adopter->busy = busy;
	pthread_mutex_unlock(&adopter->lock);
	return busy;
}

static void look_around(struct adopter *adopter)
{
	uint64_t generation;
	struct roster *roster = group_roster(adopter->es->group, &generation);

	pthread_mutex_lock(&adopter->lock);
	settle(adopter, roster);
	pthread_mutex_unlock(&adopter->lock);
	for (unsigned int i = 0; i < roster->count; i++) {
		if (!wants_us(adopter->es, &roster->entries[i]) || !set_busy(adopter))
			continue;
		adopt(adopter, &roster->entries[i]);
		pthread_mutex_lock(&adopter->lock);
		adopter->busy = 0;
		pthread_mutex_unlock(&adopter->lock);
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
	int error;

	if (!adopter)
		return error_set(-ENOMEM, "estate_open: no memory");
	adopter->es = es;
	pthread_mutex_init(&adopter->lock, NULL);
	pthread_cond_init(&adopter->changed, NULL);
	error = takeover_remember(es, &adopter->past, records_of(es));
	if (error) {
		adopter_destroy(adopter);
		return error;
	}
	/* One that the pool knows of. */
	adopter->may_return[0] = shared_load(&records_of(es)->epoch) != 0;
	*result = adopter;
	return 0;
}

void adopter_stop(struct adopter *adopter)
{
	int started;

	if (!adopter)
		return;
	pthread_mutex_lock(&adopter->lock);
	__atomic_store_n(&adopter->stop, 1, __ATOMIC_RELAXED);
	started = adopter->started;
	adopter->started = 0;
	pthread_cond_signal(&adopter->changed);
	pthread_mutex_unlock(&adopter->lock);
	if (started)
		pthread_join(adopter->thread, NULL);
}

void adopter_destroy(struct adopter *adopter)
{
	if (!adopter)
		return;
	pthread_cond_destroy(&adopter->changed);
	pthread_mutex_destroy(&adopter->lock);
	free(adopter);
}

/* Lock held. */
static void start(struct adopter *adopter)
{
	sigset_t all;
	sigset_t before;

	if (!adopter->started && adopter->ready && adopter->wanted && !adopter->stop) {
		/* A signal is for the program's own threads. Without memory: at the next look. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		adopter->started = !pthread_create(&adopter->thread, NULL, run, adopter);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_cond_signal(&adopter->changed);
}

void adopter_wake(struct adopter *adopter)
{
	pthread_mutex_lock(&adopter->lock);
	adopter->wanted = 1;
	start(adopter);
	pthread_mutex_unlock(&adopter->lock);
}

void adopter_begin(struct adopter *adopter)
{
	pthread_mutex_lock(&adopter->lock);
	adopter->ready = 1;
	start(adopter);
	pthread_mutex_unlock(&adopter->lock);
}

int adopter_pause(struct adopter *adopter)
{
	uint64_t generation;
	struct roster *roster = group_roster(adopter->es->group, &generation);
	int error = 0;

	pthread_mutex_lock(&adopter->lock);
	settle(adopter, roster);
	if (adopter->busy)
		error = -EAGAIN;
	else if (has_unfinished(adopter))
		error = -EBUSY;
	adopter->paused |= !error;
	pthread_mutex_unlock(&adopter->lock);
	roster_release(roster);
	return error;
}

void adopter_go_on(struct adopter *adopter)
{
	pthread_mutex_lock(&adopter->lock);
	adopter->paused = 0;
	adopter->wanted = 1;
	start(adopter);
	pthread_mutex_unlock(&adopter->lock);
}
