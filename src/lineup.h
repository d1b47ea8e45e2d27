/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The group as a view last saw it: the roster, the connections to those of it
 * that are far, and where each instance has each table. What is known of an
 * instance is carried over to the next lineup.
 */
#ifndef LINEUP_H
#define LINEUP_H

#include "fetch.h"
#include "membership.h"
#include "remote.h"
#include "store.h"

/* Where an instance has a table. */
struct view_place {
	int state; /* 0: it is known; -EAGAIN: to be looked up; else why it cannot be read */
	unsigned int tables; /* how many its directory had when it was looked up */
	unsigned int number; /* of a far one: which of them it is */
	union {
		struct remote_table near;
		struct far_table far;
	};
	/*
	 * Of a far one, where keys were seen: the hash's upper half and the slot plus
	 * one, at the hash's lower bits. NULL: nothing yet.
	 */
	uint64_t *positions;
	uint64_t mask;
	/*
	 * Of one that is near, what we know of its sidecar: for each slot the fingerprint of the
	 * key that was seen there last, 0 if none was. NULL: not near, not found yet.
	 */
	uint16_t *seen;
};

struct lineup {
	unsigned int references; /* of one view: not atomic */
	unsigned int count; /* of the roster */
	unsigned int far; /* how many of the roster are read by READs */
	uint64_t generation;
	struct roster *roster;
	/*
	 * What each reading looks at of its own: of the others who are mapped, the states in their headers;
	 * of those who are far, when they are known to have been members last.
	 */
	unsigned int state_count;
	unsigned int joined_count;
	const uint32_t **states;
	const uint64_t **joined;
	struct endpoint **endpoints; /* one per roster entry; NULL: not far, or not connected */
	struct view_place *places[ESTATE_TABLES_MAX]; /* one per roster entry; NULL: not used yet */
};

/* The group as it is now; takes over what @old knows, which is then for its requests only. */
struct lineup *lineup_make(struct estate *es, struct transport_io *io, struct lineup *old);
void lineup_release(struct lineup *lineup);

/* See that there are places for @table. 0 or -ENOMEM with a sentence. */
int lineup_reserve(struct lineup *lineup, const struct estate_table *table);

/* Where instance @i, which is not far, has the table; NULL: *@error says why it cannot be read. */
const struct remote_table *lineup_near(struct lineup *lineup, const struct estate_table *table,
				       unsigned int i, int *error);

static inline int lineup_is_far(const struct roster_entry *entry)
{
	return entry->peer && entry->peer->far;
}

/* Where a key was seen last at a far place; FETCH_NO_SLOT: nowhere yet. */
static inline uint32_t place_position(const struct view_place *place, uint64_t hash)
{
	uint64_t word = place->positions ? place->positions[hash & place->mask] : 0;

	return word >> 32 == hash >> 32 ? (uint32_t)word - 1 : FETCH_NO_SLOT;
}

static inline void place_remember(const struct view_place *place, uint64_t hash, uint32_t slot)
{
	if (place->positions)
		place->positions[hash & place->mask] = (hash >> 32 << 32) | (slot + 1);
}

/* A far table was found, the @number-th of its directory: room for positions, if there is memory. */
void place_found(struct view_place *place, const struct far_table *table, unsigned int number);

#endif
