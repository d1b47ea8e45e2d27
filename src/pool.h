/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the core asks of persistent memory: a pool, which keeps an instance's
 * durable tables from one of its lives to the next. pmem/ is one; the core knows
 * none of its types. What a table asks of it while it is written is in table.h:
 * persist and dirty.
 */
#ifndef POOL_H
#define POOL_H

#include "absorb.h"
#include "region.h"

#include <estate/instance.h>
#include <estate/pool.h>

#include <stdint.h>

struct estate_table;
struct pool;

struct pool_attr {
	const char *path;
	size_t size; /* of a new file; 0: so much that whatever fits into the region fits */
	size_t region; /* bytes of it */
	const char *group;
	const char *name;
};

/*
 * An instance that is being taken over: of its tables, in the order of their names,
 * all before @table are, and of that one all homes before @home. Of that home, what
 * @intents says, or nothing yet.
 */
#define POOL_INTENTS_MAX 36

struct pool_adoption {
	uint8_t leaver[16];
	uint64_t epoch;
	uint64_t home;
	char table[ESTATE_NAME_MAX]; /* "": all are taken */
	uint32_t count;
	uint32_t reserved;
	struct absorb_intent intents[POOL_INTENTS_MAX];
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
	/* What a slot shows now, of a table that is flushed now and then, is persistent when it returns. */
	int (*flush_slot)(struct estate_table *table, uint32_t slot);
	/* What this instance takes over is this far; NULL: the pool knows of nothing. */
	int (*adopting)(struct pool *pool, const struct pool_adoption *adoption);
	const struct pool_adoption *(*adoption)(const struct pool *pool);
	/* This instance hands over, to one that has a pool or not, or (NULL) does not any more. */
	int (*leaving)(struct pool *pool, const uint8_t *adopter, int adopter_pool);
	/* All of it is another instance's: the pool is as good as new. */
	int (*handed_over)(struct pool *pool);
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
	/* Of the last life, 0: there was none; begin() makes the one that is set here last. */
	uint64_t epoch;
	int fresh; /* it was made by this call, or its last life handed all over */
	int leaving; /* the last life ended while it was handed over, to: */
	uint8_t adopter[16];
	int adopter_pool; /* which has a pool, too */
};

/* Open the pool, or make one. 0, or a negative errno value with a sentence. */
int pool_open(const struct pool_attr *attr, struct pool **pool);

/* What a library that has pools is built with; arguments are checked. */
int pmem_pool_open(const struct pool_attr *attr, struct pool **pool);
int pmem_pool_check(const char *path, estate_pool_visit_fn *visit, void *arg,
		    struct estate_pool_info *info);
int pmem_pool_salvage(const char *from, const char *to, const struct estate_salvage_attr *attr,
		      estate_pool_visit_fn *visit, void *arg, struct estate_pool_info *info);

#endif
