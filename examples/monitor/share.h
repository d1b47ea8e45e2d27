/* SPDX-License-Identifier: BSD-3-Clause */
/* Which instance takes which flow. */
#ifndef MONITOR_SHARE_H
#define MONITOR_SHARE_H

#include <estate/instance.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

/*
 * Rendezvous hashing: a flow goes to the member for which a hash of the two is
 * highest. When a member joins, it takes its part from all others and nothing
 * else moves; when one leaves, only its own flows move.
 */
struct share_member {
	char name[ESTATE_NAME_MAX];
	uint64_t seed;
};

struct share {
	struct share_member *members;
	unsigned int count;
	unsigned int room;
};

#define SHARE_NOBODY (~0u)

/* Both directions of a flow have the same hash. */
uint64_t share_hash_flow(const struct flow *flow);

/* Of something that is no flow. */
uint64_t share_hash(const void *bytes, size_t length);

/*
 * The name stands for the member: one that is restarted under its name takes
 * the same flows again. Returns 0 or -ENOMEM.
 */
int share_add(struct share *share, const char *name);

void share_clear(struct share *share);
void share_free(struct share *share);

/* The index of the member that takes what has this hash, or SHARE_NOBODY. */
unsigned int share_pick(const struct share *share, uint64_t hash);

/* The index of a member, or SHARE_NOBODY. */
unsigned int share_find(const struct share *share, const char *name);

#endif
