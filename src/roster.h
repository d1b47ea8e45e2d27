/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The group as its readers see it: a list that never changes, replaced as a
 * whole. Views hold on to theirs, and with it to the peers in it.
 */
#ifndef ROSTER_H
#define ROSTER_H

#include <estate/instance.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct group;

/* A region that can be read; lives as long as anybody holds it. */
struct peer {
	unsigned int references;
	int stale; /* written by the background thread, read by views */
	/*
	 * The same of a far one: a moment, on our clock, after which its header was read and it was
	 * nothing but a member. 0: it is more than that, or that is not known. See handover.h.
	 */
	uint64_t joined_us;
	uint64_t far; /* the transport's name for it; 0: its region is mapped */
	const void *memory; /* all of its region, or a copy of the first part of it */
	size_t size; /* of its region */
	pid_t pid;
};

/* A member as views see it. */
struct roster_entry {
	struct peer *peer; /* NULL: it cannot be read, or it is this instance */
	int self;
	int unreachable; /* not connected, and for all that is known, alive */
	char name[ESTATE_NAME_MAX];
	uint8_t uuid[16];
	uint64_t epoch;
};

struct roster {
	unsigned int references;
	unsigned int count;
	struct roster_entry entries[]; /* sorted by UUID */
};

/*
 * Whether the instance with this UUID certainly is no more: where it was, nobody listens or
 * somebody else does. @known: it was in an earlier roster; if not, it may be whoever was never
 * connected yet.
 */
int roster_gone(const struct roster *roster, const uint8_t *uuid, int known);

/* Replace the group's roster by what its members are now. The caller has the lock. */
void roster_renew(struct group *group);
void roster_release(struct roster *roster);
void peer_release(struct peer *peer);

#endif
