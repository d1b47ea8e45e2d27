// SPDX-License-Identifier: BSD-3-Clause
/* Leaving with a hand-over: what a leaver does is to seal its region, and to wait. */
#include "leave.h"

#include "error.h"
#include "handover.h"
#include "store.h"
#include "wish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DEADLINE_DEFAULT_MS 60000

/* Between two looks at an adopter: in memory, or by READs. */
#define NAP_US 200
#define NAP_FAR_US 3000

/* So many looks in a row must find a far adopter's record of us before it is believed: see listen(). */
#define LOOKS_TO_BELIEVE 3

/* An adopter that is not there to be told that we have finished is not waited for any longer. */
#define FORGET_US 10000000

/* Whoever says that an adopter is dead is believed when that has not answered for so long. */
#define SILENCE_US 1000000

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
	return !entry->self && entry->peer &&
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
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return 0;
}

/*
 * The region is sealed. An adopter may begin when readers who have not seen that, as they are far, have
 * read all that they trust.
 */
static void ripen(struct estate *es)
{
	struct layout_header *header = region_header(&es->region);
	uint64_t now = clock_monotonic_us();

	if (!es->ripe_us)
		es->ripe_us = now + (group_transport(es->group) ? HANDOVER_RIPE_US : 0);
	if (shared_load(&header->ripe) != header->attempt && now >= es->ripe_us)
		__atomic_store_n(&header->ripe, header->attempt, __ATOMIC_RELEASE);
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

		if (entry->peer && !memcmp(entry->uuid, uuid, 16))
			return entry;
	}
	return NULL;
}

/* What an adopter says of us now. */
struct word {
	uint32_t state; /* enum layout_adoption_state; 0: nothing yet */
	int error;
	int recorded; /* it has a record of us */
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
	    shared_load(&record->attempt) != region_header(&es->region)->attempt)
		return (struct word){ 0 };
	word.recorded = 1;
	return word;
}

void leave_wait_end(struct leave_wait *wait)
{
	roster_release(wait->roster);
	*wait = (struct leave_wait){ 0 };
}

/* It is in this roster, which stays. */
static void wait_hold(struct leave_wait *wait, struct roster *roster,
		      const struct roster_entry *adopter)
{
	roster_release(wait->roster);
	wait->roster = roster;
	wait->peer = adopter->peer;
	wait->adopter = adopter->peer->memory;
	strcpy(wait->name, adopter->name);
}

/* We came back from our pool, sealed: what the adopter is the pool does not tell. */
static int is_resumed(const struct estate *es)
{
	return region_header(&es->region)->adopter_epoch == 1;
}

/* The adopter as it is now, or was last. */
static void find_adopter(struct estate *es, struct leave_wait *wait)
{
	uint64_t generation;
	uint64_t now = clock_monotonic_us();
	struct roster *roster = group_roster(es->group, &generation);
	const struct roster_entry *adopter = find(roster, wait->uuid);

	wait->there = 0;
	if (!wait->silent_us)
		wait->silent_us = now;
	if (!adopter || !adopter->peer) {
		/* That a connection broke does not say that it is dead. */
		if (!roster_gone(roster, wait->uuid, wait->peer || !is_resumed(es)))
			wait->gone_us = 0;
		else if (!wait->gone_us)
			wait->gone_us = now;
		roster_release(roster);
		return;
	}
	if (wait->peer != adopter->peer)
		wait->recorded = 0;
	wait_hold(wait, roster, adopter);
	wait->gone_us = 0;
	wait->there = !group_renew_peer(es->group, wait->peer);
	if (wait->there)
		wait->silent_us = 0;
}

/*
 * What the adopter says of us, if it is sure. The words of one READ come in no order: a record may
 * have been another leaver's, or of our last attempt, in all but what we know it by. It was ours
 * when a READ ended that showed it so, and the one before that too, as no record changes hands
 * twice meanwhile; so what the READ after these says is about us, and about now.
 */
static struct word listen(const struct estate *es, struct leave_wait *wait)
{
	struct word word = listen_to(es, wait->adopter);

	if (!wait->peer->far)
		return word;
	if (!word.recorded)
		wait->recorded = 0;
	else if (wait->there)
		wait->recorded++;
	if (wait->recorded < LOOKS_TO_BELIEVE)
		return (struct word){ 0 };
	return word;
}

/*
 * The adopter leaves itself, and has not begun: somebody else, then. Unless it does
 * begin just now: one of both sees what the other one wrote.
 */
