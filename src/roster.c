// SPDX-License-Identifier: BSD-3-Clause
#include "roster.h"

#include "mapping.h"
#include "member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void peer_release(struct peer *peer)
{
	if (!peer || __atomic_sub_fetch(&peer->references, 1, __ATOMIC_ACQ_REL))
		return;
	if (peer->far)
		free((void *)(uintptr_t)peer->memory);
	else
		mapping_free((void *)(uintptr_t)peer->memory, peer->size);
	free(peer);
}

void roster_release(struct roster *roster)
{
	if (!roster || __atomic_sub_fetch(&roster->references, 1, __ATOMIC_ACQ_REL))
		return;
	for (unsigned int i = 0; i < roster->count; i++)
		peer_release(roster->entries[i].peer);
	free(roster);
}

static int compare_entries(const void *a, const void *b)
{
	const struct roster_entry *left = a;
	const struct roster_entry *right = b;
	int order = memcmp(left->uuid, right->uuid, sizeof(left->uuid));

	return order ? order : strcmp(left->name, right->name);
}

/* What is known of it: its own word, else the registry's, else where it should be. */
void member_name(const struct member *member, char name[ESTATE_NAME_MAX])
{
	const char *known = member->identity.name[0] ? member->identity.name
			    : member->listed_name[0] ? member->listed_name
						     : member->address;

	snprintf(name, ESTATE_NAME_MAX, "%.*s", ESTATE_NAME_MAX - 1, known);
}

int roster_gone(const struct roster *roster, const uint8_t *uuid, int known)
{
	static const uint8_t unknown[16];
	int hidden = 0;

	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		if (!memcmp(entry->uuid, uuid, sizeof(entry->uuid)))
			return !entry->self && !entry->peer && !entry->unreachable;
		hidden |= entry->unreachable && !memcmp(entry->uuid, unknown, sizeof(unknown));
	}
	return known || !hidden;
}

void roster_renew(struct group *group)
{
	unsigned int count = !!group->region;
	struct roster *roster;

	for (const struct member *m = group->members; m; m = m->next)
		count += !m->ours;
	roster = calloc(1, sizeof(*roster) + count * sizeof(roster->entries[0]));
	/* No memory: views go on with the old one, and the next change tries again. */
	if (!roster)
		return;
	roster->references = 1;
	for (const struct member *m = group->members; m; m = m->next) {
		struct roster_entry *entry;

		if (m->ours)
			continue;
		entry = &roster->entries[roster->count++];
		entry->peer = m->peer;
		if (m->peer)
			__atomic_add_fetch(&m->peer->references, 1, __ATOMIC_RELAXED);
		entry->unreachable = !m->peer && !m->refused && transport_address(m->address);
		member_name(m, entry->name);
		memcpy(entry->uuid, m->identity.uuid, sizeof(entry->uuid));
		entry->epoch = m->identity.epoch;
	}
	if (group->region) {
		struct roster_entry *entry = &roster->entries[roster->count++];

		entry->self = 1;
		strcpy(entry->name, group->identity.name);
		memcpy(entry->uuid, group->identity.uuid, sizeof(entry->uuid));
		entry->epoch = group->identity.epoch;
	}
	qsort(roster->entries, roster->count, sizeof(roster->entries[0]), compare_entries);
	roster_release(group->roster);
	group->roster = roster;
	__atomic_add_fetch(&group->generation, 1, __ATOMIC_RELEASE);
}
