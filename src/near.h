/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A key at the instances whose memory is mapped, this one included. At first all
 * of them are located, and their lines asked for, then one after the other is read:
 * so the time to wait for memory is that of one instance, not the sum of all.
 *
 * Where a key is, its owner's sidecar would say, which is private; so a reader makes one
 * of its own, of what it has seen. It is a hint: what is read there proves itself.
 */
#ifndef NEAR_H
#define NEAR_H

#include "sidecar.h"
#include "view.h"

/* The slots where a key can be, but for those of a chain. */
static inline void near_expect(const struct remote_table *table, uint64_t home)
{
	size_t copy_size = table->geometry->copy_size;
	const unsigned char *copies =
		table->buckets +
		geometry_slot_offset(table->geometry, (uint32_t)home * LAYOUT_SLOTS);

	for (unsigned int bucket = 0; bucket < 2; bucket++) {
		for (unsigned int copy = 0; copy < 2 * LAYOUT_SLOTS; copy++, copies += copy_size)
			__builtin_prefetch(copies);
		copies += sizeof(struct layout_bucket);
	}
}

/* Find out where @key seems to be at each near instance, for near_read(). */
static inline void near_locate(const struct request *request, const struct entry_key *key,
			       struct reading *readings)
{
	const struct lineup *lineup = request->lineup;
	const struct view_place *places = lineup->places[request->query.table->number];
	const struct geometry *geometry = &request->query.table->geometry;
	uint64_t home = geometry_home(geometry, key->hash);
	uint16_t fingerprint = sidecar_fingerprint(key->hash);
	size_t both = 2 * (size_t)geometry->copy_size;

	for (unsigned int i = 0; i < lineup->count; i++) {
		const struct view_place *place = &places[i];
		const unsigned char *copies;
		unsigned int match;

		readings[i].copies = NULL;
		if (unlikely(!place->seen))
			continue;
		match = sidecar_match(sidecar_load(place->seen + home * LAYOUT_SLOTS), fingerprint);
		if (unlikely(!match)) {
			near_expect(&place->near, home);
			continue;
		}
		readings[i].slot = (uint32_t)home * LAYOUT_SLOTS + sidecar_first(match);
		copies = place->near.buckets + geometry_slot_offset(geometry, readings[i].slot);
		readings[i].copies = copies;
		for (size_t line = 0; line < both; line += 64)
			__builtin_prefetch(copies + line);
	}
}

/* Values of @table by @instances: room for one of each. 0 or -ENOMEM with a sentence. */
int near_reserve(struct near_room *room, const struct estate_table *table, unsigned int instances);

/* Read @key, which was located, at each near instance that has not been read yet. */
void near_read(struct estate_view *view, struct request *request, struct entry_key *key,
	       struct reading *readings);

#endif
