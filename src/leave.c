// SPDX-License-Identifier: BSD-3-Clause
/* Leaving with a hand-over: what a leaver does is to seal its region, and to wait. */
#include "error.h"
#include "handover.h"
#include "store.h"
#include "wish.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DEADLINE_DEFAULT_MS 60000

/* Readers may go on for so long with a roster that has an adopter who died. */
#define STALE_ROSTERS_US 500000

/* An adopter that is not there to be told that we have finished is not waited for any longer. */
#define FORGET_US 10000000

#define REFUSALS_MAX 64

/* Those who were asked and said no. */
struct refusals {
	unsigned int count;
	uint8_t uuid[REFUSALS_MAX][16];
};

static int has_refused(const struct refusals *refusals, const uint8_t *uuid)
{
	for (unsigned int i = 0; i < refusals->count; i++)
		if (!memcmp(refusals->uuid[i], uuid, 16))
			return 1;
	return 0;
}

/* Rendezvous hashing (Thaler and Ravishankar, 1998): leavers spread over those who stay. */
static uint64_t weight(const struct estate *es, const struct roster_entry *entry)
{
	uint8_t both[32];

	memcpy(both, es->identity.uuid, 16);
	memcpy(both + 16, entry->uuid, 16);
	return XXH3_64bits(both, sizeof(both));
}

static int can_adopt(const struct roster_entry *entry)
{
	return !entry->self && entry->peer && !entry->peer->far &&
	       !__atomic_load_n(&entry->peer->stale, __ATOMIC_RELAXED) &&
	       region_state(entry->peer->memory) == LAYOUT_JOINED;
}

/* Who is to take over: the one called @to, or the best of those who have not refused. */
static const struct roster_entry *choose(const struct estate *es, const struct roster *roster,
					 const char *to, const struct refusals *refusals)
{
	const struct roster_entry *best = NULL;

	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		if (!can_adopt(entry) || has_refused(refusals, entry->uuid) ||
		    (to && strcmp(to, entry->name)))
			continue;
		if (!best || weight(es, entry) > weight(es, best))
			best = entry;
	}
	return best;
}

/* In the pool first: who comes back from it must know that a part of it may be somebody else's. */
static int seal(struct estate *es, const struct roster_entry *adopter)
{
	struct layout_header *header = region_header(&es->region);
	int error = 0;

	if (es->pool)
		error = es->pool->operations->sync(es->pool);
	if (!error && es->pool)
		error = es->pool->operations->leaving(
			es->pool, adopter->uuid,
			shared_load(&((const struct layout_header *)adopter->peer->memory)->flags) &
				LAYOUT_HAS_POOL);
	if (error)
		return error;
	shared_copy_to(header->adopter, adopter->uuid, sizeof(header->adopter));
	shared_store(&header->adopter_epoch, adopter->epoch);
	shared_store(&header->attempt, header->attempt + 1);
	__atomic_store_n(&header->state, LAYOUT_SEALED, __ATOMIC_SEQ_CST);
	return 0;
}

static int unseal(struct estate *es)
{
	struct layout_header *header = region_header(&es->region);

	__atomic_store_n(&header->state, LAYOUT_JOINED, __ATOMIC_RELEASE);
	shared_store(&header->adopter_epoch, 0);
	return es->pool ? es->pool->operations->leaving(es->pool, NULL, 0) : 0;
}

static void nap(uint64_t us)
{
	const struct timespec pause = { .tv_sec = (time_t)(us / 1000000),
					.tv_nsec = (long)(us % 1000000) * 1000 };

	nanosleep(&pause, NULL);
}

/* The adopter as it is in the group now; NULL if it cannot be read. */
static const struct roster_entry *find(const struct roster *roster, const uint8_t *uuid)
{
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		if (entry->peer && !entry->peer->far && !memcmp(entry->uuid, uuid, 16))
			return entry;
	}
	return NULL;
}

/* What an adopter says of us now. */
struct word {
	uint32_t state; /* enum layout_adoption_state; 0: nothing yet */
	int error;
};

static struct word listen_to(const struct estate *es, const void *adopter)
{
	const struct layout_adoption *record =
		region_adoption(adopter, es->identity.uuid, es->identity.epoch);
	struct word word = { 0 };

	if (!record)
		return word;
	word.state = __atomic_load_n(&record->state, __ATOMIC_ACQUIRE);
	word.error = __atomic_load_n(&record->error, __ATOMIC_ACQUIRE);
	/* That was the last time. */
	if (word.state == LAYOUT_ADOPTION_REFUSED &&
	    record->attempt != region_header(&es->region)->attempt)
		word = (struct word){ 0 };
	return word;
}

