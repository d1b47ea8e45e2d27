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
 * current, copy it out, verify it, and see that the tag is the same: or it may be
 * a version that is written but not yet published, with an older one to be read
 * next. This fails only if the writer came round meanwhile; then they look again.
 * A slot whose key does not match needs no verification: a key that is in a slot
 * all the time is in both of its copies or in the current one, and its words are
 * only ever overwritten by themselves.
 *
 * A look-up that finds nothing in its two buckets goes along the overflow chain
 * only if there is one. Chains lose slots when keys are deleted, and the slot may
 * then join another chain under a reader's feet; the generation in the home's
 * lock word, which every deletion raises after unlinking and before the slot
 * becomes free, tells the reader to start anew.
 */
#include "error.h"
#include "slot.h"
#include "whole.h"

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
				   uint32_t slot, struct found *found, uint32_t key_words)
{
	const uint16_t *tag = table->tags + slot;
	uint16_t was = tag_load(tag);
	enum entry_state state =
		entry_match(&table->geometry, key, slot, table_copy(table, slot, tag_current(was)),
			    &found->stamp, &found->meta, found->value, key_words);

	return state != ENTRY_LIVE || likely(tag_still(tag, was)) ? state : ENTRY_TORN;
}

/* ENTRY_LIVE, ENTRY_EMPTY for an absent key, or ENTRY_TORN: look again. */
static enum entry_state find_in_chain(const struct estate_table *table, const struct entry_key *key,
				      uint64_t home, uint32_t generation, struct found *found)
{
	const uint32_t *lock = table->locks + home;

	for (uint32_t slot = chain_first(table, home); slot != NO_SLOT;
	     slot = chain_next(table, slot)) {
		enum entry_state state =
			look(table, key, slot, found, table->geometry.key_room / 8);

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
	unsigned int match = sidecar_match(sidecar_load(table_tags(table, home)),
					   sidecar_fingerprint(key->hash));
	uint32_t lock;

	for (; match; match &= match - 1) {
		uint32_t slot = (uint32_t)(home * LAYOUT_SLOTS) + sidecar_first(match);
		enum entry_state state = look(table, key, slot, found, key_words);

		if (likely(state == ENTRY_LIVE) || state == ENTRY_TORN)
			return state;
	}
	lock = __atomic_load_n(table->locks + home, __ATOMIC_ACQUIRE);
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
	uint32_t *lock = table->locks + home;
	struct found found;
	struct hold hold = lock_take(table->bias, lock);
	enum entry_state state = find(table, key, &found, table->geometry.key_room / 8);
	int error = -ENOENT;

	if (state == ENTRY_LIVE)
		error = deliver(table, &found, value, value_size, value_length);
	lock_give(lock, hold);
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
	const uint16_t *tag = table->tags + slot;
	uint16_t was = tag_load(tag);
	struct found found;

	if (entry_load_value(&table->geometry, key_crc, slot,
			     table_copy(table, slot, tag_current(was)), &found.stamp, &found.meta,
			     found.value, table->geometry.key_room / 8) != ENTRY_LIVE ||
	    unlikely(!tag_still(tag, was)))
		return -EBADMSG;
	return deliver(table, &found, value, value_size, value_length);
}

/* Of any table; out of line, for its many registers. */
static __attribute__((noinline)) int get_any(const struct estate_table *table, const void *key,
					     size_t key_length, void *value, size_t value_size,
					     size_t *value_length)
{
	struct entry_key ready;
	uint64_t stamp;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!value)
		return error_set(-EINVAL, "estate_get: value is NULL");
	table_key(table, key, key_length, &ready);
	return table_get(table, &ready, value, value_size, value_length, &stamp);
}

/*
 * The value of a whole key from @copy, which was current by the slot's tag @was; 0
 * if that is not it, or torn.
 */
