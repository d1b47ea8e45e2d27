// SPDX-License-Identifier: BSD-3-Clause
/* Writing the local view: each call is one change to one entry, under its key's lock. */
#include "write.h"

#include "error.h"
#include "merge.h"
#include "slot.h"

#include <errno.h>
#include <string.h>

/* A free slot in the emptier of the two buckets, claimed with @fingerprint; or NO_SLOT. */
static uint32_t claim_near(struct estate_table *table, uint64_t home, uint8_t fingerprint)
{
	for (;;) {
		uint32_t lock;
		uint64_t free = sidecar_match(both_tags(table->sidecar + home, &lock), 0);
		uint64_t in_home = free & UINT32_MAX;
		uint64_t in_next = free & ~(uint64_t)UINT32_MAX;
		uint32_t slot;

		if (!free)
			return NO_SLOT;
		if (__builtin_popcountll(in_home) >= __builtin_popcountll(in_next))
			free = in_home;
		else
			free = in_next;
		slot = (uint32_t)(home * LAYOUT_SLOTS) + sidecar_first(free);
		if (tag_claim(table_tag(table, slot), fingerprint))
			return slot;
	}
}

/* A free slot anywhere. There is one: the caller has reserved an entry, and slots are more. */
static uint32_t claim_far(struct estate_table *table, uint64_t home, uint8_t fingerprint)
{
	uint64_t buckets = table->geometry.homes + 1;

	for (uint64_t bucket = (home + 2) % buckets;; bucket = (bucket + 1) % buckets) {
		uint64_t tags = SIDECAR_TAGS(sidecar_load(table->sidecar + bucket));
		uint64_t free = sidecar_match(tags, 0) & UINT32_MAX;

		for (; free; free &= free - 1) {
			uint32_t slot = (uint32_t)(bucket * LAYOUT_SLOTS) + sidecar_first(free);

			if (tag_claim(table_tag(table, slot), fingerprint))
				return slot;
		}
	}
}

