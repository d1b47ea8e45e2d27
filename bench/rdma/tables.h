/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables that are read: one for each size of values, full, alike on all owners. */
#ifndef TABLES_H
#define TABLES_H

#include "workload.h"

#include <estate/estate.h>

#define TABLES_VALUE_MAX 65536

struct tables_key {
	uint64_t words[KEY_BYTES / 8];
};

static inline struct tables_key tables_key(uint64_t number)
{
	struct tables_key key;

	workload_key(number, key.words);
	return key;
}

/* Keys of 16 B, values of @size bytes: counters, which are summed up. */
void tables_attributes(struct estate_table_attr *attr, size_t size, size_t entries);

/* Open the table; an owner's is filled. NULL after a message. */
struct estate_table *tables_open(struct estate *es, size_t size, size_t entries, int fill);

/* Whether a value of @size bytes is what @owners owners have of key @number, summed up. */
int tables_right(const uint64_t *value, size_t size, uint64_t number, unsigned int owners);

/* Bytes that a READ of a slot, and of two buckets, has in such a table. */
size_t tables_slot_bytes(size_t size);
size_t tables_buckets_bytes(size_t size);

/* A random permutation of 0 to @count - 1, by cycle: the next number after @number. */
struct tables_walk {
	uint64_t count;
	uint64_t step;
	uint64_t at;
};

void tables_walk_begin(struct tables_walk *walk, uint64_t count);
uint64_t tables_walk_next(struct tables_walk *walk);

#endif