ENTRY_INLINE int whole_load(const struct estate_table *table, const struct entry_key *key,
			    uint32_t slot, uint32_t was, const struct layout_copy *copy,
			    void *value, uint32_t key_words, uint32_t value_words)
{
	const uint32_t meta = WHOLE_META(key_words, value_words);
	struct whole loaded;
	const uint64_t *words = loaded.words;
	uint64_t crc;

	shared_copy_few(&loaded, copy, WHOLE_SIZE(key_words, value_words) / 8);
	SHARED_COPIED(loaded);
	if (unlikely(!tag_still(table->tags + slot, was)))
		return 0;
	if (unlikely(loaded.copy.meta != meta))
		return 0;
	if (unlikely(words[0] != key->words[0]))
		return 0;
	if (key_words > 1 && unlikely(words[1] != key->words[1]))
		return 0;
	crc = entry_crc_header(key->crc, slot, meta, loaded.copy.stamp);
	if (unlikely((uint32_t)whole_crc(crc, words + key_words, value_words) != loaded.copy.crc))
		return 0;
	memcpy(value, words + key_words, value_words * 8);
	return 1;
}

ENTRY_INLINE int get_whole(const struct estate_table *table, const void *key, size_t key_length,
			   void *value, size_t value_size, size_t *value_length, uint32_t key_words,
			   uint32_t value_words)
{
	const struct layout_copy *copy;
	struct entry_key ready;
	uint32_t slot;
	uint32_t was;

	if (unlikely(!key || key_length != key_words * 8 || !value || value_size < value_words * 8))
		return get_any(table, key, key_length, value, value_size, value_length);
	entry_key_init(&ready, &table->geometry, table->salt, key, key_words * 8, key_words);
	if (unlikely(!whole_find(table, ready.hash, geometry_home(&table->geometry, ready.hash),
				 &slot)))
		goto any;
	was = tag_load(table->tags + slot);
	copy = whole_copy(table, slot, tag_current(was), key_words, value_words);
	if (unlikely(!whole_load(table, &ready, slot, was, copy, value, key_words, value_words)))
		goto any;
	if (value_length)
		*value_length = value_words * 8;
	return 0;
any:
	return get_any(table, key, key_words * 8, value, value_words * 8, value_length);
}

#define GET_WHOLE(key_words, value_words)                                                          \
	static int get_##key_words##_##value_words(                                                \
		const struct estate_table *table, const void *key, size_t key_length, void *value, \
		size_t value_size, size_t *value_length)                                           \
	{                                                                                          \
		return get_whole(table, key, key_length, value, value_size, value_length,          \
				 key_words, value_words);                                          \
	}
WHOLE_SHAPES(GET_WHOLE)

int estate_get(const struct estate_table *table, const void *key, size_t key_length, void *value,
	       size_t value_size, size_t *value_length)
{
	if (unlikely(!table))
		return table_refuse(table, key, key_length);
	return table->get(table, key, key_length, value, value_size, value_length);
}

/* At most TABLE_BATCH keys: what each pass asks for comes in while the next keys have their turn. */
static __attribute__((noinline)) int get_batch_any(const struct estate_table *table,
						   unsigned int count, const void *const *keys,
						   size_t key_length, char *values,
						   size_t value_size, int *status)
{
	struct entry_key ready[TABLE_BATCH];
	int found = 0;

	for (unsigned int i = 0; i < count; i++) {
		table_key(table, keys[i], key_length, &ready[i]);
		__builtin_prefetch(
			table_tags(table, geometry_home(&table->geometry, ready[i].hash)));
	}
	for (unsigned int i = 0; i < count; i++) {
		uint32_t slot;
		const char *copy;

		if (!whole_find(table, ready[i].hash,
				geometry_home(&table->geometry, ready[i].hash), &slot))
			continue;
		copy = (const char *)table_copy(table, slot,
						tag_current(tag_load(table->tags + slot)));
		__builtin_prefetch(copy);
		__builtin_prefetch(copy + table->geometry.copy_size - 1);
	}
	for (unsigned int i = 0; i < count; i++) {
		size_t length;
		uint64_t stamp;

		status[i] = table_get(table, &ready[i], values + i * value_size, value_size,
				      &length, &stamp);
		if (!status[i]) {
			status[i] = (int)length;
			found++;
		}
	}
	return found;
}

