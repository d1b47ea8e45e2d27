// SPDX-License-Identifier: BSD-3-Clause
/*
 * The local view.
 *
 * Writers of a key hold the lock of its home bucket, wherever its slot is; so
 * nothing about a key changes without that lock. They write the older copy of
 * the slot, whole, then flip the tag, which publishes it to this process's
 * readers; readers elsewhere take the valid copy with the higher stamp.
 *
 * Readers of this process take no lock. They see by the tag which copy is
 * current, copy it out and verify it: it can only fail to if the writer lapped
 * them twice meanwhile, and then they look again. A slot whose key does not
 * match needs no verification: a key that is in a slot all the time is in both
 * of its copies or in the current one, and its words are only ever overwritten
 * by themselves.
 *
 * A look-up that finds nothing in its two buckets goes along the overflow chain
 * only if there is one. Chains lose slots when keys are deleted, and the slot may
 * then join another chain under a reader's feet; the generation in the home's
 * lock word, which every deletion raises after unlinking and before the slot
 * becomes free, tells the reader to start anew.
 */
#include "error.h"
#include "slot.h"

#include <errno.h>
#include <string.h>

/* A reader that was lapped this often waits for the writers, and reads under the lock. */
#define RETRIES 64

/* What a reader found: a copy, verified, in its own memory. */
struct found {
	uint64_t stamp;
	uint32_t meta;
	uint64_t value[GEOMETRY_INLINE_MAX / 8];
};

ENTRY_INLINE enum entry_state look(const struct estate_table *table, const struct entry_key *key,
				   uint32_t slot, unsigned int current, struct found *found,
				   uint32_t key_words)
{
	return entry_match(&table->geometry, key, slot, table_copy(table, slot, current),
			   &found->stamp, &found->meta, found->value, key_words);
}

/* ENTRY_LIVE, ENTRY_EMPTY for an absent key, or ENTRY_TORN: look again. */
static enum entry_state find_in_chain(const struct estate_table *table, const struct entry_key *key,
				      uint64_t home, uint32_t generation, struct found *found)
{
	const uint32_t *lock = &table->sidecar[home].lock;

	for (uint32_t slot = chain_first(table, home); slot != NO_SLOT;
	     slot = chain_next(table, slot)) {
		unsigned int current = tag_load(table_tag(table, slot)) / TAG_CURRENT;
		enum entry_state state =
			look(table, key, slot, current, found, table->geometry.key_room / 8);

		if (state == ENTRY_LIVE || state == ENTRY_TORN)
			return state;
		if (__atomic_load_n(lock, __ATOMIC_ACQUIRE) / SIDECAR_GENERATION != generation)
			return ENTRY_TORN;
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(lock, __ATOMIC_RELAXED) / SIDECAR_GENERATION != generation)
		return ENTRY_TORN;
	return ENTRY_EMPTY;
}

ENTRY_INLINE enum entry_state find(const struct estate_table *table, const struct entry_key *key,
				   struct found *found, uint32_t key_words)
{
	uint64_t home = geometry_home(&table->geometry, key->hash);
	uint32_t lock;
	uint64_t tags = both_tags(table->sidecar + home, &lock);
	uint64_t match = sidecar_match(tags, sidecar_fingerprint(key->hash));

	for (; match; match &= match - 1) {
		unsigned int i = sidecar_first(match);
		enum entry_state state = look(table, key, (uint32_t)(home * LAYOUT_SLOTS) + i,
					      tags >> (i * 8 + 7) & 1, found, key_words);

		if (likely(state == ENTRY_LIVE) || state == ENTRY_TORN)
			return state;
	}
	if (likely(!(lock & SIDECAR_CHAIN)))
		return ENTRY_EMPTY;
	return find_in_chain(table, key, home, lock / SIDECAR_GENERATION, found);
}

/* Values are short: a call of memcpy() would take longer. */
static inline void copy_words(void *to, const uint64_t *from, size_t length)
{
	unsigned char *bytes = to;
	size_t words = length / 8;

	for (size_t i = 0; i < words; i++)
		memcpy(bytes + i * 8, from + i, 8);
	for (size_t i = words * 8; i < length; i++)
		bytes[i] = (unsigned char)(from[words] >> (i % 8 * 8));
}

/* Hand a verified copy to the caller. -EBADMSG: its extent was overwritten meanwhile. */
static inline __attribute__((always_inline)) int deliver(const struct estate_table *table,
							 const struct found *found, void *value,
							 size_t value_size, size_t *value_length)
{
	size_t length = META_INLINE_LENGTH(found->meta);
	struct layout_extent extent;

	if (likely(!table->geometry.blocks)) {
		if (length > value_size)
			goto too_small;
		copy_words(value, found->value, length);
	} else {
		memcpy(&extent, found->value, sizeof(extent));
		length = extent.length;
		if (length > value_size)
			goto too_small;
		if (extent_load(&extent, table->salt, extent_block(&table->extents, extent.block),
				value))
			return -EBADMSG;
	}
	if (value_length)
		*value_length = length;
	return 0;

too_small:
	return error_set(-EMSGSIZE, "table %s: the value has %zu bytes, there is room for %zu",
			 table->name, length, value_size);
}

