/* SPDX-License-Identifier: BSD-3-Clause */
/* Making one value of those of several instances, one after the other. */
#ifndef REDUCE_H
#define REDUCE_H

#include "geometry.h"
#include "merge.h"
#include "shared.h"

#include <estate/view.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What a query comes down to, for one table. */
struct reducer {
	const struct geometry *geometry;
	enum estate_reduce reduce; /* never ESTATE_REDUCE_MERGE */
	estate_reduce_fn *call;
	void *arg;
	size_t value_room; /* bytes of a value, rounded up to 16 */
	enum estate_merge fold; /* how two become one, if plain */
	int plain; /* the result of one value is that value, and has its length */
};

/* Buffers of a view, of which it has one set. */
struct reduce_room {
	unsigned char *memory; /* sums; or for callers' reducers, values and then the result */
	size_t size;
	struct estate_value *values; /* for callers' reducers: one per instance */
	unsigned int value_count;
};

/* A reduction under way. */
struct reduction {
	const struct reducer *reducer;
	const struct reduce_room *room;
	unsigned char *result; /* so far, of plain ones */
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

static inline void reduction_start(struct reduction *reduction, const struct reducer *reducer,
				   const struct reduce_room *room)
{
	reduction->reducer = reducer;
	reduction->room = room;
	reduction->present = 0;
	reduction->oldest = 0;
	reduction->newest = 0;
}

/* The same as below for all but the first value of a plain reduction. */
void reduction_add_more(struct reduction *reduction, unsigned char *value, size_t length,
			uint64_t stamp, const char *name, const uint8_t *uuid, uint64_t epoch);

/* Take a value. It stays where it is until the reduction is finished, and may be written over. */
static inline void reduction_add(struct reduction *reduction, unsigned char *value, size_t length,
				 uint64_t stamp, const char *name, const uint8_t *uuid,
				 uint64_t epoch)
{
	if (reduction->present || unlikely(!reduction->reducer->plain)) {
		reduction_add_more(reduction, value, length, stamp, name, uuid, epoch);
		return;
	}
	reduction->result = value;
	reduction->length = length;
	reduction->oldest = stamp;
	reduction->newest = stamp;
	reduction->latest = uuid;
	reduction->present = 1;
}

/* The same as below, of any reduction. */
int reduction_finish_any(const struct reduction *reduction, void *out, size_t out_size,
			 size_t *length);

/*
 * The result of at least one value, in @out, @length bytes. 0; -EMSGSIZE with a
 * sentence; or what the caller's function returned.
 */
static inline int reduction_finish(const struct reduction *reduction, void *out, size_t out_size,
				   size_t *length)
{
	if (unlikely(!reduction->reducer->plain || reduction->length > out_size))
		return reduction_finish_any(reduction, out, out_size, length);
	memcpy(out, reduction->result, reduction->length);
	*length = reduction->length;
	return 0;
}

#endif