/* What the passes of get_batch_whole() leave for the next one. */
struct whole_ready {
	const struct layout_copy *copy; /* NULL: there is nothing like the key */
	uint64_t hash;
	uint64_t crc;
	uint32_t slot;
	uint32_t was; /* its tag */
};

ENTRY_INLINE int get_batch_whole(const struct estate_table *table, unsigned int count,
				 const void *const *keys, size_t key_length, char *values,
				 size_t value_size, int *status, uint32_t key_words,
				 uint32_t value_words)
{
	struct whole_ready ready[TABLE_BATCH];
	struct entry_key key;
	int found = 0;

	if (unlikely(key_length != key_words * 8 || value_size < value_words * 8))
		return get_batch_any(table, count, keys, key_length, values, value_size, status);
	for (unsigned int i = 0; i < count; i++) {
		entry_key_init(&key, &table->geometry, table->salt, keys[i], key_words * 8,
			       key_words);
		ready[i].hash = key.hash;
		ready[i].crc = key.crc;
		__builtin_prefetch(table_tags(table, geometry_home(&table->geometry, key.hash)));
	}
	for (unsigned int i = 0; i < count; i++) {
		uint64_t hash = ready[i].hash;
		uint32_t slot;

		ready[i].copy = NULL;
		if (unlikely(
			    !whole_find(table, hash, geometry_home(&table->geometry, hash), &slot)))
			continue;
		ready[i].slot = slot;
		ready[i].was = tag_load(table->tags + slot);
		ready[i].copy =
			whole_copy(table, slot, tag_current(ready[i].was), key_words, value_words);
		__builtin_prefetch(ready[i].copy);
		/* Copies of a line's size are each in one, as buckets begin with one. */
		if (WHOLE_SIZE(key_words, value_words) != 64)
			__builtin_prefetch((const char *)ready[i].copy +
					   WHOLE_SIZE(key_words, value_words) - 1);
	}
	for (unsigned int i = 0; i < count; i++) {
		char *value = values + i * value_size;

		memcpy(key.words, keys[i], key_words * 8);
		key.crc = ready[i].crc;
		status[i] = (int)value_words * 8;
		if (unlikely(!ready[i].copy ||
			     !whole_load(table, &key, ready[i].slot, ready[i].was, ready[i].copy,
					 value, key_words, value_words))) {
			size_t length = 0;
			int error =
				get_any(table, keys[i], key_words * 8, value, value_size, &length);

			status[i] = error ? error : (int)length;
			if (error)
				continue;
		}
		found++;
	}
	return found;
}

#define GET_BATCH_WHOLE(key_words, value_words)                                                    \
	static int get_batch_##key_words##_##value_words(                                          \
		const struct estate_table *table, unsigned int count, const void *const *keys,     \
		size_t key_length, char *values, size_t value_size, int *status)                   \
	{                                                                                          \
		return get_batch_whole(table, count, keys, key_length, values, value_size, status, \
				       key_words, value_words);                                    \
	}
WHOLE_SHAPES(GET_BATCH_WHOLE)

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
		if (unlikely(!keys[i]))
			return error_set(-EINVAL, "estate_get_batch: key %u is NULL", i);

	for (unsigned int start = 0; start < count; start += TABLE_BATCH) {
		unsigned int n = count - start < TABLE_BATCH ? count - start : TABLE_BATCH;

		found += table->get_batch(table, n, keys + start, key_length,
					  (char *)values + start * value_size, value_size,
					  status + start);
	}
	return found;
}

void table_choose_reads(struct estate_table *table, int any)
{
	static table_get_fn *const gets[WHOLE_KEY_WORDS][WHOLE_VALUE_WORDS] = WHOLE_ARRAY(get);
	static table_get_batch_fn *const batches[WHOLE_KEY_WORDS][WHOLE_VALUE_WORDS] =
		WHOLE_ARRAY(get_batch);
	uint32_t key_words = table->geometry.key_size / 8;
	uint32_t value_words = table->geometry.value_size / 8;

	table->get = any ? get_any : gets[key_words - 1][value_words - 1];
	table->get_batch = any ? get_batch_any : batches[key_words - 1][value_words - 1];
}
