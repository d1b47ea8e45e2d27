/* SPDX-License-Identifier: BSD-3-Clause */
#include "share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static struct flow reverse(const struct flow *flow)
{
	struct flow back = *flow;

	memcpy(back.source, flow->destination, sizeof(back.source));
	memcpy(back.destination, flow->source, sizeof(back.destination));
	back.source_port = flow->destination_port;
	back.destination_port = flow->source_port;
	return back;
}

uint64_t share_hash_flow(const struct flow *flow)
{
	/* Of the two directions, the one that is lower as bytes stands for both. */
	struct flow back = reverse(flow);

	if (memcmp(&back, flow, sizeof(back)) < 0)
		flow = &back;
	return XXH3_64bits(flow, sizeof(*flow));
}

uint64_t share_hash(const void *bytes, size_t length)
{
	return XXH3_64bits(bytes, length);
}

int share_add(struct share *share, const char *name)
{
	struct share_member *member;

	if (share->count == share->room) {
		unsigned int room = share->room ? share->room * 2 : 8;

		member = reallocarray(share->members, room, sizeof(*member));
		if (!member)
			return -ENOMEM;
		share->members = member;
		share->room = room;
	}
	member = &share->members[share->count++];
	snprintf(member->name, sizeof(member->name), "%s", name);
	member->seed = XXH3_64bits(member->name, strlen(member->name));
	return 0;
}

void share_clear(struct share *share)
{
	share->count = 0;
}

void share_free(struct share *share)
{
	free(share->members);
	*share = (struct share){ .members = NULL };
}

unsigned int share_pick(const struct share *share, uint64_t hash)
{
	unsigned int best = SHARE_NOBODY;
	uint64_t best_weight = 0;

	for (unsigned int i = 0; i < share->count; i++) {
		uint64_t weight = XXH3_64bits_withSeed(&hash, sizeof(hash), share->members[i].seed);

		/* Equal weights: the name decides, so that all decide alike. */
		if (best != SHARE_NOBODY &&
		    (weight < best_weight ||
		     (weight == best_weight &&
		      strcmp(share->members[i].name, share->members[best].name) > 0)))
			continue;
		best = i;
		best_weight = weight;
	}
	return best;
}

unsigned int share_find(const struct share *share, const char *name)
{
	for (unsigned int i = 0; i < share->count; i++)
		if (!strcmp(share->members[i].name, name))
			return i;
	return SHARE_NOBODY;
}
