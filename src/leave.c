// SPDX-License-Identifier: BSD-3-Clause
/* Leaving with a hand-over: what a leaver does is to seal its region, and to wait. */
#include "error.h"
#include "handover.h"
#include "store.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DEADLINE_DEFAULT_MS 60000

/* Readers may go on for so long with a roster that has an adopter who died. */
#define STALE_ROSTERS_US 500000

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

static void seal(struct estate *es, const struct roster_entry *adopter)
{
	struct layout_header *header = region_header(&es->region);

	shared_copy_to(header->adopter, adopter->uuid, sizeof(header->adopter));
	shared_store(&header->adopter_epoch, adopter->epoch);
	shared_store(&header->attempt, header->attempt + 1);
	__atomic_store_n(&header->state, LAYOUT_SEALED, __ATOMIC_SEQ_CST);
}

static void unseal(struct estate *es)
{
	struct layout_header *header = region_header(&es->region);

	__atomic_store_n(&header->state, LAYOUT_JOINED, __ATOMIC_RELEASE);
	shared_store(&header->adopter_epoch, 0);
}

static void nap(uint64_t us)
{
	const struct timespec pause = { .tv_sec = (time_t)(us / 1000000),
					.tv_nsec = (long)(us % 1000000) * 1000 };

	nanosleep(&pause, NULL);
}

/* Whether the adopter, in that life, still is a member that can be read. */
static int still_there(struct estate *es, const struct roster_entry *adopter)
{
	uint64_t generation;
	struct roster *roster = group_roster(es->group, &generation);
	int there = 0;

	for (unsigned int i = 0; i < roster->count && !there; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		there = entry->peer == adopter->peer && entry->peer &&
			entry->epoch == adopter->epoch;
	}
	roster_release(roster);
	return there;
}

/*
 * 0: all is taken. -ECONNREFUSED, -EHOSTDOWN: nothing of it counts as taken. Else
 * the region stays sealed. With a sentence, and what the adopter said in *@why.
 */
static int wait_for(struct estate *es, const struct roster_entry *adopter, uint64_t until_us,
		    int *why)
{
	for (;;) {
		const struct layout_adoption *record = region_adoption(
			adopter->peer->memory, es->identity.uuid, es->identity.epoch);
		uint32_t state = record ? __atomic_load_n(&record->state, __ATOMIC_ACQUIRE) : 0;

		/* That was the last time. */
		if (state == LAYOUT_ADOPTION_REFUSED &&
		    record->attempt != region_header(&es->region)->attempt)
			state = 0;
		if (state == LAYOUT_ADOPTION_DONE)
			return 0;
		if (state == LAYOUT_ADOPTION_REFUSED) {
			*why = record->error;
			return error_set(-ECONNREFUSED, "%s does not take %s over: %s",
					 adopter->name, es->identity.name, strerror(-*why));
		}
		if (state == LAYOUT_ADOPTION_RUNNING &&
		    __atomic_load_n(&record->error, __ATOMIC_RELAXED))
			return error_set(-EIO,
					 "%s stopped taking %s over in the midst: %s; nothing is "
					 "lost, and nothing counts twice: call again, or close it",
					 adopter->name, es->identity.name,
					 strerror(-record->error));
		if (!still_there(es, adopter)) {
			nap(STALE_ROSTERS_US);
			return error_set(-EHOSTDOWN, "%s ended while it took %s over",
					 adopter->name, es->identity.name);
		}
		if (clock_monotonic_us() >= until_us)
			return error_set(
				-ETIMEDOUT,
				"%s has not taken %s over in time: it goes on; call again to "
				"wait for it",
				adopter->name, es->identity.name);
		nap(200);
	}
}

/* Hand over to one after the other until one takes it. */
static int hand_over(struct estate *es, const char *to, uint64_t until_us)
{
	struct refusals refusals = { 0 };
	int error = -ENOENT;

	for (;;) {
		uint64_t generation;
		struct roster *roster = group_roster(es->group, &generation);
		const struct roster_entry *adopter = choose(es, roster, to, &refusals);
		int why = 0;

		if (!adopter || refusals.count == REFUSALS_MAX) {
			roster_release(roster);
			if (refusals.count)
				return error;
			return error_set(-ENOENT,
					 to ? "no member called %s can take %s over: \"estate "
					      "members\" shows who is there"
					    : "no member can take over from %s%s",
					 to ? to : es->identity.name, to ? es->identity.name : "");
		}
		seal(es, adopter);
		error = wait_for(es, adopter, until_us, &why);
		if (error == -ECONNREFUSED || error == -EHOSTDOWN) {
			unseal(es);
			memcpy(refusals.uuid[refusals.count++], adopter->uuid, 16);
		}
		roster_release(roster);
		if (!error || (error != -ECONNREFUSED && error != -EHOSTDOWN))
			return error;
	}
}

int estate_leave(struct estate *es, const struct estate_leave_attr *attr)
{
	uint64_t until_us = clock_monotonic_us();
	unsigned int views;
	int error;

	if (!es)
		return error_set(-EINVAL, "estate_leave: es is NULL");
	if (attr && attr->size != sizeof(*attr))
		return error_set(
			-EINVAL,
			"estate_leave: attr's size is %zu, this library expects %zu: start "
			"from ESTATE_LEAVE_ATTR_INIT, built with the same headers",
			attr->size, sizeof(*attr));
	if (!es->region.memory)
		return error_set(-EINVAL, "estate_leave: an observer has nothing to hand over");
	views = __atomic_load_n(&es->views, __ATOMIC_ACQUIRE);
	if (views)
		return error_set(-EBUSY, "estate_leave: %u of its views are open: close them first",
				 views);
	if (adopter_busy(es->adopter))
		return error_set(-EBUSY,
				 "estate_leave: it is taking over another instance just now: call "
				 "again when it has");
	if (group_transport(es->group))
		return error_set(-ENOTSUP,
				 "estate_leave: this version hands over on one host only, and the "
				 "group has members on others");
	until_us +=
		(uint64_t)(attr && attr->deadline_ms ? attr->deadline_ms : DEADLINE_DEFAULT_MS) *
		1000;
	error = hand_over(es, attr ? attr->to : NULL, until_us);
	return error ? error : estate_close(es);
}
