/* SPDX-License-Identifier: BSD-3-Clause */
/* Changing an entry whose lock one has: what calls by key and by handle share. */
#ifndef WRITE_H
#define WRITE_H

#include "slot.h"

/*
 * How a call changes a value. @value has @length bytes, 0 if the key is new,
 * and zeros beyond, up to the table's value_size. Anything but 0 leaves the
 * entry as it was.
 */
typedef int change_fn(const struct estate_table *table, void *value, size_t *length, void *arg);

/* A key whose lock the caller has, and its slot if it was found. */
struct write_target {
	const struct entry_key *key;
	uint64_t home;
	struct hold hold; /* of the home's lock */
	uint32_t block; /* of a table with extents: for the new value; see write_take() */
	int found;
	int reserved; /* a new entry is counted already */
	int claimed; /* and has a slot */
	uint64_t stamp; /* at least, for the next version; 0: now */
	int far; /* a new slot is in neither of the two buckets */
	struct slot slot;
};

/*
 * A block for the value that is to be written. Before the lock is taken: who has
 * a lock must not wait for a block, as those who wait for the lock may have all.
 */
static inline uint32_t write_take(struct estate_table *table)
{
	return table->geometry.blocks ? extent_take(&table->extents) : 0;
}

/* A block that no value went into. */
static inline void write_give_back(struct estate_table *table, uint32_t block)
{
	if (table->geometry.blocks)
		extent_free(&table->extents, block);
}

/*
 * A slot for a target's new key. 0, or -ENOSPC with a sentence. When its first
 * version is in it, write_claimed(); if that failed, write_unclaim().
 */
int write_claim(struct estate_table *table, struct write_target *target);
void write_claimed(struct estate_table *table, struct write_target *target);
void write_unclaim(struct estate_table *table, const struct write_target *target);

/*
 * Put @count keys, at most TABLE_BATCH, into a table that persists before it
 * returns: as many at a time as there can be with one drain. As estate_put_batch().
 */
int write_batch_persistent(struct estate_table *table, unsigned int count,
			   const struct entry_key *keys, const char *values, size_t value_length,
			   int *status);

/* Change the target's value, or make an entry for it. target->block is used, or given back. */
int write_change(struct estate_table *table, struct write_target *target, change_fn *how,
		 void *arg);

/* Count @count entries that are to come; 0, or -ENOSPC with a sentence. And back. */
int write_reserve(struct estate_table *table, uint64_t count);
void write_unreserve(struct estate_table *table, uint64_t count);

/* Of any table, for what the calls of certain shapes leave to them. */
int write_put_any(struct estate_table *table, const void *key, size_t key_length, const void *value,
		  size_t value_length);
int write_add_any(struct estate_table *table, const void *key, size_t key_length,
		  const void *deltas);

/* estate_entry_add() for the table's shape, or for @any. */
table_entry_add_fn *handle_choose_add(const struct estate_table *table, int any);

/* A change_fn: replace the value by a struct write_bytes. */
struct write_bytes {
	const void *data;
	size_t length;
};
int write_put(const struct estate_table *table, void *value, size_t *length, void *arg);

/* A change_fn: merge a struct write_bytes with the value, by the table's rule, which is not custom. */
int write_fold(const struct estate_table *table, void *value, size_t *length, void *arg);

/* A change_fn: add a struct write_deltas. */
struct write_deltas {
	size_t first;
	size_t count;
	const void *data;
};
int write_add(const struct estate_table *table, void *value, size_t *length, void *arg);

#endif
