// SPDX-License-Identifier: BSD-3-Clause
/* Visiting every entry of the local view. */
#include "error.h"
#include "slot.h"

#include <errno.h>
#include <stdlib.h>

/* Lapped this often by the writer of an entry: wait for it, and read under its lock. */
#define RETRIES 64

struct visit {
	struct entry_copy copy;
	size_t value_length;
	void *extent; /* room for a large value */
};

/* Load the current copy of a slot. ENTRY_TORN: look again. */
static enum entry_state load(const struct estate_table *table, uint32_t slot, struct visit *visit)
{
	uint16_t tag = tag_load(table->tags + slot);
	struct layout_extent extent;
	enum entry_state state;

	if (!(tag & TAG_FINGERPRINT))
		return ENTRY_EMPTY;
	state = entry_load(&table->geometry, table->salt, slot,
			   table_copy(table, slot, !!(tag & TAG_CURRENT)), &visit->copy);
	if (state != ENTRY_LIVE)
		return state;
	if (!tag_still(table->tags + slot, tag))
		return ENTRY_TORN;
	visit->value_length = META_INLINE_LENGTH(visit->copy.meta);
	if (!table->geometry.blocks)
		return ENTRY_LIVE;
	memcpy(&extent, visit->copy.value, sizeof(extent));
	visit->value_length = extent.length;
	if (extent_load(&extent, table->salt, extent_block(&table->extents, extent.block),
			visit->extent))
		return ENTRY_TORN;
	return ENTRY_LIVE;
}

/*
 * Which lock to take depends on the key, which would not verify; but unless the
 * slot changes hands, its words are those of the key, torn or not. If it did,
 * the load after it fails or shows another key, and either is fine.
 */
static enum entry_state load_locked(const struct estate_table *table, uint32_t slot,
				    struct visit *visit)
{
	const struct layout_copy *copy =
		table_copy(table, slot, !!(tag_load(table->tags + slot) & TAG_CURRENT));
	uint64_t key[ESTATE_KEY_MAX / 8] = { 0 };
	uint32_t length = META_KEY_LENGTH((uint32_t)(entry_load_check(copy) >> 32));
	uint32_t *lock;
	struct hold hold;
	enum entry_state state;

	if (length < 1 || length > table->geometry.key_size)
		return ENTRY_TORN;
	shared_load_words(key, entry_words_const(copy), table->geometry.key_room / 8);
	lock = table->locks +
	       geometry_home(&table->geometry, entry_hash(&table->geometry, key, length));
	hold = lock_take(table->bias, lock);
	state = load(table, slot, visit);
	lock_give(lock, hold);
	return state;
}

static enum entry_state load_surely(const struct estate_table *table, uint32_t slot,
				    struct visit *visit)
{
	enum entry_state state = ENTRY_TORN;

	for (unsigned int i = 0; i < RETRIES && state == ENTRY_TORN; i++)
		state = load(table, slot, visit);
	for (unsigned int i = 0; i < RETRIES && state == ENTRY_TORN; i++)
		state = load_locked(table, slot, visit);
	return state;
}

int estate_iterate(const struct estate_table *table, estate_visit_fn *visit, void *arg)
{
	struct visit entry = { 0 };
	int result = table_check(table, "", 1);

	if (result)
		return result;
	if (!visit)
		return error_set(-EINVAL, "estate_iterate: visit is NULL");
	if (table->geometry.blocks) {
		entry.extent = malloc(table->geometry.value_size);
		if (!entry.extent)
			return error_set(-ENOMEM,
					 "estate_iterate: no memory for a value of %u bytes",
					 table->geometry.value_size);
	}
	for (uint32_t slot = 0; slot < table->geometry.slots && !result; slot++) {
		enum entry_state state = load_surely(table, slot, &entry);

		if (state == ENTRY_TORN)
			result = error_set(-EBADMSG,
					   "table %s: an entry of this instance's own region is "
					   "damaged: something wrote over it",
					   table->name);
		else if (state == ENTRY_LIVE)
			result = visit(entry.copy.key, META_KEY_LENGTH(entry.copy.meta),
				       table->geometry.blocks ? entry.extent : entry.copy.value,
				       entry.value_length, entry.copy.stamp, arg);
	}
	free(entry.extent);
	return result;
}
