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

#include <errno.h>
#include <string.h>

/* A reader that was lapped this often reads under the lock. */
#define RETRIES 64

static uint32_t slot_of(const struct estate_entry *entry)
{
	size_t offset =
		(size_t)((unsigned char *)entry->sidecar - (unsigned char *)entry->table->sidecar);

	return (uint32_t)(offset / sizeof(struct sidecar_group) * LAYOUT_SLOTS +
			  offset % sizeof(struct sidecar_group));
}

static inline struct layout_copy *current_copy(const struct estate_entry *entry)
{
	unsigned int current = !!(tag_load(entry->sidecar) & TAG_CURRENT);

	return (struct layout_copy *)((unsigned char *)entry->slot +
				      current * (size_t)entry->table->geometry.copy_size);
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
static int still_there(struct estate_entry *entry, uint32_t word)
{
	const struct geometry *geometry = &entry->table->geometry;
	const struct layout_copy *copy = current_copy(entry);
	uint32_t meta = (uint32_t)(entry_load_check(copy) >> 32);
	uint64_t key[ESTATE_KEY_MAX / 8];

	if (!(tag_load(entry->sidecar) & TAG_FINGERPRINT) || !(meta & META_LIVE) ||
	    META_KEY_LENGTH(meta) > geometry->key_size)
		return 0;
	shared_load_words(key, entry_words_const(copy), geometry->key_room / 8);
	if (entry_hash(geometry, key, META_KEY_LENGTH(meta)) != entry->hash)
		return 0;
	entry->generation = word / SIDECAR_GENERATION;
	return 1;
}

/* Lock the entry; 0, or -ESTALE with nothing locked. */
static inline int lock_entry(struct estate_entry *entry, uint32_t *word)
{
	*word = sidecar_lock(entry->lock);
	if (likely(*word / SIDECAR_GENERATION == entry->generation) || still_there(entry, *word))
		return 0;
	sidecar_unlock(entry->lock, *word);
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
	struct entry_key ready;
	uint64_t home;
	uint32_t *lock;
	uint32_t word;
	uint32_t slot;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!entry)
		return error_set(-EINVAL, "estate_entry_open: entry is NULL");
	table_key(table, key, key_length, &ready);
	home = geometry_home(&table->geometry, ready.hash);
	lock = &table->sidecar[home].lock;
	word = sidecar_lock(lock);
	slot = find_locked(table, &ready, home);
	if (slot == NO_SLOT) {
		error = write_change(table, &ready, &word, NO_SLOT, change_nothing, NULL);
		if (!error)
			slot = find_locked(table, &ready, home);
	}
	if (!error)
		*entry = (struct estate_entry) {
			.table = table,
			.slot = table_copy(table, slot, 0),
			.sidecar = table_tag(table, slot),
			.lock = lock,
			.hash = ready.hash,
			.generation = word / SIDECAR_GENERATION,
			.key_crc = ready.crc,
		};
	sidecar_unlock(lock, word);
	return error;
}

/* The slow way, for extents: make the key ready again from what the slot holds. */
static int change_by_key(const struct estate_entry *entry, uint32_t *word, change_fn *how,
			 void *arg)
{
	const struct layout_copy *copy = current_copy(entry);
	struct entry_key key;

	table_key(entry->table, copy + 1, META_KEY_LENGTH((uint32_t)(entry_load_check(copy) >> 32)),
		  &key);
	return write_change(entry->table, &key, word, slot_of(entry), how, arg);
}

static inline void publish_entry(struct estate_entry *entry, size_t length, const uint64_t *value)
{
	const struct layout_copy *copy = current_copy(entry);

	publish(entry->table, slot_of(entry), entry_words_const(copy),
		META_KEY_LENGTH((uint32_t)(entry_load_check(copy) >> 32)), entry->key_crc,
		META_LIVE, length, value);
}

int estate_entry_add(struct estate_entry *entry, const void *deltas)
{
	uint64_t value[GEOMETRY_INLINE_MAX / 8];
	const struct geometry *geometry;
	uint32_t word;
	int error = check(entry, deltas);

	if (error)
		return error;
	geometry = &entry->table->geometry;
	if (unlikely(geometry->type == ESTATE_OPAQUE))
		return table_refuse_opaque(entry->table);
	error = lock_entry(entry, &word);
	if (unlikely(error))
		return error;
	if (likely(!geometry->blocks)) {
		load_current(entry->table, slot_of(entry), value);
		merge_add_inline(geometry->type, value, deltas, geometry->value_count);
		publish_entry(entry, geometry->value_size, value);
	} else {
		struct write_deltas all = { 0, geometry->value_count, deltas };

		error = change_by_key(entry, &word, write_add, &all);
	}
	sidecar_unlock(entry->lock, word);
	return error;
}

int estate_entry_put(struct estate_entry *entry, const void *value, size_t value_length)
{
	uint64_t words[GEOMETRY_INLINE_MAX / 8];
	uint32_t word;
	int error = check(entry, value);

	if (error)
		return error;
	if (!table_length_suits(&entry->table->geometry, value_length))
		return table_refuse_length(entry->table, value_length);
	error = lock_entry(entry, &word);
	if (error)
		return error;
	if (!entry->table->geometry.blocks) {
		memcpy(words, value, value_length);
		pad(words, value_length);
		publish_entry(entry, value_length, words);
	} else {
		struct write_bytes bytes = { value, value_length };

		error = change_by_key(entry, &word, write_put, &bytes);
	}
	sidecar_unlock(entry->lock, word);
	return error;
}

/* Lapped by writers, or something with this home was deleted: read under the lock. */
static int get_locked(struct estate_entry *entry, void *value, size_t value_size,
		      size_t *value_length)
{
	uint32_t word;
	int error = lock_entry(entry, &word);

	if (error)
		return error;
	error = table_get_slot(entry->table, entry->key_crc, slot_of(entry), value, value_size,
			       value_length);
	sidecar_unlock(entry->lock, word);
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
		error = table_get_slot(entry->table, entry->key_crc, slot_of(entry), value,
				       value_size, value_length);
		if (error != -EBADMSG)
			return error;
	}
	return get_locked(entry, value, value_size, value_length);
}
