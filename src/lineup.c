// SPDX-License-Identifier: BSD-3-Clause
#include "lineup.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of one far table; 8 bytes each, which the kernel gives when they are touched. */
#define POSITIONS_MAX ((uint64_t)1 << 18)

static int same_life(const struct roster_entry *a, const struct roster_entry *b)
{
	return a->peer == b->peer && a->self == b->self && a->epoch == b->epoch &&
	       !memcmp(a->uuid, b->uuid, sizeof(a->uuid));
}

/* Take over @old's places of a table. */
static void carry_over(struct lineup *lineup, struct lineup *old, unsigned int table)
{
	const struct roster *now = lineup->roster;
	const struct roster *then = old->roster;
	struct view_place *places;

	if (!old->places[table])
		return;
	/* One more than none: an observer can be alone. Without memory they are looked up anew. */
	places = calloc(now->count + 1, sizeof(*places));
	if (!places)
		return;
	for (unsigned int i = 0; i < now->count; i++) {
		places[i].state = -EAGAIN;
		for (unsigned int j = 0; j < then->count; j++) {
			if (!same_life(&now->entries[i], &then->entries[j]))
				continue;
			places[i] = old->places[table][j];
			old->places[table][j].positions = NULL;
			old->places[table][j].seen = NULL;
		}
	}
	lineup->places[table] = places;
}

static int watch(struct lineup *lineup)
{
	const struct roster *roster = lineup->roster;

	lineup->states = calloc(roster->count + 1, sizeof(*lineup->states));
	lineup->joined = calloc(roster->count + 1, sizeof(*lineup->joined));
	if (!lineup->states || !lineup->joined)
		return -ENOMEM;
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct peer *peer = roster->entries[i].peer;
		const struct layout_header *header = peer ? peer->memory : NULL;

		if (peer && peer->far)
			lineup->joined[lineup->joined_count++] = &peer->joined_us;
		else if (peer)
			lineup->states[lineup->state_count++] = &header->state;
	}
	return 0;
}

struct lineup *lineup_make(struct estate *es, struct transport_io *io, struct lineup *old)
{
	struct lineup *lineup = calloc(1, sizeof(*lineup));

	if (!lineup)
		return NULL;
	lineup->references = 1;
	lineup->roster = group_roster(es->group, &lineup->generation);
	lineup->count = lineup->roster->count;
	if (watch(lineup)) {
		lineup_release(lineup);
		return NULL;
	}
	if (io) {
		lineup->endpoints = calloc(lineup->roster->count + 1, sizeof(struct endpoint *));
		if (!lineup->endpoints) {
			lineup_release(lineup);
			return NULL;
		}
		/* If the group has changed meanwhile, the generation is old: look again then. */
		group_endpoints(es->group, io, lineup->roster, lineup->endpoints);
	}
	for (unsigned int i = 0; io && i < lineup->roster->count; i++)
		lineup->far += (unsigned int)lineup_is_far(&lineup->roster->entries[i]);
	for (unsigned int t = 0; old && t < ESTATE_TABLES_MAX; t++)
		carry_over(lineup, old, t);
	return lineup;
}

static void free_place(struct view_place *place)
{
	free(place->positions);
	free(place->seen);
}

void lineup_release(struct lineup *lineup)
{
	if (!lineup || --lineup->references)
		return;
	for (unsigned int t = 0; t < ESTATE_TABLES_MAX; t++) {
		for (unsigned int i = 0; lineup->places[t] && i < lineup->roster->count; i++)
			free_place(&lineup->places[t][i]);
		free(lineup->places[t]);
	}
	free(lineup->endpoints);
	free(lineup->states);
	free(lineup->joined);
	roster_release(lineup->roster);
	free(lineup);
}

int lineup_reserve(struct lineup *lineup, const struct estate_table *table)
{
	struct view_place *places = lineup->places[table->number];

	if (likely(places))
		return 0;
	places = calloc(lineup->roster->count + 1, sizeof(*places));
	if (!places)
		return error_set(-ENOMEM, "no memory for the places of table %s", table->name);
	for (unsigned int i = 0; i < lineup->roster->count; i++)
		places[i].state = -EAGAIN;
	lineup->places[table->number] = places;
	return 0;
}

/* Find a table in the directory of a peer whose memory is mapped. */
static void look_up(const struct estate_table *table, const struct peer *peer,
		    struct view_place *place)
{
	struct region_table found;

	place->tables = region_tables(peer->memory);
	place->state = region_find_table(peer->memory, peer->size, table->name, &found);
	if (place->state)
		return;
	if (!geometry_same(&found.geometry, &table->geometry)) {
		place->state = -EPROTO;
		return;
	}
	place->near = (struct remote_table){ &table->geometry,
					     (const unsigned char *)peer->memory + found.offset,
					     found.salt };
	free(place->seen);
	place->seen = calloc(table->geometry.slots, sizeof(*place->seen));
}

const struct remote_table *lineup_near(struct lineup *lineup, const struct estate_table *table,
				       unsigned int i, int *error)
{
	const struct roster_entry *entry = &lineup->roster->entries[i];
	struct view_place *place = &lineup->places[table->number][i];

	if (likely(!place->state))
		return &place->near;
	if (entry->self) {
		place->near =
			(struct remote_table){ &table->geometry, table->buckets, table->salt };
		place->state = 0;
		return &place->near;
	}
	/* A far one, that the transport came too late for: the next lineup has it. */
	if (!entry->peer || entry->peer->far) {
		*error = -EHOSTDOWN;
		return NULL;
	}
	/* Not there, or damaged, at the last look: another one if the directory has changed. */
	if (place->state == -EAGAIN || place->tables != region_tables(entry->peer->memory))
		look_up(table, entry->peer, place);
	*error = place->state;
	return place->state ? NULL : &place->near;
}

void place_found(struct view_place *place, const struct far_table *table, unsigned int number)
{
	uint64_t count = 64;

	while (count < table->geometry->capacity && count < POSITIONS_MAX)
		count *= 2;
	place->state = 0;
	place->far = *table;
	place->number = number;
	place->mask = count - 1;
	free(place->positions);
	place->positions = calloc(count, sizeof(*place->positions));
}
