/* SPDX-License-Identifier: BSD-3-Clause */
/* Another instance's entries become a part of ours. */
#ifndef ABSORB_H
#define ABSORB_H

#include "table.h"

/* So many at a time: of large values each takes a block that must be spare. */
#define ABSORB_MAX 4

struct absorbed {
	const void *key;
	size_t key_length;
	const void *value;
	size_t value_length;
	uint64_t stamp;
	const char *name; /* of that instance */
	const uint8_t *uuid;
	uint64_t epoch;
};

/* Where it will be in our table: if the slot has this stamp or a later one, it is in there. */
struct absorb_intent {
	uint32_t slot;
	uint32_t reserved;
	uint64_t stamp;
	uint64_t hash; /* of the key */
};

/*
 * Told what is going to be written, before it is, to remember it for good. 0, or a
 * negative errno value: then nothing is written.
 */
typedef int absorb_intend_fn(const struct absorb_intent *intents, unsigned int count, void *arg);

/* Whether the key with this hash was absorbed when its home was begun before. */
typedef int absorb_done_fn(uint64_t hash, void *arg);

/*
 * Merge @count entries, at most ABSORB_MAX, that all have the home @home, by the
 * table's merge rule. *@reserved new ones were counted by write_reserve(), and it
 * shrinks by those that come; any more are counted here. A durable table has them for good when it returns. @done: NULL, or of a
 * home that was begun before: what is in our table already. 0, or a negative errno
 * value with a sentence: what memory, a full table, a custom reducer or the pool says. -ENOSPC is the full table
 * alone, and then none of them was merged.
 */
int absorb(struct estate_table *table, uint64_t home, const struct absorbed *entries,
	   unsigned int count, absorb_intend_fn *intend, absorb_done_fn *done, void *arg,
	   uint64_t *reserved);

#endif
