// SPDX-License-Identifier: BSD-3-Clause
#include "absorb.h"

#include "error.h"
#include "store.h"
#include "write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Both values, ours and theirs, as the caller's reducer wants to see them. */
static int reduce_custom(const struct estate_table *table, void *value, size_t *length,
			 const struct absorbed *entry, uint64_t stamp)
{
	const struct region_identity *us = &table->es->identity;
	size_t room = (table->geometry.value_size + (size_t)15) / 16 * 16;
	unsigned char *buffers = aligned_alloc(16, room * 3);
	struct estate_value values[2] = {
		{ buffers, *length, stamp, us->name, us->uuid, us->epoch },
		{ buffers + room, entry->value_length, entry->stamp, entry->name, entry->uuid,
		  entry->epoch },
	};
	size_t result = 0;
	int error;

	if (!buffers)
		return error_set(-ENOMEM, "table %s: no memory to merge two values", table->name);
	memcpy(buffers, value, *length);
	memcpy(buffers + room, entry->value, entry->value_length);
	memset(buffers + 2 * room, 0, room);
	error = table->custom(values, 2, buffers + 2 * room, table->geometry.value_size, &result,
			      table->custom_arg);
	/* That would be taken for the table's own word, and waited for. */
	if (error == -ENOSPC)
		error = error_set(-EOVERFLOW, "table %s: its custom function returns -ENOSPC",
				  table->name);
	if (!error && !table_length_suits(&table->geometry, result))
		error = table_refuse_length(table, result);
	if (!error) {
		memcpy(value, buffers + 2 * room, result);
		*length = result;
	}
	free(buffers);
	return error;
}

struct absorbing {
	const struct absorbed *entry;
	uint64_t stamp; /* of our value */
};

static int change_absorb(const struct estate_table *table, void *value, size_t *length, void *arg)
{
	const struct absorbing *absorbing = arg;
	const struct absorbed *entry = absorbing->entry;
	struct write_bytes bytes = { entry->value, entry->value_length };

	if (*length && table->geometry.merge == ESTATE_MERGE_CUSTOM)
		return reduce_custom(table, value, length, entry, absorbing->stamp);
	return write_fold(table, value, length, &bytes);
}

/* One entry, from its look-up to its publication. */
struct item {
	const struct absorbed *entry;
	struct entry_key key;
	struct write_target target;
	uint64_t stamp; /* of our value; 0: there is none */
	int skip;
};

/* Find or claim its slot, and decide on the stamp that it will have there. */
static int prepare(struct estate_table *table, struct item *item, absorb_done_fn *done, void *arg,
		   uint64_t *reserved)
{
	struct write_target *target = &item->target;
	uint64_t last;
	int error = 0;

	target->key = &item->key;
	/* What was reserved is what the leaver said, who may have more. */
	target->reserved = *reserved > 0;
	target->claimed = 0;
	target->found = slot_find(table, &item->key, target->home, &target->slot,
				  table->geometry.key_room / 8);
	item->skip = done && done(item->key.hash, arg);
	if (item->skip)
		return 0;
	if (!target->found)
		error = write_claim(table, target);
	if (error)
		return error;
	target->claimed = 1;
	*reserved -= (uint64_t)(!target->found && target->reserved);
	last = shared_load(&slot_current(table, &target->slot)->stamp);
	item->stamp = target->found ? last : 0;
	target->stamp = clock_stamp(table->clock, last);
	if (table->geometry.merge != ESTATE_MERGE_LATEST)
		return 0;
	/* It stays as old as it is, or it would win over what others wrote since. */
	target->stamp = item->entry->stamp > last ? item->entry->stamp : last + 1;
	item->skip = target->found && item->entry->stamp <= last;
	return 0;
}

static int write_item(struct estate_table *table, struct item *item)
{
	struct absorbing absorbing = { item->entry, item->stamp };
	int error = write_change(table, &item->target, change_absorb, &absorbing);

	/* Of the tables that others flush now and then, this is flushed here. */
	if (!error && table->mirror && table->dirty)
		error = table->es->pool->operations->flush_slot(table, item->target.slot.number);
	return error;
}

static int write_items(struct estate_table *table, struct item *items, unsigned int count,
		       struct hold *hold, absorb_intend_fn *intend, absorb_done_fn *done, void *arg,
		       uint64_t *reserved)
{
	struct absorb_intent intents[ABSORB_MAX];
	unsigned int intended = 0;
	int error = 0;

	for (unsigned int i = 0; i < count && !error; i++)
		error = prepare(table, &items[i], done, arg, reserved);
	for (unsigned int i = 0; i < count && !error; i++)
		if (!items[i].skip)
			intents[intended++] = (struct absorb_intent){
				.slot = items[i].target.slot.number,
				.stamp = items[i].target.stamp,
				.hash = items[i].key.hash,
			};
	if (!error && intended && intend)
		error = intend(intents, intended, arg);
	for (unsigned int i = 0; i < count && !error; i++) {
		if (items[i].skip)
			continue;
		/* A new slot in the chain changes the lock's word. */
		items[i].target.hold = *hold;
		error = write_item(table, &items[i]);
		*hold = items[i].target.hold;
		items[i].target.block = NO_BLOCK;
		items[i].skip = 1;
	}
	for (unsigned int i = 0; i < count && error; i++)
		if (!items[i].skip && items[i].target.claimed && !items[i].target.found) {
			write_unclaim(table, &items[i].target);
			*reserved += (uint64_t)items[i].target.reserved;
		}
	return error;
}

int absorb(struct estate_table *table, uint64_t home, const struct absorbed *entries,
	   unsigned int count, absorb_intend_fn *intend, absorb_done_fn *done, void *arg,
	   uint64_t *reserved)
{
	struct item items[ABSORB_MAX];
	struct hold hold;
	int error;

	for (unsigned int i = 0; i < count; i++) {
		items[i].entry = &entries[i];
		items[i].skip = 0;
		items[i].target.claimed = 0;
		items[i].target.found = 0;
		items[i].target.home = home;
		items[i].target.block = write_take(table);
		table_key(table, entries[i].key, entries[i].key_length, &items[i].key);
	}
	hold = lock_take(table->bias, table->locks + home);
	error = write_items(table, items, count, &hold, intend, done, arg, reserved);
	lock_give(table->locks + home, hold);
	for (unsigned int i = 0; i < count; i++)
		if (items[i].target.block != NO_BLOCK)
			write_give_back(table, items[i].target.block);
	shared_store(table->directory_entries, __atomic_load_n(&table->entries, __ATOMIC_RELAXED));
	return error;
}