/* Waiting for one adopter. */
struct wait {
	uint8_t uuid[16];
	char name[ESTATE_NAME_MAX];
	struct roster *roster; /* the last one that has it: its memory stays, if it ends */
	const struct layout_header *adopter; /* in there; NULL: it was not there yet */
	int comes_back; /* it has a pool: when it ends in the midst, it goes on some day */
	uint64_t gone_us; /* since when it is not there; 0: it is */
};

static void wait_end(struct wait *wait)
{
	roster_release(wait->roster);
	wait->roster = NULL;
}

/* The adopter as it is now, or was last. */
static void find_adopter(struct estate *es, struct wait *wait)
{
	uint64_t generation;
	struct roster *roster = group_roster(es->group, &generation);
	const struct roster_entry *adopter = find(roster, wait->uuid);

	if (!adopter) {
		if (!wait->gone_us)
			wait->gone_us = clock_monotonic_us();
		roster_release(roster);
		return;
	}
	wait_end(wait);
	wait->roster = roster;
	wait->adopter = adopter->peer->memory;
	strcpy(wait->name, adopter->name);
	wait->gone_us = 0;
}

/*
 * The adopter leaves itself, and has not begun: somebody else, then. Unless it does
 * begin just now: one of both sees what the other one wrote.
 */