/* Lapped again and again: keep the writers of this key out for one read. */
static int get_locked(const struct estate_table *table, const struct entry_key *key, void *value,
		      size_t value_size, size_t *value_length, uint64_t *stamp)
{
	uint64_t home = geometry_home(&table->geometry, key->hash);
	uint32_t *lock = &table->sidecar[home].lock;
	struct found found;
	uint32_t word = sidecar_lock(lock);
	enum entry_state state = find(table, key, &found, table->geometry.key_room / 8);
	int error = -ENOENT;

	if (state == ENTRY_LIVE)
		error = deliver(table, &found, value, value_size, value_length);
	sidecar_unlock(lock, word);
	if (state == ENTRY_TORN || error == -EBADMSG)
		return error_set(-EBADMSG,
				 "table %s: an entry of this instance's own region is "
				 "damaged: something wrote over it",
				 table->name);
	if (state != ENTRY_LIVE)
		return table_absent();
	if (!error)
		*stamp = found.stamp;
	return error;
}

/*
 * The common case in a third of the instructions, so that as many look-ups as
 * possible are in flight at once: a whole key, in the first slot that looks like
 * it, with a value of @value_words whole words, both counts constants. Returns 0
 * for anything else, torn values included: find() has the whole truth.
 */
ENTRY_INLINE int get_whole(const struct estate_table *table, const struct entry_key *key,
			   void *value, uint64_t *stamp, uint32_t key_words, uint32_t value_words)
{
	uint64_t home = geometry_home(&table->geometry, key->hash);
	const struct layout_copy *copy;
	const uint64_t *words;
	uint64_t loaded[TABLE_WHOLE_WORDS];
	uint64_t check;
	uint32_t lock;
	uint32_t slot;
	uint32_t crc;
	unsigned int i;
	uint64_t tags = both_tags(table->sidecar + home, &lock);
	uint64_t match = sidecar_match(tags, sidecar_fingerprint(key->hash));

	if (unlikely(!match))
		return 0;
	i = sidecar_first(match);
	slot = (uint32_t)(home * LAYOUT_SLOTS) + i;
	copy = table_copy(table, slot, tags >> (i * 8 + 7) & 1);
	check = entry_load_check(copy);
	if (unlikely(!entry_has_key(key, copy, key_words) || check >> 32 != table->whole_meta))
		return 0;
	*stamp = shared_load(&copy->stamp);
	words = entry_words_const(copy) + key_words;
	crc = entry_crc_header(key->crc, slot, table->whole_meta, *stamp);
	/* Spelt out: at -O2 compilers leave a loop of four as a loop. */
	crc = crc_word(crc, loaded[0] = shared_load(words));
	if (value_words > 1)
		crc = crc_word(crc, loaded[1] = shared_load(words + 1));
	if (value_words > 2)
		crc = crc_word(crc, loaded[2] = shared_load(words + 2));
	if (value_words > 3)
		crc = crc_word(crc, loaded[3] = shared_load(words + 3));
	if (unlikely(crc != (uint32_t)check))
		return 0;
	memcpy(value, loaded, value_words * sizeof(loaded[0]));
	return 1;
}

/* get_whole() for the table's shape; @key is ready and whole. */
ENTRY_INLINE int get_shaped(const struct estate_table *table, const struct entry_key *key,
			    void *value, uint64_t *stamp, uint32_t key_words)
{
	switch (table->whole_words) {
	case 1:
		return get_whole(table, key, value, stamp, key_words, 1);
	case 2:
		return get_whole(table, key, value, stamp, key_words, 2);
	case 3:
		return get_whole(table, key, value, stamp, key_words, 3);
	case 4:
		return get_whole(table, key, value, stamp, key_words, 4);
	default:
		return 0;
	}
}

ENTRY_INLINE int get(const struct estate_table *table, const struct entry_key *key, void *value,
		     size_t value_size, size_t *value_length, uint64_t *stamp, uint32_t key_words)
{
	struct found found;

	for (unsigned int i = 0; i < RETRIES; i++) {
		enum entry_state state = find(table, key, &found, key_words);
		int error;

		if (likely(state == ENTRY_LIVE)) {
			error = deliver(table, &found, value, value_size, value_length);
			if (unlikely(error == -EBADMSG))
				continue;
			*stamp = found.stamp;
			return error;
		}
		if (state == ENTRY_EMPTY)
			return table_absent();
		shared_pause();
	}
	return get_locked(table, key, value, value_size, value_length, stamp);
}