/* Counted before a slot is claimed and until it is free again: so there is a free slot for each. */
static int reserve_entry(struct estate_table *table)
{
	uint64_t entries = __atomic_load_n(&table->entries, __ATOMIC_RELAXED);

	do {
		if (entries >= table->geometry.capacity)
			return 0;
	} while (!__atomic_compare_exchange_n(&table->entries, &entries, entries + 1, 1,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	shared_store(table->directory_entries, entries + 1);
	return 1;
}

static void release_entry(struct estate_table *table)
{
	uint64_t entries = __atomic_sub_fetch(&table->entries, 1, __ATOMIC_RELAXED);

	shared_store(table->directory_entries, entries);
}

/*
 * A slot for a new key; NO_SLOT: the table is full. One that is @far goes into
 * the home's chain when its first version is in it, not before: a reader must
 * not meet a slot in a chain that says nothing of whose it is.
 */
static uint32_t claim(struct estate_table *table, const struct entry_key *key, uint64_t home,
		      int *far)
{
	uint8_t fingerprint = sidecar_fingerprint(key->hash);
	uint32_t slot;

	*far = 0;
	if (!reserve_entry(table))
		return NO_SLOT;
	slot = claim_near(table, home, fingerprint);
	if (slot != NO_SLOT)
		return slot;
	*far = 1;
	return claim_far(table, home, fingerprint);
}

static void join_chain(struct estate_table *table, uint64_t home, uint32_t *lock, uint32_t slot)
{
	chain_push(table, home, slot);
	*lock |= SIDECAR_CHAIN;
	__atomic_store_n(&table->sidecar[home].lock, *lock | SIDECAR_LOCKED, __ATOMIC_RELEASE);
}

/* The change to a key whose lock the caller has; @slot is NO_SLOT for a new one. */
static inline __attribute__((always_inline)) int change_inline(struct estate_table *table,
							       const struct entry_key *key,
							       uint64_t home, uint32_t *lock,
							       uint32_t slot, change_fn *how,
							       void *arg)
{
	uint64_t value[GEOMETRY_INLINE_MAX / 8];
	size_t length = 0;
	int far = 0;
	int error;

	if (slot != NO_SLOT)
		length = load_current(table, slot, value);
	else
		memset(value, 0, table->geometry.value_room);
	error = how(table, value, &length, arg);
	if (error)
		return error;
	if (unlikely(slot == NO_SLOT)) {
		slot = claim(table, key, home, &far);
		if (slot == NO_SLOT)
			return table_refuse_full(table);
	}
	pad(value, length);
	publish(table, slot, key->words, key->length, key->crc, META_LIVE, length, value);
	if (unlikely(far))
		join_chain(table, home, lock, slot);
	return 0;
}

/* Make @block, which has @length bytes with that CRC, the value of the key. */
static int publish_extent(struct estate_table *table, const struct entry_key *key, uint64_t home,
			  uint32_t *lock, uint32_t slot, const struct layout_extent *extent)
{
	uint64_t words[sizeof(*extent) / 8];
	struct layout_extent old = { 0 };
	int replaces = slot != NO_SLOT;
	int far = 0;

	if (replaces) {
		old = slot_extent(table, slot);
	} else {
		slot = claim(table, key, home, &far);
		if (slot == NO_SLOT)
			return table_refuse_full(table);
	}
	memcpy(words, extent, sizeof(*extent));
	publish(table, slot, key->words, key->length, key->crc, META_LIVE, sizeof(*extent), words);
	if (far)
		join_chain(table, home, lock, slot);
	if (replaces)
		extent_free(&table->extents, (uint32_t)old.block);
	return 0;
}

/* As change_inline(), on a fresh block. */
static int change_extent(struct estate_table *table, const struct entry_key *key, uint64_t home,
			 uint32_t *lock, uint32_t slot, change_fn *how, void *arg)
{
	struct layout_extent extent = { .block = extent_take(&table->extents) };
	void *block = extent_block(&table->extents, extent.block);
	void *value = extent_edit(&table->extents, block);
	size_t length = 0;
	int error;

	if (slot != NO_SLOT) {
		struct layout_extent old = slot_extent(table, slot);

		length = old.length;
		memcpy(value, extent_block(&table->extents, old.block), length);
	}
	memset((char *)value + length, 0, table->geometry.value_size - length);
	error = how(table, value, &length, arg);
	extent_edited(block, value, length);
	if (!error) {
		extent.length = (uint32_t)length;
		extent.crc = crc_bytes(table->salt, block, length);
		error = publish_extent(table, key, home, lock, slot, &extent);
	}
	if (error)
		extent_free(&table->extents, (uint32_t)extent.block);
	return error;
}

static inline __attribute__((always_inline)) int change_at(struct estate_table *table,
							   const struct entry_key *key,
							   uint64_t home, uint32_t *lock,
							   uint32_t slot, change_fn *how, void *arg)
{
	if (likely(!table->geometry.blocks))
		return change_inline(table, key, home, lock, slot, how, arg);
	return change_extent(table, key, home, lock, slot, how, arg);
}

int write_change(struct estate_table *table, const struct entry_key *key, uint32_t *lock,
		 uint32_t slot, change_fn *how, void *arg)
{
	return change_at(table, key, geometry_home(&table->geometry, key->hash), lock, slot, how,
			 arg);
}

static inline __attribute__((always_inline)) int change(struct estate_table *table,
							const struct entry_key *key, change_fn *how,
							void *arg)
{
	uint64_t home = geometry_home(&table->geometry, key->hash);
	uint32_t *lock = &table->sidecar[home].lock;
	uint32_t word = sidecar_lock(lock);
	uint32_t slot = find_locked(table, key, home);
	int error = change_at(table, key, home, &word, slot, how, arg);

	sidecar_unlock(lock, word);
	return error;
}

static inline int change_put(const struct estate_table *table, void *value, size_t *length,
			     void *arg)
{
	const struct write_bytes *bytes = arg;

	(void)table;
	memcpy(value, bytes->data, bytes->length);
	*length = bytes->length;
	return 0;
}

int write_put(const struct estate_table *table, void *value, size_t *length, void *arg)
{
	return change_put(table, value, length, arg);
}

/* A large value is copied before the lock is taken: it can take a millisecond. */
static int put_extent(struct estate_table *table, const struct entry_key *key,
		      const struct write_bytes *bytes)
{
	uint64_t home = geometry_home(&table->geometry, key->hash);
	uint32_t *lock = &table->sidecar[home].lock;
	struct layout_extent extent = { .block = extent_take(&table->extents),
					.length = (uint32_t)bytes->length };
	uint32_t word;
	int error;

	extent.crc = extent_store(extent_block(&table->extents, extent.block), table->salt,
				  bytes->data, bytes->length);
	word = sidecar_lock(lock);
	error = publish_extent(table, key, home, &word, find_locked(table, key, home), &extent);
	sidecar_unlock(lock, word);
	if (error)
		extent_free(&table->extents, (uint32_t)extent.block);
	return error;
}

static inline int put(struct estate_table *table, const struct entry_key *key,
		      const struct write_bytes *bytes)
{
	if (unlikely(table->geometry.blocks))
		return put_extent(table, key, bytes);
	return change(table, key, change_put, (void *)(uintptr_t)bytes);
}

int estate_put(struct estate_table *table, const void *key, size_t key_length, const void *value,
	       size_t value_length)
{
	struct write_bytes bytes = { value, value_length };
	struct entry_key ready;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!value)
		return error_set(-EINVAL, "estate_put: value is NULL");
	if (unlikely(!table_length_suits(&table->geometry, value_length)))
		return table_refuse_length(table, value_length);
	table_key(table, key, key_length, &ready);
	return put(table, &ready, &bytes);
}

int estate_put_batch(struct estate_table *table, unsigned int count, const void *const *keys,
		     size_t key_length, const void *values, size_t value_length, int *status)
{
	struct entry_key ready[TABLE_BATCH];
	int written = 0;
	int error = table_check(table, keys, key_length);

	if (error)
		return error;
	if (!values || !status)
		return error_set(-EINVAL, "estate_put_batch: %s is NULL",
				 values ? "status" : "values");
	if (!table_length_suits(&table->geometry, value_length))
		return table_refuse_length(table, value_length);
	for (unsigned int i = 0; i < count; i++)
		if (!keys[i])
			return error_set(-EINVAL, "estate_put_batch: key %u is NULL", i);

	for (unsigned int start = 0; start < count; start += TABLE_BATCH) {
		unsigned int n = count - start < TABLE_BATCH ? count - start : TABLE_BATCH;

		for (unsigned int i = 0; i < n; i++) {
			table_key(table, keys[start + i], key_length, &ready[i]);
			__builtin_prefetch(
				table->sidecar + geometry_home(&table->geometry, ready[i].hash), 1);
		}
		for (unsigned int i = 0; i < n; i++) {
			uint64_t home = geometry_home(&table->geometry, ready[i].hash);
			uint32_t lock;
			uint64_t match = sidecar_match(both_tags(table->sidecar + home, &lock),
						       sidecar_fingerprint(ready[i].hash));

			if (match) {
				uint32_t slot =
					(uint32_t)(home * LAYOUT_SLOTS) + sidecar_first(match);
				const char *slots = (const char *)table_copy(table, slot, 0);

				__builtin_prefetch(slots, 1);
				__builtin_prefetch(slots + table->geometry.copy_size, 1);
			}
		}
		for (unsigned int i = 0; i < n; i++) {
			struct write_bytes bytes = {
				(const char *)values + (start + i) * value_length, value_length
			};

			status[start + i] = put(table, &ready[i], &bytes);
			written += !status[start + i];
		}
	}
	return written;
}

static inline int change_add(const struct estate_table *table, void *value, size_t *length,
			     void *arg)
{
	const struct geometry *geometry = &table->geometry;
	const struct write_deltas *deltas = arg;

	*length = geometry->value_size;
	merge_add_inline(geometry->type, (char *)value + deltas->first * geometry->element_size,
			 deltas->data, deltas->count);
	return 0;
}

int write_add(const struct estate_table *table, void *value, size_t *length, void *arg)
{
	return change_add(table, value, length, arg);
}

int estate_add_fields(struct estate_table *table, const void *key, size_t key_length, size_t first,
		      size_t count, const void *deltas)
{
	struct write_deltas all = { first, count, deltas };
	struct entry_key ready;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!deltas)
		return error_set(-EINVAL, "estate_add: deltas is NULL");
	if (table->geometry.type == ESTATE_OPAQUE)
		return table_refuse_opaque(table);
	if (first > table->geometry.value_count || count > table->geometry.value_count - first)
		return error_set(-ERANGE,
				 "table %s: %zu elements from element %zu on; a value has %u",
				 table->name, count, first, table->geometry.value_count);
	table_key(table, key, key_length, &ready);
	return change(table, &ready, change_add, &all);
}