static int withdraw(struct estate *es, const struct leave_wait *wait)
{
	struct layout_header *header = region_header(&es->region);

	__atomic_store_n(&header->withdrawn, header->attempt, __ATOMIC_SEQ_CST);
	if (group_renew_peer(es->group, wait->peer))
		return 0;
	return !listen_to(es, wait->adopter).state;
}

/*
 * Somebody who knows says that the adopter is dead. If it answers it is not, and whoever said so
 * is not believed later either, when the connection breaks.
 */
static int is_said_dead(const struct estate *es, struct leave_wait *wait)
{
	int by_wish = wish_says_dead(es->group, wait->name, wait->there);

	if (wait->there)
		wait->dead = NULL;
	/* It may not be connected yet, as we have only just come back, or for a moment. */
	if (!wait->silent_us || clock_monotonic_us() < wait->silent_us + SILENCE_US)
		return 0;
	return by_wish || (wait->dead && !strcmp(wait->dead, wait->name));
}

/* One look. 1: wait on; 0: all is taken; or an error as wait_for() has it. */
static int look(struct estate *es, struct leave_wait *wait)
{
	struct layout_header *header = region_header(&es->region);
	struct word word = { 0 };

	ripen(es);
	find_adopter(es, wait);
	if (wait->adopter) {
		word = listen(es, wait);
		if (!word.state && wait->there && region_state(wait->adopter) != LAYOUT_JOINED &&
		    withdraw(es, wait))
			return error_set(-ECONNREFUSED,
					 "%s does not take %s over: it leaves itself", wait->name,
					 es->identity.name);
		/* Closed in order, it has not begun when it is started again: unless it had. */
		wait->comes_back = (shared_load(&wait->adopter->flags) &
				    (LAYOUT_HAS_POOL | LAYOUT_FINISHED)) == LAYOUT_HAS_POOL &&
				   (word.state || wait->recorded ||
				    region_state(wait->adopter) != LAYOUT_LEFT);
	}
	if (word.state == LAYOUT_ADOPTION_DONE || word.state == LAYOUT_ADOPTION_ENDED)
		return 0;
	if (word.state == LAYOUT_ADOPTION_REFUSED)
		return error_set(-ECONNREFUSED, "%s does not take %s over: %s", wait->name,
				 es->identity.name, strerror(-word.error));
	if (is_said_dead(es, wait)) {
		shared_store(&header->withdrawn, header->attempt);
		return error_set(-EHOSTDOWN, "%s, which was to take %s over, is said to be dead",
				 wait->name, es->identity.name);
	}
	if (word.error && word.error != -ECANCELED)
		return error_set(-EIO,
				 "%s stopped taking %s over in the midst: %s; nothing is lost, and "
				 "nothing counts twice: start it again, or close this one",
				 wait->name, es->identity.name, strerror(-word.error));
	/* One that comes back may have begun already, before we see it again. */
	if (!wait->comes_back && wait->gone_us &&
	    clock_monotonic_us() > wait->gone_us + HANDOVER_DEATH_US) {
		shared_store(&header->withdrawn, header->attempt);
		return error_set(-EHOSTDOWN, "%s ended while it took %s over", wait->name,
				 es->identity.name);
	}
	return 1;
}

/*
 * 0: all is taken. -ECONNREFUSED, -EHOSTDOWN: nothing of it counts as taken. Else
 * the region stays sealed. With a sentence.
 */
static int wait_for(struct estate *es, struct leave_wait *wait, uint64_t until_us)
{
	int result;

	while ((result = look(es, wait)) > 0) {
		if (clock_monotonic_us() >= until_us)
			return error_set(
				-ETIMEDOUT,
				"%s has not taken %s over in time%s; call again to wait for "
				"it",
				wait->name, es->identity.name,
				wait->gone_us
					? ": it ended, and goes on when it is started again; or "
					  "who knows that it never will says so (--dead)"
				: !wait->there
					? ": it does not answer, and whether it is dead is not "
					  "known: it has to be back, or its host, first; or who "
					  "knows that it is dead says so (--dead)"
					: "");
		nap(wait->peer && wait->peer->far ? NAP_FAR_US : NAP_US);
	}
	return result;
}

/* Ask the best one; -ENOENT with a sentence if there is none (more). */
static int ask(struct estate *es, const char *to, struct refusals *refusals,
	       struct leave_wait *wait)
{
	uint64_t generation;
	struct roster *roster = group_roster(es->group, &generation);
	const struct roster_entry *adopter = choose(es, roster, to, refusals);
	int error = -ENOENT;