int table_get(const struct estate_table *table, const struct entry_key *key, void *value,
	      size_t value_size, size_t *value_length, uint64_t *stamp)
{
	return ENTRY_KEY_WORDS(&table->geometry, get, table, key, value, value_size, value_length,
			       stamp);
}

int table_get_slot(const struct estate_table *table, uint32_t key_crc, uint32_t slot, void *value,
		   size_t value_size, size_t *value_length)
{
	uint8_t tag = tag_load(table_tag(table, slot));
	struct found found;

	if (entry_load_value(&table->geometry, key_crc, slot,
			     table_copy(table, slot, !!(tag & TAG_CURRENT)), &found.stamp,
			     &found.meta, found.value, table->geometry.key_room / 8) != ENTRY_LIVE)
		return -EBADMSG;
	return deliver(table, &found, value, value_size, value_length);
}

ENTRY_INLINE int get_bytes(const struct estate_table *table, const void *key, size_t key_length,
			   void *value, size_t value_size, size_t *value_length, uint32_t key_words)
{
	struct entry_key ready;
	uint64_t stamp;

	entry_key_init(&ready, &table->geometry, table->salt, key, key_length, key_words);
	if (likely(key_length == table->geometry.key_size &&
		   value_size >= table->geometry.value_size &&
		   get_shaped(table, &ready, value, &stamp, key_words))) {
		if (value_length)
			*value_length = table->geometry.value_size;
		return 0;
	}
	return get(table, &ready, value, value_size, value_length, &stamp, key_words);
}

int estate_get(const struct estate_table *table, const void *key, size_t key_length, void *value,
	       size_t value_size, size_t *value_length)
{
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!value)
		return error_set(-EINVAL, "estate_get: value is NULL");
	return ENTRY_KEY_WORDS(&table->geometry, get_bytes, table, key, key_length, value,
			       value_size, value_length);
}

/* At most TABLE_BATCH keys: what each pass asks for comes in while the next keys have their turn. */
ENTRY_INLINE int get_batch(const struct estate_table *table, unsigned int count,
			   const void *const *keys, size_t key_length, char *values,
			   size_t value_size, int *status, uint32_t key_words)
{
	int whole =
		key_length == table->geometry.key_size && value_size >= table->geometry.value_size;
	struct entry_key ready[TABLE_BATCH];
	int found = 0;

	for (unsigned int i = 0; i < count; i++) {
		entry_key_init(&ready[i], &table->geometry, table->salt, keys[i], key_length,
			       key_words);
		__builtin_prefetch(table->sidecar + geometry_home(&table->geometry, ready[i].hash));
	}
	for (unsigned int i = 0; i < count; i++) {
		uint64_t home = geometry_home(&table->geometry, ready[i].hash);
		uint32_t lock;
		uint64_t tags = both_tags(table->sidecar + home, &lock);
		uint64_t match = sidecar_match(tags, sidecar_fingerprint(ready[i].hash));

		if (match) {
			unsigned int slot = sidecar_first(match);
			const char *copy = (const char *)table_copy(
				table, (uint32_t)(home * LAYOUT_SLOTS) + slot,
				tags >> (slot * 8 + 7) & 1);

			__builtin_prefetch(copy);
			__builtin_prefetch(copy + table->geometry.copy_size - 1);
		}
	}
	for (unsigned int i = 0; i < count; i++) {
		char *value = values + i * value_size;
		size_t length = table->geometry.value_size;
		uint64_t stamp;

		status[i] = 0;
		if (!whole || !get_shaped(table, &ready[i], value, &stamp, key_words))
			status[i] = get(table, &ready[i], value, value_size, &length, &stamp,
					key_words);
		if (!status[i]) {
			status[i] = (int)length;
			found++;
		}
	}
	return found;
}

int estate_get_batch(const struct estate_table *table, unsigned int count, const void *const *keys,
		     size_t key_length, void *values, size_t value_size, int *status)
{
	int found = 0;
	int error = table_check(table, keys, key_length);

	if (error)
		return error;
	if (!values || !status)
		return error_set(-EINVAL, "estate_get_batch: %s is NULL",
				 values ? "status" : "values");
	for (unsigned int i = 0; i < count; i++)
		if (!keys[i])
			return error_set(-EINVAL, "estate_get_batch: key %u is NULL", i);

	for (unsigned int start = 0; start < count; start += TABLE_BATCH) {
		unsigned int n = count - start < TABLE_BATCH ? count - start : TABLE_BATCH;

		found += ENTRY_KEY_WORDS(&table->geometry, get_batch, table, n, keys + start,
					 key_length, (char *)values + start * value_size,
					 value_size, status + start);
	}
	return found;
}
