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
static int still_there(struct estate_entry *entry, uint32_t word)
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
	target.lock = sidecar_lock(lock);
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
			.generation = target.lock / SIDECAR_GENERATION,
			.key_crc = ready.crc,
		};
	sidecar_unlock(lock, target.lock);
	return error;
}

/* The way by key, for extents: make it ready again from what the slot holds. */
static int change_by_key(const struct estate_entry *entry, uint32_t *word, uint32_t block,
			 change_fn *how, void *arg)
{
	struct write_target target = {
		.lock = *word, .block = block, .found = 1, .slot = slot_of(entry)
	};
	struct entry_key key;
	int error;

	table_key(entry->table, slot_current(entry->table, &target.slot) + 1,
		  META_KEY_LENGTH(slot_meta(entry->table, &target.slot)), &key);
	target.key = &key;
	target.home = geometry_home(&entry->table->geometry, key.hash);
	error = write_change(entry->table, &target, how, arg);
	*word = target.lock;
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

/*
 * The per-packet counter: 64-bit elements, from the current copy to the older
 * one in a single pass, where slot_publish() would take three.
 */
ENTRY_INLINE void add_words(const struct estate_entry *entry, const struct slot *slot,
			    const void *deltas, uint32_t key_words)
{
	const struct estate_table *table = entry->table;
	const struct layout_copy *from = slot_current(table, slot);
	struct layout_copy *to = slot_older(table, slot);
	const uint64_t *old = entry_words_const(from);
	uint64_t *new = entry_words(to);
	uint32_t count = table->geometry.value_count;
	uint32_t meta = (uint32_t)(entry_load_check(from) >> 32);
	uint64_t stamp = clock_stamp(table->clock, shared_load(&from->stamp));
	uint64_t crc = entry_crc_header(entry->key_crc, slot->number, meta, stamp);

	shared_store(&to->stamp, stamp);
	for (uint32_t i = 0; i < key_words; i++)
		shared_store(new + i, shared_load(old + i));
	old += key_words;
	new += key_words;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t value;

		memcpy(&value, (const char *)deltas + (size_t)i * 8, 8);
		value += shared_load(old + i);
		crc = crc_word(crc, value);
		shared_store(new + i, value);
	}
	shared_store((uint64_t *)to + 1, (uint64_t)meta << 32 | crc);
	tag_store(slot->tag, tag_load(slot->tag) ^ TAG_CURRENT);
	slot_soil(table, slot->number);
}

ENTRY_INLINE int add_inline(const struct estate_entry *entry, const void *deltas,
			    uint32_t key_words)
{
	uint64_t value[GEOMETRY_INLINE_MAX / 8];
	const struct geometry *geometry = &entry->table->geometry;
	struct slot slot = slot_of(entry);

	if (likely((geometry->type == ESTATE_U64 || geometry->type == ESTATE_I64) &&
		   !entry->table->persist)) {
		add_words(entry, &slot, deltas, key_words);
		return 0;
	}
	slot_load(entry->table, &slot, value);
	merge_add(geometry->type, value, deltas, geometry->value_count);
	return publish(entry, &slot, geometry->value_size, value, key_words);
}

int estate_entry_add(struct estate_entry *entry, const void *deltas)
{
	const struct geometry *geometry;
	uint32_t block;
	uint32_t word;
	int error = check(entry, deltas);

	if (error)
		return error;
	geometry = &entry->table->geometry;
	if (unlikely(geometry->type == ESTATE_OPAQUE))
		return table_refuse_opaque(entry->table);
	block = write_take(entry->table);
	error = lock_entry(entry, &word);
	if (unlikely(error)) {
		write_give_back(entry->table, block);
		return error;
	}
	if (likely(!geometry->blocks)) {
		error = ENTRY_KEY_WORDS(geometry, add_inline, entry, deltas);
	} else {
		struct write_deltas all = { 0, geometry->value_count, deltas };

		error = change_by_key(entry, &word, block, write_add, &all);
	}
	sidecar_unlock(entry->lock, word);
	return error;
}

int estate_entry_put(struct estate_entry *entry, const void *value, size_t value_length)
{
	uint64_t words[GEOMETRY_INLINE_MAX / 8];
	uint32_t block;
	uint32_t word;
	int error = check(entry, value);

	if (error)
		return error;
	if (!table_length_suits(&entry->table->geometry, value_length))
		return table_refuse_length(entry->table, value_length);
	block = write_take(entry->table);
	error = lock_entry(entry, &word);
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

		error = change_by_key(entry, &word, block, write_put, &bytes);
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
	error = table_get_slot(entry->table, entry->key_crc, entry->slot_number, value, value_size,
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
		error = table_get_slot(entry->table, entry->key_crc, entry->slot_number, value,
				       value_size, value_length);
		if (error != -EBADMSG)
			return error;
	}
	return get_locked(entry, value, value_size, value_length);
}
