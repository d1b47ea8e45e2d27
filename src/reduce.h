/* SPDX-License-Identifier: BSD-3-Clause */
/* Making one value of those of several instances, one after the other. */
#ifndef REDUCE_H
#define REDUCE_H

#include "geometry.h"
#include "merge.h"

#include <estate/view.h>

#include <stddef.h>
#include <stdint.h>

/* What a query comes down to, for one table. */
struct reducer {
	const struct geometry *geometry;
	enum estate_reduce reduce; /* never ESTATE_REDUCE_MERGE */
	estate_reduce_fn *call;
	void *arg;
	size_t value_room; /* bytes of a value, rounded up to 16 */
};

/* Buffers of a view, of which it has one set. */
struct reduce_room {
	unsigned char *memory;
	size_t size;
	struct estate_value *values; /* for callers' reducers: one per instance */
	unsigned int value_count;
};

/* A reduction under way. */
struct reduction {
	const struct reducer *reducer;
	unsigned char *result; /* so far; of ESTATE_REDUCE_AVERAGE, sums */
	unsigned char *next; /* where the next value is to be read to */
	struct estate_value *values;
	unsigned int present;
	uint64_t oldest;
	uint64_t newest;
	size_t length; /* of the latest */
	const uint8_t *latest; /* whose it is */
};

/* Check @query (NULL: the merge rule) against the table. 0, or a negative errno value, sentence. */
int reducer_init(struct reducer *reducer, const struct geometry *geometry, estate_reduce_fn *custom,
		 void *custom_arg, const struct estate_query *query);

/* Bytes of a result; for opaque values and callers' functions, 0: it varies. */
size_t reducer_result_size(const struct reducer *reducer);

/* See that there is room for @instances values and a result of @out_size. 0 or -ENOMEM, sentence. */
int reduce_room_reserve(struct reduce_room *room, const struct reducer *reducer,
			unsigned int instances, size_t out_size);
void reduce_room_free(struct reduce_room *room);

void reduction_start(struct reduction *reduction, const struct reducer *reducer,
		     const struct reduce_room *room);

/* Take the value at reduction->next, which is then another place. */
void reduction_add(struct reduction *reduction, size_t length, uint64_t stamp, const char *name,
		   const uint8_t *uuid, uint64_t epoch);

/*
 * The result of at least one value, in @out, @length bytes. 0; -EMSGSIZE with a
 * sentence; or what the caller's function returned.
 */
int reduction_finish(struct reduction *reduction, const struct reduce_room *room, void *out,
		     size_t out_size, size_t *length);

#endif
