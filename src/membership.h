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
#ifndef MEMBERSHIP_H
#define MEMBERSHIP_H

#include "adopt.h"
#include "clock.h"
#include "region.h"
#include "roster.h"
#include "transport.h"

#include <estate/instance.h>

#include <stdint.h>

struct group; /* the members of a group, as one of them sees them */

/*
 * Join: @region is NULL for an observer. Returns when every member that is
 * registered was connected to or found missing, or after a second. @adopter: woken
 * when a member wants this instance to take it over; NULL for an observer.
 */
int group_join(const struct estate_attr *attr, const struct region_identity *identity,
	       struct region *region, struct clock *clock, struct adopter *adopter,
	       struct group **group);

/* Leave, and stop the background thread. */
void group_leave(struct group *group);

/* Grows whenever the roster changes: to be loaded, without a lock, as long as the group is there. */
const uint64_t *group_generation(const struct group *group);

struct roster *group_roster(struct group *group, uint64_t *generation);

/* @io's connections to each of @roster: NULL if it is not far, or not connected. */
void group_endpoints(struct group *group, struct transport_io *io, const struct roster *roster,
		     struct endpoint **endpoints);

/* Of far members there are copies of their directories: see that they are of now, or soon. */
void group_renew(struct group *group);

/*
 * See that what is read of @peer's header, adoptions and directory after this is not
 * older than this. 0; -EHOSTDOWN or -ETIMEDOUT if it cannot be read.
 */
int group_renew_peer(struct group *group, const struct peer *peer);

/* NULL if no member's address needs one. */
struct transport *group_transport(struct group *group);

/* Connect an io to all far peers, or take it away; both wait for the background thread. */
int group_io_open(struct group *group, struct transport_io **io);
void group_io_close(struct group *group, struct transport_io *io);

/* The connection of @io to a far member, NULL if there is none. */
struct endpoint *group_endpoint(struct group *group, struct transport_io *io,
				const struct roster_entry *entry);

/* For estate_members(). */
int group_members(struct group *group, struct estate_member *members, unsigned int max);

#endif
