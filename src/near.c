// SPDX-License-Identifier: BSD-3-Clause
#include "near.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>

/* Bytes of a value, so that the next one is aligned to 16, too. */
static size_t value_room(const struct estate_table *table)
{
	return ((size_t)table->geometry.value_size + 15) / 16 * 16;
}

int near_reserve(struct near_room *room, const struct estate_table *table, unsigned int instances)
{
	size_t size = value_room(table) * instances;
	unsigned char *memory;

	if (size <= room->size)
		return 0;
	memory = aligned_alloc(16, size);
	if (!memory)
		return error_set(-ENOMEM, "no memory for values of %u instances: %zu bytes",
				 instances, size);
	free(room->memory);
	room->memory = memory;
	room->size = size;
	return 0;
}

static void remember(const struct view_place *place, const struct entry_key *key,
		     const struct reading *reading, uint32_t slot)
{
	uint32_t first = (uint32_t)geometry_home(place->near.geometry, key->hash) * LAYOUT_SLOTS;

	if (!place->seen)
		return;
	if (reading->copies)
		place->seen[reading->slot] = 0;
	/* What is in an overflow chain is found by its home alone. */
	if (slot - first < 2 * LAYOUT_SLOTS)
		place->seen[slot] = sidecar_fingerprint(key->hash);
}

/* Wherever it is at instance @i; and remember that. 0, -ENOENT, or why it is missing. */
static __attribute__((noinline)) int search(struct estate_view *view, struct request *request,
					    unsigned int i, struct entry_key *key,
					    const struct reading *reading,
					    struct remote_value *value)
{
	const struct estate_table *table = request->query.table;
	const struct remote_table *found;
	int error;

	if (request->lineup->roster->entries[i].self) {
		entry_key_salt(key, table->salt, table->geometry.key_room / 8);
		return table_get(table, key, value->data, table->geometry.value_size,
				 &value->length, &value->stamp);
	}
	found = lineup_near(request->lineup, table, i, &error);
	if (!found)
		return error;
	error = remote_get(found, key, view_deadline(view, request), value);
	if (!error)
		remember(&request->lineup->places[table->number][i], key, reading, value->slot);
	return error;
}

ENTRY_INLINE void read_all(struct estate_view *view, struct request *request, struct entry_key *key,
			   struct reading *readings, uint32_t key_words)
{
	const struct estate_table *table = request->query.table;
	const struct view_place *places = request->lineup->places[table->number];
	unsigned char *room = view->near.memory;
	size_t step = value_room(table);

	for (unsigned int i = 0; i < request->lineup->count; i++, room += step) {
		struct reading *reading = &readings[i];
		struct remote_value value = { .data = room };
		struct glance glance;

		if (unlikely(reading->error != READING_NEAR))
			continue;
		reading->value = room;
		if (likely(reading->copies != NULL) &&
		    likely(judge_glance(&table->geometry, places[i].near.salt, key, reading->slot,
					reading->copies, (uint64_t *)room, &glance, key_words))) {
			reading->length = glance.length;
			reading->stamp = glance.stamp;
			reading->error = 0;
			continue;
		}
		reading->error = search(view, request, i, key, reading, &value);
		reading->length = value.length;
		reading->stamp = value.stamp;
	}
}

void near_read(struct estate_view *view, struct request *request, struct entry_key *key,
	       struct reading *readings)
{
	ENTRY_KEY_WORDS(&request->query.table->geometry, read_all, view, request, key, readings);
}
