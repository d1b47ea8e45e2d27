/* SPDX-License-Identifier: BSD-3-Clause */
/* Changing an entry whose lock one has: what calls by key and by handle share. */
#ifndef WRITE_H
#define WRITE_H

#include "table.h"

/*
 * How a call changes a value. @value has @length bytes, 0 if the key is new,
 * and zeros beyond, up to the table's value_size. Anything but 0 leaves the
 * entry as it was.
 */
typedef int change_fn(const struct estate_table *table, void *value, size_t *length, void *arg);

/*
 * Change @slot, which holds @key, or make an entry for it if @slot is NO_SLOT.
 * The caller has the key's lock; @lock is the word to unlock it with.
 */
int write_change(struct estate_table *table, const struct entry_key *key, uint32_t *lock,
		 uint32_t slot, change_fn *how, void *arg);

/* A change_fn: replace the value by a struct write_bytes. */
struct write_bytes {
	const void *data;
	size_t length;
};
int write_put(const struct estate_table *table, void *value, size_t *length, void *arg);

/* A change_fn: add a struct write_deltas. */
struct write_deltas {
	size_t first;
	size_t count;
	const void *data;
};
int write_add(const struct estate_table *table, void *value, size_t *length, void *arg);

#endif
