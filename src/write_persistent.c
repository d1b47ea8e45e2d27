// SPDX-License-Identifier: BSD-3-Clause
/*
 * Batches of tables that persist before a call returns. What costs time there is
 * to wait until the memory has taken the lines; so all of a batch wait once, with
 * the locks of all their keys taken: a slot's other copy must not be written
 * before this one is safe, and nobody is to read what could still be lost.
 */
#include "write.h"

#include <string.h>

/* One key of a batch, from its lock to its publication. */
struct pending {
	struct write_target target;
	unsigned int index; /* in the batch */
	int status;
	uint64_t words[SLOT_WORDS_MAX];
};

/* Into the order of homes: all who take several locks take them in one order. */
static void sort(struct pending **order, unsigned int count)
{
	for (unsigned int i = 1; i < count; i++) {
		struct pending *moved = order[i];
		unsigned int to = i;

		for (; to > 0 && order[to - 1]->target.home > moved->target.home; to--)
			order[to] = order[to - 1];
		order[to] = moved;
	}
}

/* The version to come, aside. */
static void prepare(struct estate_table *table, struct pending *pending, const char *value,
		    size_t length)
{
	struct write_target *target = &pending->target;
	uint64_t words[GEOMETRY_INLINE_MAX / 8];
	const struct entry_key *key = target->key;
	uint64_t last;

	target->far = 0;
	target->reserved = 0;
	target->found =
		slot_find(table, key, target->home, &target->slot, table->geometry.key_room / 8);
	pending->status = target->found ? 0 : write_claim(table, target);
	if (pending->status)
		return;
	memcpy(words, value, length);
	slot_pad(words, length);
	last = shared_load(&slot_current(table, &target->slot)->stamp);
	entry_store((struct layout_copy *)pending->words, target->slot.number, key->words,
		    (uint32_t)key->crc, clock_stamp(table->clock, last),
		    META(key->length, length, META_LIVE), words, table->geometry.key_room / 8);
}

static void publish(struct estate_table *table, struct pending *pending, int error)
{
	struct write_target *target = &pending->target;

	if (pending->status)
		return;
	pending->status = error;
	if (!error)
		slot_show(table, &target->slot, (struct layout_copy *)pending->words);
	if (target->found)
		return;
	if (error)
		write_unclaim(table, target);
	else
		write_claimed(table, target);
}

/* Keys that all have different homes. */
static void put_together(struct estate_table *table, struct pending *group, unsigned int count,
			 const char *values, size_t length)
{
	const struct layout_copy *copies[TABLE_BATCH];
	struct pending *order[TABLE_BATCH];
	uint32_t slots[TABLE_BATCH];
	unsigned int ready = 0;
	uint8_t *busy;
	int error = 0;

	for (unsigned int i = 0; i < count; i++)
		order[i] = &group[i];
	sort(order, count);
	busy = bias_enter(table->bias);
	for (unsigned int i = 0; i < count; i++)
		order[i]->target.hold = lock_join(busy, table->locks + order[i]->target.home);
	for (unsigned int i = 0; i < count; i++) {
		prepare(table, &group[i], values + group[i].index * length, length);
		if (group[i].status)
			continue;
		slots[ready] = group[i].target.slot.number;
		copies[ready++] = (struct layout_copy *)group[i].words;
	}
	if (ready)
		error = table->persist(table, ready, slots, copies);
	for (unsigned int i = 0; i < count; i++) {
		publish(table, &group[i], error);
		lock_part(table->locks + group[i].target.home, group[i].target.hold);
	}
	lock_end(busy);
}

static int has_home(const struct pending *group, unsigned int count, uint64_t home)
{
	for (unsigned int i = 0; i < count; i++)
		if (group[i].target.home == home)
			return 1;
	return 0;
}

int write_batch_persistent(struct estate_table *table, unsigned int count,
			   const struct entry_key *keys, const char *values, size_t value_length,
			   int *status)
{
	struct pending group[TABLE_BATCH];
	int written = 0;

	for (unsigned int next = 0; next < count;) {
		unsigned int members = 0;

		for (; next < count; next++) {
			uint64_t home = geometry_home(&table->geometry, keys[next].hash);

			if (has_home(group, members, home))
				break;
			group[members].target.key = &keys[next];
			group[members].target.home = home;
			group[members++].index = next;
		}
		put_together(table, group, members, values, value_length);
		for (unsigned int i = 0; i < members; i++) {
			status[group[i].index] = group[i].status;
			written += !group[i].status;
		}
	}
	return written;
}