static int withdraw(struct estate *es, const struct wait *wait, struct word *word)
{
	struct layout_header *header = region_header(&es->region);

	__atomic_store_n(&header->withdrawn, header->attempt, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*word = listen_to(es, wait->adopter);
	return !word->state;
}

/* One look. 1: wait on; 0: all is taken; or an error as wait_for() has it. */
static int look(struct estate *es, struct wait *wait)
{
	struct layout_header *header = region_header(&es->region);
	struct word word = { 0 };

	find_adopter(es, wait);
	if (wait->adopter) {
		word = listen_to(es, wait->adopter);
		if (!word.state && !wait->gone_us && region_state(wait->adopter) != LAYOUT_JOINED &&
		    withdraw(es, wait, &word))
			return error_set(-ECONNREFUSED,
					 "%s does not take %s over: it leaves itself", wait->name,
					 es->identity.name);
		/* Closed in order, it has not begun when it is started again: unless it had. */
		wait->comes_back = (shared_load(&wait->adopter->flags) &
				    (LAYOUT_HAS_POOL | LAYOUT_FINISHED)) == LAYOUT_HAS_POOL &&
				   (word.state || region_state(wait->adopter) != LAYOUT_LEFT);
	}
	if (word.state == LAYOUT_ADOPTION_DONE || word.state == LAYOUT_ADOPTION_ENDED)
		return 0;
	if (word.state == LAYOUT_ADOPTION_REFUSED)
		return error_set(-ECONNREFUSED, "%s does not take %s over: %s", wait->name,
				 es->identity.name, strerror(-word.error));
	if (word.error && word.error != -ECANCELED)
		return error_set(-EIO,
				 "%s stopped taking %s over in the midst: %s; nothing is lost, and "
				 "nothing counts twice: start it again, or close this one",
				 wait->name, es->identity.name, strerror(-word.error));
	/* One that comes back may have begun already, before we see it again. */
	if (!wait->comes_back && wait->gone_us &&
	    clock_monotonic_us() > wait->gone_us + STALE_ROSTERS_US) {
		header->withdrawn = header->attempt;
		return error_set(-EHOSTDOWN, "%s ended while it took %s over", wait->name,
				 es->identity.name);
	}
	return 1;
}

/*
 * 0: all is taken. -ECONNREFUSED, -EHOSTDOWN: nothing of it counts as taken. Else
 * the region stays sealed. With a sentence.
 */
static int wait_for(struct estate *es, struct wait *wait, uint64_t until_us)
{
	int result;

	while ((result = look(es, wait)) > 0) {
		if (clock_monotonic_us() >= until_us)
			return error_set(
				-ETIMEDOUT,
				"%s has not taken %s over in time%s; call again to wait for "
				"it",
				wait->name, es->identity.name,
				wait->gone_us ? ": it ended, and goes on when it is started again"
					      : "");
		nap(200);
	}
	return result;
}

/* Ask the best one; -ENOENT with a sentence if there is none (more). */
static int ask(struct estate *es, const char *to, struct refusals *refusals, struct wait *wait)
{
	uint64_t generation;
	struct roster *roster = group_roster(es->group, &generation);
	const struct roster_entry *adopter = choose(es, roster, to, refusals);
	int error = -ENOENT;

	wait_end(wait);
	*wait = (struct wait){ 0 };
	if (adopter && refusals->count < REFUSALS_MAX) {
		memcpy(wait->uuid, adopter->uuid, sizeof(wait->uuid));
		strcpy(wait->name, adopter->name);
		error = seal(es, adopter);
	} else if (!refusals->count && to) {
		error_set(error,
			  "no member called %s can take %s over: \"estate members\" shows who is "
			  "there",
			  to, es->identity.name);
	} else if (!refusals->count) {
		error_set(error, "no member can take over from %s", es->identity.name);
	}
	roster_release(roster);
	return error;
}

/* Hand over to one after the other until one takes it. */
static int hand_over(struct estate *es, const char *to, uint64_t until_us)
{
	struct refusals refusals = { 0 };
	const struct layout_header *header = region_header(&es->region);
	struct wait wait = { 0 };
	int error = 0;

	/* It was asked before. */
	if (header->state == LAYOUT_SEALED) {
		memcpy(wait.uuid, header->adopter, sizeof(wait.uuid));
		strcpy(wait.name, "the adopter");
		wait.comes_back = es->pool && es->pool->leaving && es->pool->adopter_pool;
		error = wait_for(es, &wait, until_us);
	} else {
		error = ask(es, to, &refusals, &wait);
		if (!error)
			error = wait_for(es, &wait, until_us);
	}
	while (error == -ECONNREFUSED || error == -EHOSTDOWN) {
		int last = error;

		error = unseal(es);
		if (error)
			break;
		memcpy(refusals.uuid[refusals.count++], wait.uuid, 16);
		error = ask(es, to, &refusals, &wait);
		/* The sentence is still that of the last one who was asked. */
		if (error == -ENOENT)
			error = last;
		if (error == last)
			break;
		if (!error)
			error = wait_for(es, &wait, until_us);
	}
	wait_end(&wait);
	return error;
}

/*
 * The adopter has all. Whoever comes back from our pool must not ask again, and
 * the adopter may forget us when nobody does: until it has, its pool has room for nobody else.
 */
static int finish(struct estate *es)
{
	struct layout_header *header = region_header(&es->region);
	uint64_t until_us = clock_monotonic_us() + FORGET_US;
	struct wait wait = { 0 };
	struct word word = { 0 };
	int error;

	if (!es->pool)
		return 0;
	error = es->pool->operations->handed_over(es->pool);
	if (error)
		return error;
	__atomic_or_fetch(&header->flags, LAYOUT_FINISHED, __ATOMIC_RELEASE);
	memcpy(wait.uuid, header->adopter, sizeof(wait.uuid));
	while (word.state != LAYOUT_ADOPTION_ENDED && clock_monotonic_us() < until_us) {
		find_adopter(es, &wait);
		if (wait.adopter && !wait.gone_us)
			word = listen_to(es, wait.adopter);
		nap(100);
	}
	wait_end(&wait);
	return 0;
}

static int check(const struct estate *es, const struct estate_leave_attr *attr)
{
	unsigned int views;

	if (attr && attr->size != sizeof(*attr))
		return error_set(
			-EINVAL,
			"estate_leave: attr's size is %zu, this library expects %zu: start "
			"from ESTATE_LEAVE_ATTR_INIT, built with the same headers",
			attr->size, sizeof(*attr));
	views = __atomic_load_n(&es->views, __ATOMIC_ACQUIRE);
	if (views)
		return error_set(-EBUSY, "estate_leave: %u of its views are open: close them first",
				 views);
	if (group_transport(es->group))
		return error_set(-ENOTSUP,
				 "estate_leave: this version hands over on one host only, and the "
				 "group has members on others");
	return 0;
}

/* All but the last step. */
static int leave(struct estate *es, const struct estate_leave_attr *attr)
{
	uint64_t until_us = clock_monotonic_us();
	int error = check(es, attr);

	if (error)
		return error;
	until_us += 1000ull * (attr && attr->deadline_ms ? attr->deadline_ms : DEADLINE_DEFAULT_MS);
	while ((error = adopter_pause(es->adopter)) == -EAGAIN && clock_monotonic_us() < until_us)
		nap(1000);
	if (error)
		return error_set(-EBUSY, "estate_leave: %s: call again when it has",
				 error == -EAGAIN
					 ? "it is taking over another instance just now"
					 : "an instance that it took over has not finished "
					   "its leave: start that one again");
	error = hand_over(es, attr && attr->to && *attr->to ? attr->to : NULL, until_us);
	if (!error)
		error = finish(es);
	/* As it was before. */
	if (error && region_state(es->region.memory) == LAYOUT_JOINED)
		adopter_go_on(es->adopter);
	return error;
}

int estate_leave(struct estate *es, const struct estate_leave_attr *attr)
{
	int error;

	if (!es)
		return error_set(-EINVAL, "estate_leave: es is NULL");
	if (!es->region.memory)
		return error_set(-EINVAL, "estate_leave: an observer has nothing to hand over");
	error = leave(es, attr);
	if (!error) {
		wish_fulfilled(es->group);
		return estate_close(es);
	}
	/* While it is sealed there is no way back: the wish stays. */
	if (region_state(es->region.memory) == LAYOUT_JOINED)
		wish_failed(es->group, error);
	return error;
}
