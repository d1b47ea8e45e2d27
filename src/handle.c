// SPDX-License-Identifier: BSD-3-Clause
/*
 * Handles: an entry without a look-up. Entries never move, so a handle is the
 * slot, its tag and its lock. What can happen to it is that the key is deleted
 * and the slot given to another one; each deletion of a key with the same home
 * changes the generation in the lock word, which is in hand anyway.
 */
#include "error.h"
#include "merge.h"
#include "slot.h"
#include "write.h"
#include "write_whole.h"

#include <errno.h>
#include <string.h>

/* A reader that was lapped this often reads under the lock. */
#define RETRIES 64

static inline struct slot slot_of(const struct estate_entry *entry)
{
	uint16_t *tag = entry->sidecar;

	return (struct slot){ .tag = tag,
			      .copies = entry->slot,
			      .number = entry->slot_number,
			      .current = tag_load(tag) / TAG_CURRENT };
}

static int refuse_stale(const struct estate_entry *entry)
{
	return error_set(-ESTALE, "table %s: the entry of this handle was deleted: open it anew",
			 entry->table->name);
}

static int check(const struct estate_entry *entry, const void *data)
{
	if (likely(entry && entry->table && data))
		return 0;
	return error_set(-EINVAL, "estate_entry: %s",
			 entry && entry->table ? "the value is NULL"
					       : "the handle is NULL or was never opened");
}

/*
 * Something with this home was deleted; was it this entry? The same key may also
 * have come back to the same slot, which is as good. The caller has the lock.
 */
static __attribute__((noinline)) int still_there(struct estate_entry *entry, uint32_t word)
{
	const struct geometry *geometry = &entry->table->geometry;
	struct slot slot = slot_of(entry);
	uint32_t meta = slot_meta(entry->table, &slot);
	uint64_t key[ESTATE_KEY_MAX / 8] = { 0 };

	if (!(tag_load(slot.tag) & TAG_FINGERPRINT) || !(meta & META_LIVE) ||
	    META_KEY_LENGTH(meta) > geometry->key_size)
		return 0;
	shared_load_words(key, entry_words_const(slot_current(entry->table, &slot)),
			  geometry->key_room / 8);
	if (entry_hash(geometry, key, META_KEY_LENGTH(meta)) != entry->hash)
		return 0;
	entry->generation = word / SIDECAR_GENERATION;
	return 1;
}

ENTRY_INLINE void unlock_entry(const struct estate_entry *entry, struct hold hold)
{
	lock_give(entry->lock, hold);
}

/* Lock the entry; 0, or -ESTALE with nothing locked. */
ENTRY_INLINE int lock_entry(struct estate_entry *entry, struct hold *hold)
{
	*hold = lock_take(entry->table->bias, entry->lock);
	if (likely(hold->word / SIDECAR_GENERATION == entry->generation) ||
	    still_there(entry, hold->word))
		return 0;
	unlock_entry(entry, *hold);
	return refuse_stale(entry);
}

static int change_nothing(const struct estate_table *table, void *value, size_t *length, void *arg)
{
	(void)value;
	(void)arg;
	if (table->geometry.type != ESTATE_OPAQUE)
		*length = table->geometry.value_size;
	return 0;
}

int estate_entry_open(struct estate_table *table, const void *key, size_t key_length,
		      struct estate_entry *entry)
{
	struct write_target target;
	struct entry_key ready;
	uint32_t *lock;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!entry)
		return error_set(-EINVAL, "estate_entry_open: entry is NULL");
	table_key(table, key, key_length, &ready);
	target.key = &ready;
	target.home = geometry_home(&table->geometry, ready.hash);
	lock = table->locks + target.home;
	target.block = write_take(table);
	target.reserved = 0;
	target.claimed = 0;
	target.stamp = 0;
	target.hold = lock_take(table->bias, lock);
	target.found =
		slot_find(table, &ready, target.home, &target.slot, table->geometry.key_room / 8);
	if (target.found)
		write_give_back(table, target.block);
	else
		error = write_change(table, &target, change_nothing, NULL);
	if (!error)
		*entry = (struct estate_entry){
			.table = table,
			.slot = target.slot.copies,
			.sidecar = target.slot.tag,
			.lock = lock,
			.hash = ready.hash,
			.slot_number = target.slot.number,
			.generation = target.hold.word / SIDECAR_GENERATION,
			.key_crc = ready.crc,
		};
	lock_give(lock, target.hold);
	return error;
}

/* The way by key, for extents: make it ready again from what the slot holds. */
static int change_by_key(const struct estate_entry *entry, struct hold *hold, uint32_t block,
			 change_fn *how, void *arg)
{
	struct write_target target = {
		.hold = *hold, .block = block, .found = 1, .slot = slot_of(entry)
	};
	struct entry_key key;
	int error;

	table_key(entry->table, slot_current(entry->table, &target.slot) + 1,
		  META_KEY_LENGTH(slot_meta(entry->table, &target.slot)), &key);
	target.key = &key;
	target.home = geometry_home(&entry->table->geometry, key.hash);
	error = write_change(entry->table, &target, how, arg);
	*hold = target.hold;
	return error;
}

ENTRY_INLINE int publish(const struct estate_entry *entry, const struct slot *slot, size_t length,
			 const uint64_t *value, uint32_t key_words)
{
	uint32_t meta = slot_meta(entry->table, slot);

	return slot_publish(entry->table, slot, entry_words_const(slot_current(entry->table, slot)),
			    entry->key_crc, META(META_KEY_LENGTH(meta), length, META_LIVE), value,
			    key_words);
}

