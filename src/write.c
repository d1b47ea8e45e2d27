// SPDX-License-Identifier: BSD-3-Clause
/* Writing the local view: each call is one change to one entry, under its key's lock. */
#include "write.h"

#include "error.h"
#include "merge.h"
#include "slot.h"

#include <errno.h>
#include <string.h>

/* A free slot in the emptier of the two buckets, claimed with @fingerprint; or NO_SLOT. */
static uint32_t claim_near(struct estate_table *table, uint64_t home, uint16_t fingerprint)
{
	for (;;) {
		unsigned int free = sidecar_match(sidecar_load(table_tags(table, home)), 0);
		unsigned int in_home = free & SIDECAR_IN_HOME;
		unsigned int in_next = free & ~SIDECAR_IN_HOME;
		uint32_t slot;

		if (!free)
			return NO_SLOT;
		if (__builtin_popcount(in_home) >= __builtin_popcount(in_next))
			free = in_home;
		else
			free = in_next;
		slot = (uint32_t)(home * LAYOUT_SLOTS) + sidecar_first(free);
		if (tag_claim(table->tags + slot, fingerprint))
			return slot;
	}
}

/* A free slot anywhere. There is one: the caller has reserved an entry, and slots are more. */
static uint32_t claim_far(struct estate_table *table, uint64_t home, uint16_t fingerprint)
{
	uint64_t slots = table->geometry.slots;

	for (uint64_t slot = (home + 2) * LAYOUT_SLOTS % slots;; slot = (slot + 1) % slots) {
		if (tag_claim(table->tags + slot, fingerprint))
			return (uint32_t)slot;
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

int write_claim(struct estate_table *table, struct write_target *target)
{
	uint16_t fingerprint = sidecar_fingerprint(target->key->hash);
	uint32_t slot;

	if (!target->reserved && !reserve_entry(table))
		return table_refuse_full(table);
	slot = claim_near(table, target->home, fingerprint);
	target->far = slot == NO_SLOT;
	if (target->far)
		slot = claim_far(table, target->home, fingerprint);
	target->slot = slot_at(table, slot);
	return 0;
}

void write_unclaim(struct estate_table *table, const struct write_target *target)
{
	tag_free(target->slot.tag);
	if (!target->reserved)
		release_entry(table);
}

/*
 * A far slot goes into the home's chain when its first version is in it, not
 * before: a reader must not meet a slot in a chain that says nothing of whose it is.
 */
void write_claimed(struct estate_table *table, struct write_target *target)
{
	if (likely(!target->far))
		return;
	chain_push(table, target->home, target->slot.number);
	target->hold.word |= SIDECAR_CHAIN;
	__atomic_store_n(table->locks + target->home, target->hold.word | SIDECAR_LOCKED,
			 __ATOMIC_RELEASE);
}

/*
 * Ask for the lines of the slot that looks like the key's before taking the lock: a
 * locked instruction waits for all that is before it and lets nothing after it begin. And for
 * the slot's page in the pool, as a store that goes past the caches waits for its address.
 */
static inline void prefetch_match(const struct estate_table *table, const struct entry_key *key,
				  uint64_t home)
{
	unsigned int match = sidecar_match(sidecar_load(table_tags(table, home)),
					   sidecar_fingerprint(key->hash));
	size_t copy_size = table->geometry.copy_size;
	const unsigned char *copies;
	uint32_t slot;

	if (!match)
		return;
	slot = (uint32_t)(home * LAYOUT_SLOTS) + sidecar_first(match);
	copies = (const unsigned char *)table_copy(table, slot, 0);
	__builtin_prefetch(copies, 1);
	__builtin_prefetch(copies + copy_size, 1);
	__builtin_prefetch(copies + 2 * copy_size - 1, 1);
	/* In the pool the copy that stays: the one to be written, on the same page mostly, is not read. */
	if (unlikely(table->kept != NULL))
		__builtin_prefetch(table->kept +
				   ((size_t)slot * 2 + tag_current(tag_load(table->tags + slot))) *
					   table->kept_size);
}

/* Lock a key's home, and find its slot. */
ENTRY_INLINE void lock_key(struct estate_table *table, const struct entry_key *key,
			   struct write_target *target, uint32_t key_words)
{
	target->key = key;
	target->home = geometry_home(&table->geometry, key->hash);
	prefetch_match(table, key, target->home);
	target->reserved = 0;
	target->claimed = 0;
	target->stamp = 0;
	target->hold = lock_take(table->bias, table->locks + target->home);
	target->found = slot_find(table, key, target->home, &target->slot, key_words);
}

static inline void unlock_key(struct estate_table *table, const struct write_target *target)
{
	lock_give(table->locks + target->home, target->hold);
}

/*
 * Make @value, @length bytes and zeros up to a multiple of 8, the next version
 * of the target: the inline value or the descriptor.
 */
ENTRY_INLINE int publish(struct estate_table *table, struct write_target *target,
			 const uint64_t *value, size_t length, uint32_t key_words)
{
	const struct entry_key *key = target->key;
	int error;

	if (unlikely(!target->found && !target->claimed)) {
		error = write_claim(table, target);
		if (error)
			return error;
	}
	if (unlikely(target->stamp)) {
		uint64_t last = shared_load(&slot_current(table, &target->slot)->stamp);

		error = slot_publish_at(table, &target->slot, key->words, key->crc,
					target->stamp > last ? target->stamp : last + 1,
					META(key->length, length, META_LIVE), value, key_words);
	} else {
		error = slot_publish(table, &target->slot, key->words, key->crc,
				     META(key->length, length, META_LIVE), value, key_words);
	}
	if (likely(target->found))
		return error;
	if (error)
		write_unclaim(table, target);
	else
		write_claimed(table, target);
	return error;
}

/* Change an inline value. @needs_old: a constant, whether @how looks at what was there. */
ENTRY_INLINE int change_inline(struct estate_table *table, struct write_target *target,
			       change_fn *how, void *arg, int needs_old, uint32_t key_words)
{
	uint64_t value[GEOMETRY_INLINE_MAX / 8];
	size_t length = 0;
	int error;

	if (needs_old) {
		if (likely(target->found))
			length = slot_load(table, &target->slot, value);
		else
			memset(value, 0, table->geometry.value_room);
	}
	error = how(table, value, &length, arg);
	if (error)
		return error;
	slot_pad(value, length);
	return publish(table, target, value, length, key_words);
}

/* Make @extent, which was stored, the value of the target, and free the block before it. */
static int publish_extent(struct estate_table *table, struct write_target *target,
			  const struct layout_extent *extent)
{
	uint64_t words[sizeof(*extent) / 8];
	struct layout_extent old = { 0 };
	int error;

	if (target->found)
		old = slot_extent(table, &target->slot);
	memcpy(words, extent, sizeof(*extent));
	error = publish(table, target, words, sizeof(*extent), table->geometry.key_room / 8);
	if (!error && target->found)
		extent_free(&table->extents, (uint32_t)old.block);
	return error;
}

/* Change a value in the target's fresh block. */
static int change_extent(struct estate_table *table, struct write_target *target, change_fn *how,
			 void *arg)
{
	struct layout_extent extent = { .block = target->block };
	void *block = extent_block(&table->extents, extent.block);
	void *value = extent_edit(&table->extents, block);
	size_t length = 0;
	int error;

	if (target->found) {
		struct layout_extent old = slot_extent(table, &target->slot);

		length = old.length;
		memcpy(value, extent_block(&table->extents, old.block), length);
	}
	memset((char *)value + length, 0, table->geometry.value_size - length);
	error = how(table, value, &length, arg);
	extent_edited(block, value, length);
	if (!error) {
		extent.length = (uint32_t)length;
		extent.crc = crc_bytes(table->salt, block, length);
		error = publish_extent(table, target, &extent);
	}
	if (error)
		extent_free(&table->extents, (uint32_t)extent.block);
	return error;
}

int write_change(struct estate_table *table, struct write_target *target, change_fn *how, void *arg)
{
	if (table->geometry.blocks)
		return change_extent(table, target, how, arg);
	return change_inline(table, target, how, arg, 1, table->geometry.key_room / 8);
}

ENTRY_INLINE int change(struct estate_table *table, const void *key, size_t key_length,
			change_fn *how, void *arg, int needs_old, uint32_t key_words)
{
	struct write_target target;
	struct entry_key ready;
	int error;

	entry_key_init(&ready, &table->geometry, table->salt, key, key_length, key_words);
	target.block = write_take(table);
	lock_key(table, &ready, &target, key_words);
	if (likely(!table->geometry.blocks))
		error = change_inline(table, &target, how, arg, needs_old, key_words);
	else
		error = change_extent(table, &target, how, arg);
	unlock_key(table, &target);
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
	struct layout_extent extent = { .block = extent_take(&table->extents),
					.length = (uint32_t)bytes->length };
	struct write_target target;
	int error;

	extent.crc = extent_store(extent_block(&table->extents, extent.block), table->salt,
				  bytes->data, bytes->length);
	lock_key(table, key, &target, table->geometry.key_room / 8);
	error = publish_extent(table, &target, &extent);
	unlock_key(table, &target);
	if (error)
		extent_free(&table->extents, (uint32_t)extent.block);
	return error;
}

ENTRY_INLINE int put(struct estate_table *table, const struct entry_key *key, const void *value,
		     size_t length, uint32_t key_words)
{
	struct write_bytes bytes = { value, length };
	struct write_target target;
	int error;

	if (unlikely(table->geometry.blocks))
		return put_extent(table, key, &bytes);
	lock_key(table, key, &target, key_words);
	error = change_inline(table, &target, change_put, &bytes, 0, key_words);
	unlock_key(table, &target);
	return error;
}

int write_put_any(struct estate_table *table, const void *key, size_t key_length, const void *value,
		  size_t value_length)
{
	struct entry_key ready;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!value)
		return error_set(-EINVAL, "estate_put: value is NULL");
	if (unlikely(!table_length_suits(&table->geometry, value_length)))
		return table_refuse_length(table, value_length);
	table_key(table, key, key_length, &ready);
	return put(table, &ready, value, value_length, table->geometry.key_room / 8);
}

int estate_put(struct estate_table *table, const void *key, size_t key_length, const void *value,
	       size_t value_length)
{
	if (unlikely(!table))
		return table_refuse(table, key, key_length);
	return table->put(table, key, key_length, value, value_length);
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
			uint64_t home;

			table_key(table, keys[start + i], key_length, &ready[i]);
			home = geometry_home(&table->geometry, ready[i].hash);
			__builtin_prefetch(table_tags(table, home), 1);
			__builtin_prefetch(table->locks + home, 1);
		}
		for (unsigned int i = 0; i < n; i++) {
			uint64_t home = geometry_home(&table->geometry, ready[i].hash);
			prefetch_match(table, &ready[i], home);
		}
		if (unlikely(table->persist && !table->geometry.blocks)) {
			written += write_batch_persistent(
				table, n, ready, (const char *)values + start * value_length,
				value_length, status + start);
			continue;
		}
		for (unsigned int i = 0; i < n; i++) {
			status[start + i] = put(table, &ready[i],
						(const char *)values + (start + i) * value_length,
						value_length, table->geometry.key_room / 8);
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
	return ENTRY_KEY_WORDS(&table->geometry, change, table, key, key_length, change_add, &all,
			       1);
}

int write_add_any(struct estate_table *table, const void *key, size_t key_length,
		  const void *deltas)
{
	return estate_add_fields(table, key, key_length, 0, table->geometry.value_count, deltas);
}

int estate_add(struct estate_table *table, const void *key, size_t key_length, const void *deltas)
{
	if (unlikely(!table))
		return table_refuse(table, key, key_length);
	return table->add(table, key, key_length, deltas);
}

int write_fold(const struct estate_table *table, void *value, size_t *length, void *arg)
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
	return change(table, key, key_length, write_fold, &bytes, 1, table->geometry.key_room / 8);
}