	leave_wait_end(wait);
	if (adopter && refusals->count < REFUSALS_MAX) {
		memcpy(wait->uuid, adopter->uuid, sizeof(wait->uuid));
		/* It may have begun, and ended, before we look at it for the first time. */
		wait_hold(wait, roster, adopter);
		__atomic_add_fetch(&roster->references, 1, __ATOMIC_RELAXED);
		error = seal(es, adopter);
		es->ripe_us = 0;
		if (!error)
			ripen(es);
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

/* What an adopter is called that was not seen yet, in words and in arguments: all that the pool tells. */
static void name_by_uuid(struct leave_wait *wait)
{
	char *to = wait->name;

	for (unsigned int i = 0; i < sizeof(wait->uuid); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		to += sprintf(to, "%02x", wait->uuid[i]);
	}
}

/* Hand over to one after the other until one takes it. */
static int hand_over(struct estate *es, const char *to, uint64_t until_us)
{
	struct refusals refusals = { 0 };
	const struct layout_header *header = region_header(&es->region);
	struct leave_wait *wait = &es->wait;
	int error = 0;

	/* It was asked before: in this life, or in the last one. */
	if (header->state == LAYOUT_SEALED) {
		if (!*wait->name) {
			memcpy(wait->uuid, header->adopter, sizeof(wait->uuid));
			name_by_uuid(wait);
			wait->comes_back = es->pool && es->pool->leaving && es->pool->adopter_pool;
		}
		error = wait_for(es, wait, until_us);
	} else {
		error = ask(es, to, &refusals, wait);
		if (!error)
			error = wait_for(es, wait, until_us);
	}
	while (error == -ECONNREFUSED || error == -EHOSTDOWN) {
		int last = error;

		error = unseal(es);
		if (error)
			break;
		memcpy(refusals.uuid[refusals.count++], wait->uuid, 16);
		error = ask(es, to, &refusals, wait);
		/* The sentence is still that of the last one who was asked. */
		if (error == -ENOENT)
			error = last;
		if (error == last)
			break;
		if (!error)
			error = wait_for(es, wait, until_us);
	}
	if (header->state != LAYOUT_SEALED)
		leave_wait_end(wait);
	return error;
}

/*
 * The adopter has all, and readers who see that we know it do not count us any more. Whoever comes back
 * from our pool must not ask again, and the adopter may forget us when nobody does: until it has,
 * its pool has room for nobody else. One that is far does not see us leave, and is told as well.
 */
static int finish(struct estate *es)
{
	struct layout_header *header = region_header(&es->region);
	uint64_t until_us = clock_monotonic_us() + FORGET_US;
	struct leave_wait wait = { 0 };
	int told = 0;
	int error = es->pool ? es->pool->operations->handed_over(es->pool) : 0;

	if (error)
		return error;
	__atomic_or_fetch(&header->flags, LAYOUT_FINISHED, __ATOMIC_SEQ_CST);
	memcpy(wait.uuid, header->adopter, sizeof(wait.uuid));
	while (!told && clock_monotonic_us() < until_us) {
		find_adopter(es, &wait);
		if (!es->pool && !(wait.peer && wait.peer->far))
			break;
		if (wait.there) {
			struct word word = listen_to(es, wait.adopter);

			/* It has a record of us until it has heard that. */
			told = !word.recorded || word.state == LAYOUT_ADOPTION_ENDED;
		}
		/* Without a pool it forgot us when it died. */
		told |= wait.gone_us && !es->pool;
		nap(wait.peer && wait.peer->far ? NAP_FAR_US : NAP_US);
	}
	leave_wait_end(&wait);
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
	/* Whoever it takes over, or is about to go on with, comes first. */
	while ((error = adopter_pause(es->adopter)) && clock_monotonic_us() < until_us)
		nap(1000);
	if (error)
		return error_set(-EBUSY, "estate_leave: %s: call again when it has",
				 error == -EAGAIN
					 ? "it is taking over another instance just now"
					 : "an instance that it took over has not finished "
					   "its leave: start that one again");
	es->wait.dead = attr && attr->dead && *attr->dead ? attr->dead : NULL;
	error = hand_over(es, attr && attr->to && *attr->to ? attr->to : NULL, until_us);
	if (!error)
		error = finish(es);
	es->wait.dead = NULL;
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