ENTRY_INLINE int add_inline(const struct estate_entry *entry, const void *deltas,
			    uint32_t key_words)
{
	uint64_t value[GEOMETRY_INLINE_MAX / 8];
	const struct geometry *geometry = &entry->table->geometry;
	struct slot slot = slot_of(entry);

	slot_load(entry->table, &slot, value);
	merge_add(geometry->type, value, deltas, geometry->value_count);
	return publish(entry, &slot, geometry->value_size, value, key_words);
}

static int add_any(struct estate_entry *entry, const void *deltas)
{
	const struct geometry *geometry = &entry->table->geometry;
	uint32_t block;
	struct hold hold;
	int error;

	if (unlikely(geometry->type == ESTATE_OPAQUE))
		return table_refuse_opaque(entry->table);
	block = write_take(entry->table);
	error = lock_entry(entry, &hold);
	if (unlikely(error)) {
		write_give_back(entry->table, block);
		return error;
	}
	if (likely(!geometry->blocks)) {
		error = ENTRY_KEY_WORDS(geometry, add_inline, entry, deltas);
	} else {
		struct write_deltas all = { 0, geometry->value_count, deltas };

		error = change_by_key(entry, &hold, block, write_add, &all);
	}
	unlock_entry(entry, hold);
	return error;
}

/*
 * The per-packet counter: from the current copy to the older one in a single pass.
 * All that it waits for is what the last add of the same entry stored.
 */
ENTRY_INLINE int add_whole(struct estate_entry *entry, const void *deltas, uint32_t key_words,
			   uint32_t value_words, int alone)
{
	struct estate_table *table = entry->table;
	struct whole_target target = { .tag = entry->sidecar, .slot = entry->slot_number };
	uint64_t words[WHOLE_VALUE_WORDS];

	target.lock = entry->lock;
	if (unlikely(!whole_lock(table, &target, alone)))
		return 1;
	if (unlikely(shared_load32(target.lock) / SIDECAR_GENERATION != entry->generation))
		goto not_it;
	/* Of a key that may be shorter than the table's. */
	if (unlikely(!whole_aim(&target, entry->slot, key_words, value_words)))
		goto not_it;
	whole_add(words, &target, deltas, key_words, value_words);
	whole_publish(table, entry->key_crc, &target, words, key_words, value_words, alone);
	return 0;
not_it:
	whole_unlock(&target, alone);
	return 1;
}

#define ADD(name, key_words, value_words, alone, otherwise)                           \
	static WRITE_APART int name(struct estate_entry *entry, const void *deltas)   \
	{                                                                             \
		if (likely(!add_whole(entry, deltas, key_words, value_words, alone))) \
			return 0;                                                     \
		return otherwise(entry, deltas);                                      \
	}
#define ADDS(key_words, value_words)                                                    \
	ADD(add_locked_##key_words##_##value_words, key_words, value_words, 0, add_any) \
	ADD(add_##key_words##_##value_words, key_words, value_words, 1,                 \
	    add_locked_##key_words##_##value_words)
WHOLE_SHAPES(ADDS)

table_entry_add_fn *handle_choose_add(const struct estate_table *table, int any)
{
	static table_entry_add_fn *const adds[WHOLE_KEY_WORDS][WHOLE_VALUE_WORDS] =
		WHOLE_ARRAY(add);

	return any ? add_any
		   : adds[table->geometry.key_size / 8 - 1][table->geometry.value_size / 8 - 1];
}

int estate_entry_add(struct estate_entry *entry, const void *deltas)
{
	int error = check(entry, deltas);

	if (unlikely(error))
		return error;
	return entry->table->entry_add(entry, deltas);
}

int estate_entry_put(struct estate_entry *entry, const void *value, size_t value_length)
{
	uint64_t words[GEOMETRY_INLINE_MAX / 8];
	uint32_t block;
	struct hold hold;
	int error = check(entry, value);

	if (error)
		return error;
	if (!table_length_suits(&entry->table->geometry, value_length))
		return table_refuse_length(entry->table, value_length);
	block = write_take(entry->table);
	error = lock_entry(entry, &hold);
	if (error) {
		write_give_back(entry->table, block);
		return error;
	}
	if (!entry->table->geometry.blocks) {
		struct slot slot = slot_of(entry);

		memcpy(words, value, value_length);
		slot_pad(words, value_length);
		error = publish(entry, &slot, value_length, words,
				entry->table->geometry.key_room / 8);
	} else {
		struct write_bytes bytes = { value, value_length };

		error = change_by_key(entry, &hold, block, write_put, &bytes);
	}
	unlock_entry(entry, hold);
	return error;
}

/* Lapped by writers, or something with this home was deleted: read under the lock. */
static int get_locked(struct estate_entry *entry, void *value, size_t value_size,
		      size_t *value_length)
{
	struct hold hold;
	int error = lock_entry(entry, &hold);

	if (error)
		return error;
	error = table_get_slot(entry->table, entry->key_crc, entry->slot_number, value, value_size,
			       value_length);
	unlock_entry(entry, hold);
	if (error == -EBADMSG)
		error_set(error,
			  "table %s: an entry of this instance's own region is damaged: something "
			  "wrote over it",
			  entry->table->name);
	return error;
}

int estate_entry_get(struct estate_entry *entry, void *value, size_t value_size,
		     size_t *value_length)
{
	int error = check(entry, value);

	if (error)
		return error;
	for (unsigned int i = 0; i < RETRIES; i++) {
		uint32_t word = __atomic_load_n((uint32_t *)entry->lock, __ATOMIC_ACQUIRE);

		if (word / SIDECAR_GENERATION != entry->generation)
			break;
		error = table_get_slot(entry->table, entry->key_crc, entry->slot_number, value,
				       value_size, value_length);
		if (error != -EBADMSG)
			return error;
	}
	return get_locked(entry, value, value_size, value_length);
}