int write_reserve(struct estate_table *table, uint64_t count)
{
	uint64_t entries = __atomic_load_n(&table->entries, __ATOMIC_RELAXED);

	do {
		if (count > table->geometry.capacity - entries)
			return error_set(
				-ENOSPC,
				"table %s: no room for %llu more entries: it has %llu of %llu",
				table->name, (unsigned long long)count, (unsigned long long)entries,
				(unsigned long long)table->geometry.capacity);
	} while (!__atomic_compare_exchange_n(&table->entries, &entries, entries + count, 1,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return 0;
}

void write_unreserve(struct estate_table *table, uint64_t count)
{
	uint64_t entries = __atomic_sub_fetch(&table->entries, count, __ATOMIC_RELAXED);

	shared_store(table->directory_entries, entries);
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
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	if (!update)
		return error_set(-EINVAL, "estate_update: update is NULL");
	return change(table, key, key_length, change_update, &call, 1,
		      table->geometry.key_room / 8);
}

int estate_delete(struct estate_table *table, const void *key, size_t key_length)
{
	const struct layout_copy *gone;
	struct layout_extent extent = { 0 };
	struct write_target target;
	struct entry_key ready;
	int error = table_check(table, key, key_length);

	if (error)
		return error;
	table_key(table, key, key_length, &ready);
	lock_key(table, &ready, &target, table->geometry.key_room / 8);
	if (!target.found) {
		unlock_key(table, &target);
		return table_absent();
	}
	if (table->geometry.blocks)
		extent = slot_extent(table, &target.slot);
	/* A deleted key has no value: of length 0, wherever it is. */
	gone = slot_older(table, &target.slot);
	error = slot_publish(table, &target.slot, ready.words, ready.crc, META(ready.length, 0, 0),
			     ready.words, table->geometry.key_room / 8);
	if (unlikely(error)) {
		unlock_key(table, &target);
		return error;
	}
	/* Should the key come back to another slot, it is later than all that was here. */
	clock_raise(table->clock, shared_load(&gone->stamp));
	if (table->geometry.blocks)
		extent_free(&table->extents, (uint32_t)extent.block);
	if (target.hold.word & SIDECAR_CHAIN) {
		chain_remove(table, target.home, target.slot.number);
		if (chain_first(table, target.home) == NO_SLOT)
			target.hold.word &= ~SIDECAR_CHAIN;
	}
	/* Unlinked, then the generation, then free: readers of chains rely on it (read.c). */
	target.hold.word += SIDECAR_GENERATION;
	__atomic_store_n(table->locks + target.home, target.hold.word | SIDECAR_LOCKED,
			 __ATOMIC_RELEASE);
	tag_free(target.slot.tag);
	release_entry(table);
	unlock_key(table, &target);
	return 0;
}
