/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading while an instance hands its state over, so that every contribution
 * counts exactly once.
 *
 * The leaver seals its region: from then on nothing in it changes. The adopter
 * takes one table after the other, home bucket by home bucket, and says in its own
 * region how far it has come: before it takes a home's entries it marks that home,
 * when it has them it moves its cursor on. So of a key with home h, whoever looks
 *
 * - at the cursor, and finds h taken, and then reads the adopter's entry, has
 *   the leaver's part in it: the leaver's entry is skipped;
 * - reads the adopter's entry, and then at the cursor, and finds h not begun, has
 *   none of it in there: the leaver's entry counts;
 * - finds neither, looks again: it takes as long as one bucket does.
 *
 * Most readers find nobody sealed when they have read all, which proves that no
 * adopter had begun: one look at each instance's state is what it costs them.
 *
 * Of far instances that would be one more READ. So of those there is a lease: no
 * adopter begins before a seal is HANDOVER_RIPE_US old. Whoever saw an instance that
 * was not sealed, and within HANDOVER_LEASE_US from then on has read all, has nothing
 * of an adoption of it. The background thread looks at headers all the time anyway.
 * doc/design.md, section 12, has the argument in full.
 */
#ifndef HANDOVER_H
#define HANDOVER_H

#include "lineup.h"

/*
 * On the clocks of two hosts, so that the one has to be well below the other: some
 * heartbeats may be missed, and clocks may run differently. The third one is how long the
 * leaver waits from an adopter's death on, before it asks another one: longer than any reader
 * takes that may have read the dead one; and how long an adopter's record of a leaver stays after the end.
 */
#define HANDOVER_LEASE_US 400000
#define HANDOVER_RIPE_US 1000000
#define HANDOVER_DEATH_US 500000

#define HANDOVER_NOBODY UINT32_MAX

/* How far an instance's part of one table had been handed over at a moment. */
struct handover {
	enum layout_state state;
	int unsure; /* of any home: there was no time to find out */
	int error; /* it could not be read: it is missing */
	unsigned int adopter; /* whom it names, by its place in the roster */
	int recorded; /* and a record of it was seen there */
	uint64_t cursor;
};

enum handover_finding {
	HANDOVER_COUNTS,
	HANDOVER_TAKEN,
	HANDOVER_UNSURE,
	HANDOVER_MISSING,
};

/* A far instance's first LAYOUT_PAGE bytes, by a READ. */
struct handover_page {
	const void *memory; /* NULL: it could not be read */
	int error; /* why */
};

/*
 * Look at all of the roster, about @table; @now has room for one per entry. @pages: those of
 * the far ones, by their places in the roster; NULL: none is. @last: what the look before
 * this one saw, which had ended when the READs of the pages began; NULL: none.
 */
void handover_look(const struct lineup *lineup, const struct estate_table *table,
		   const struct handover_page *pages, const struct handover *last,
		   struct handover *now);

/* Where the leaver's part of a key with this home is. */
static inline enum handover_finding handover_judge(const struct handover *at, uint64_t home)
{
	if (at->error)
		return HANDOVER_MISSING;
	if (at->state == LAYOUT_JOINED)
		return HANDOVER_COUNTS;
	if (at->unsure)
		return HANDOVER_UNSURE;
	if (home < at->cursor / 2)
		return HANDOVER_TAKEN;
	return at->cursor % 2 && home == at->cursor / 2 ? HANDOVER_UNSURE : HANDOVER_COUNTS;
}

/* Whether it is known of all instances of the roster where their part of a home is. */
int handover_sure(const struct lineup *lineup, const struct handover *at, uint64_t home);

/*
 * Whether what counted by @before, of a home, was nobody else's until @after: then nothing counts
 * twice, and whoever was unsure is missing.
 */
int handover_held(const struct lineup *lineup, const struct handover *before,
		  const struct handover *after, uint64_t home);

/* Both: nobody is missing who could be read. */
int handover_steady(const struct lineup *lineup, const struct handover *before,
		    const struct handover *after, uint64_t home);

/* Whether anybody whose memory is mapped was a member at that look, and is more than that now. */
int handover_changed(const struct lineup *lineup, const struct handover *then);

/* Whether a look found nobody but members: then it is a lease, from the moment it began. */
int handover_none(const struct lineup *lineup, const struct handover *now);

/* Whether anybody whose memory is mapped is not just a member: after all of it was read. */
static inline int handover_in_sight(const struct lineup *lineup)
{
	unsigned int others = 0;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	for (unsigned int i = 0; i < lineup->state_count; i++)
		others |= shared_load32(lineup->states[i]) ^ LAYOUT_JOINED;
	return others != 0;
}

/*
 * A lease as it is when a request begins: until when, on our clock, what is read from then on has
 * nothing of an adoption that has not ended; 0: never. @joined: set to what is known of each that is
 * far, in the lineup's order, for whoever needs it of some of them only. There must be any.
 */
static inline uint64_t handover_lease(const struct lineup *lineup, uint64_t *joined)
{
	uint64_t first = joined[0] = shared_load(lineup->joined[0]);

	for (unsigned int i = 1; i < lineup->joined_count; i++) {
		joined[i] = shared_load(lineup->joined[i]);
		if (joined[i] < first)
			first = joined[i];
	}
	/* All of that was before now, and so is good for those who are mapped. */
	if (unlikely(!first || handover_in_sight(lineup)))
		return 0;
	return first + HANDOVER_LEASE_US;
}

#endif
