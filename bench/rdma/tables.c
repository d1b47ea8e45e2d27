// SPDX-License-Identifier: BSD-3-Clause
#include "tables.h"

#include <stdio.h>
#include <stdlib.h>

/* doc/design.md, section 2. A value beyond this lies in a block, its descriptor in the slot. */
#define INLINE_MAX 256
#define DESCRIPTOR 16
#define COPY_HEADER 16
#define BUCKET_HEADER 64
#define SLOTS 4

void tables_attributes(struct estate_table_attr *attr, size_t size, size_t entries)
{
	*attr = (struct estate_table_attr)ESTATE_TABLE_ATTR_INIT;
	attr->key_size = KEY_BYTES;
	attr->value_type = ESTATE_U64;
	attr->value_count = size / 8;
	attr->merge = ESTATE_MERGE_SUM;
	attr->capacity = entries;
}

static uint64_t word(uint64_t number, size_t i)
{
	return number + 3 * i;
}

static int fill_table(struct estate_table *table, size_t size, size_t entries)
{
	uint64_t *value = malloc(size);
	int error = value ? 0 : -1;

	for (uint64_t number = 0; number < entries && !error; number++) {
		struct tables_key key = tables_key(number);

		for (size_t i = 0; i < size / 8; i++)
			value[i] = word(number, i);
		error = estate_put(table, &key, sizeof(key), value, size);
	}
	free(value);
	return error;
}

struct estate_table *tables_open(struct estate *es, size_t size, size_t entries, int fill)
{
	struct estate_table_attr attr;
	struct estate_table *table;
	char name[ESTATE_NAME_MAX];

	tables_attributes(&attr, size, entries);
	snprintf(name, sizeof(name), "values-%zu", size);
	if (estate_table_open(es, name, &attr, &table) ||
	    (fill && fill_table(table, size, entries))) {
		fprintf(stderr, "%s\n", estate_errormsg());
		return NULL;
	}
	return table;
}

int tables_right(const uint64_t *value, size_t size, uint64_t number, unsigned int owners)
{
	size_t last = size / 8 - 1;

	/* Each was verified whole by its checksum; this is about the key. */
	return value[0] == owners * word(number, 0) && value[last] == owners * word(number, last);
}

static size_t copy_bytes(size_t size)
{
	return COPY_HEADER + KEY_BYTES + (size > INLINE_MAX ? DESCRIPTOR : size);
}

size_t tables_slot_bytes(size_t size)
{
	return 2 * copy_bytes(size);
}

size_t tables_buckets_bytes(size_t size)
{
	return 2 * (BUCKET_HEADER + SLOTS * tables_slot_bytes(size));
}

static uint64_t divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

void tables_walk_begin(struct tables_walk *walk, uint64_t count)
{
	/* The golden section of the numbers, so that neighbours are far from each other. */
	*walk = (struct tables_walk){ .count = count,
				      .step = (uint64_t)((double)count * 0.6180339887) | 1 };
	while (divisor(walk->step, count) != 1)
		walk->step++;
}

uint64_t tables_walk_next(struct tables_walk *walk)
{
	walk->at = (walk->at + walk->step) % walk->count;
	return walk->at;
}