int estate_add(struct estate_table *table, const void *key, size_t key_length, const void *deltas)
{
	return estate_add_fields(table, key, key_length, 0, table ? table->geometry.value_count : 0,
				 deltas);
}

static int change_fold(const struct estate_table *table, void *value, size_t *length, void *arg)
{
	const struct geometry *geometry = &table->geometry;
	const struct write_bytes *bytes = arg;

	if (!*length || geometry->merge == ESTATE_MERGE_LATEST)
		return change_put(table, value, length, arg);
	merge_fold(geometry->merge, geometry->type, value, bytes->data, geometry->value_count);
	return 0;
}

int estate_fold(struct estate_table *table, const void *key, size_t key_length, const void *value,
		size_t value_length)
{
	struct write_bytes bytes = { value, value_length };
	struct entry_key ready;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!value)
		return error_set(-EINVAL, "estate_fold: value is NULL");
	if (table->geometry.merge == ESTATE_MERGE_CUSTOM)
		return error_set(-ENOTSUP,
				 "table %s: its merge rule is custom, which works on values of "
				 "several instances; use estate_update()",
				 table->name);
	if (!table_length_suits(&table->geometry, value_length))
		return table_refuse_length(table, value_length);
	table_key(table, key, key_length, &ready);
	return change(table, &ready, change_fold, &bytes);
}

