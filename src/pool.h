/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the core asks of persistent memory: a pool, which keeps an instance's
 * durable tables from one of its lives to the next. pmem/ is one; the core knows
 * none of its types. What a table asks of it while it is written is in table.h:
 * persist and dirty.
 */
#ifndef POOL_H
#define POOL_H

#include "region.h"

#include <estate/instance.h>

#include <stdint.h>

struct estate_table;
struct pool;

struct pool_attr {
	const char *path;
	size_t size; /* of a new one; 0: of a device, all of it */
	const char *group;
	const char *name;
};

struct pool_operations {
	/* The next of its tables, from *@index on, which is advanced; -ENOENT at the end. */
	int (*next_table)(const struct pool *pool, unsigned int *index, struct region_table *table);
	/*
	 * Fill @table, which is empty, with what the pool has of it, table @index, and
	 * keep it from now on; @report grows by what there was. -EBADMSG: it is damaged.
	 */
	int (*recover)(struct pool *pool, unsigned int index, struct estate_table *table,
		       struct estate_recovery *report);
	/* Make a place for a new table, which is empty, and keep it from now on. */
	int (*add_table)(struct pool *pool, struct estate_table *table);
	/* A new life of the instance begins, with what the pool's identity is now. */
	int (*begin)(struct pool *pool);
	/* All that was written is persistent when it returns. */
	int (*sync)(struct pool *pool);
	/* Of a life that ends in order. Nobody writes any more; the tables are still there. */
	int (*end)(struct pool *pool);
	void (*close)(struct pool *pool);
};

struct pool {
	const struct pool_operations *operations;
	uint8_t uuid[16];
	uint64_t epoch; /* of the last life; begin() makes the one that is set here last */
	int fresh; /* it was made by this call */
};

/* Open the pool, or make one. 0, or a negative errno value with a sentence. */
int pool_open(const struct pool_attr *attr, struct pool **pool);

#endif
