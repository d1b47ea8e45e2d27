/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is in the group, and the background thread that keeps it true: it
 * answers those who connect, connects to those who appear, watches for those who
 * go or stop, and ticks the clock and the heartbeat. Nothing that it does takes
 * part in anybody's read.
 *
 * Readers see the group as a roster: a list that never changes, replaced as a
 * whole. Views hold on to theirs and look at one number to see that there is a
 * newer one.
 */
#ifndef MEMBER_H
#define MEMBER_H

#include "clock.h"
#include "registry.h"
#include "shm.h"

#include <estate/instance.h>

#include <pthread.h>
#include <stdint.h>

/* A heart that has not been seen beating for so long makes its owner stale. */
#define MEMBER_STALE_US 1000000

/* A region that can be read; lives as long as anybody holds it. */
struct peer {
	unsigned int references;
	struct shm_region region;
	int stale; /* written by the background thread, read by views */
};

/* A member as views see it. */
struct roster_entry {
	struct peer *peer; /* NULL: it cannot be read, or it is this instance */
	int self;
	char name[ESTATE_NAME_MAX];
	uint8_t uuid[16];
	uint64_t epoch;
};

struct roster {
	unsigned int references;
	unsigned int count;
	struct roster_entry entries[]; /* sorted by UUID */
};

struct group; /* the members of a group, as one of them sees them */

/*
 * Join: @region is NULL for an observer. Returns when every member that is
 * registered was connected to or found missing, or after a second.
 */
int group_join(const struct estate_attr *attr, const struct region_identity *identity,
	       struct region *region, struct clock *clock, struct group **group);

/* Leave, and stop the background thread. */
void group_leave(struct group *group);

/* Grows whenever the roster changes. */
uint64_t group_generation(const struct group *group);
struct roster *group_roster(struct group *group, uint64_t *generation);
void roster_release(struct roster *roster);

/* For estate_members(). */
int group_members(struct group *group, struct estate_member *members, unsigned int max);

#endif