struct update {
	estate_update_fn *function;
	void *arg;
};

static int change_update(const struct estate_table *table, void *value, size_t *length, void *arg)
{
	const struct update *update = arg;
	size_t new_length = *length;
	int error = update->function(value, &new_length, table->geometry.value_size, update->arg);

	if (error)
		return error;
	if (table->geometry.type != ESTATE_OPAQUE)
		new_length = table->geometry.value_size;
	if (new_length > table->geometry.value_size)
		return table_refuse_length(table, new_length);
	/* What the function left beyond the length would be the next update's zeros. */
	memset((char *)value + new_length, 0, table->geometry.value_size - new_length);
	*length = new_length;
	return 0;
}

int estate_update(struct estate_table *table, const void *key, size_t key_length,
		  estate_update_fn *update, void *arg)
{
	struct update call = { update, arg };
	struct entry_key ready;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!update)
		return error_set(-EINVAL, "estate_update: update is NULL");
	table_key(table, key, key_length, &ready);
	return change(table, &ready, change_update, &call);
}

int estate_delete(struct estate_table *table, const void *key, size_t key_length)
{
	struct layout_extent extent = { 0 };
	struct entry_key ready;
	uint64_t home;
	uint32_t *lock;
	uint32_t word;
	uint32_t slot;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	table_key(table, key, key_length, &ready);
	home = geometry_home(&table->geometry, ready.hash);
	lock = &table->sidecar[home].lock;
	word = sidecar_lock(lock);
	slot = find_locked(table, &ready, home);
	if (slot == NO_SLOT) {
		sidecar_unlock(lock, word);
		return table_absent();
	}
	if (table->geometry.blocks)
		extent = slot_extent(table, slot);
	publish(table, slot, ready.words, ready.length, ready.crc, 0, 0, NULL);
	if (table->geometry.blocks)
		extent_free(&table->extents, (uint32_t)extent.block);
	if (word & SIDECAR_CHAIN) {
		chain_remove(table, home, slot);
		if (chain_first(table, home) == NO_SLOT)
			word &= ~SIDECAR_CHAIN;
	}
	/* Unlinked, then the generation, then free: see the top of this file. */
	word += SIDECAR_GENERATION;
	__atomic_store_n(lock, word | SIDECAR_LOCKED, __ATOMIC_RELEASE);
	tag_free(table_tag(table, slot));
	release_entry(table);
	sidecar_unlock(lock, word);
	return 0;
}
