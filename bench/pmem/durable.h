/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of the benchmarks here, and a bare mapping beside them. */
#ifndef DURABLE_H
#define DURABLE_H

#include "workload.h"

#include <estate/estate.h>

#include <stddef.h>

#define VALUE_MOST 256

void durable_attr(struct estate_table_attr *attr, size_t entries, size_t value_bytes,
		  enum estate_durability durability);

/* Every key @times times: with two, both copies of each slot have been touched. 0, or -1 after a message. */
int durable_fill(struct estate_table *table, size_t entries, size_t value_bytes, int times);

/* A mapping by libpmem, all of it touched. */
struct bare {
	char path[256];
	unsigned char *memory;
	size_t size;
};

/* 0, or -1 after a message. */
int bare_open(struct bare *bare, const char *folder, size_t size);
void bare_close(struct bare *bare);

/* "1.23 (1.20-1.30)" of ratios, in which more digits count. */
struct figure;
const char *durable_ratio(const struct figure *figure, char text[64]);

#endif
