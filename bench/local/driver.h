/* SPDX-License-Identifier: BSD-3-Clause */
/* What a hash table has to offer to be timed: all are driven by the same loops. */
#ifndef DRIVER_H
#define DRIVER_H

#include <stddef.h>
#include <stdint.h>

#define KEY_BYTES 16
#define VALUE_BYTES 32
#define COUNTERS 2 /* uint64_t each: packets, bytes */
#define BATCH 16

enum driver_content {
	DRIVER_VALUES, /* VALUE_BYTES of bytes: get, put, get_batch */
	DRIVER_COUNTERS, /* COUNTERS numbers: get, add */
	DRIVER_CONTENTS
};

/*
 * Every operation may be called by several threads at once, and no get returns
 * a value of which a part was written by another put than the rest: what a
 * table does not do so by itself, its driver adds.
 */
struct driver {
	const char *name;
	const char *how; /* how it is set up, in a line */

	/* Once in the process. 0, or -1 after a message. */
	int (*start)(void);

	/* A table for @entries keys, or NULL after a message. */
	void *(*create)(size_t entries, enum driver_content content);
	void (*destroy)(void *table);

	/* Around all that another thread than the first does. */
	void (*thread_begin)(void);
	void (*thread_end)(void);

	/* 0, or nonzero: no such key, or no room. */
	int (*get)(void *table, const void *key, void *value);
	int (*put)(void *table, const void *key, const void *value);
	int (*add)(void *table, const void *key, const uint64_t *deltas);

	/* BATCH keys; how many of them were found. */
	unsigned int (*get_batch)(void *table, const void *const *keys, void *values);
};

static inline size_t driver_value_bytes(enum driver_content content)
{
	return content == DRIVER_VALUES ? VALUE_BYTES : COUNTERS * sizeof(uint64_t);
}

struct estate_table;

extern const struct driver driver_estate;
extern const struct driver driver_dpdk;
extern const struct driver driver_urcu;
extern const struct driver driver_ck;

/* The library's table behind one of driver_estate's. */
const struct estate_table *driver_estate_table(const void *table);

/* Those that this build has, estate first, NULL last. */
extern const struct driver *const drivers[];

#endif
