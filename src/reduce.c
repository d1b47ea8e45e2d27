// SPDX-License-Identifier: BSD-3-Clause
#include "reduce.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16

static size_t round_up(size_t bytes)
{
	return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static enum estate_reduce of_merge(enum estate_merge merge)
{
	switch (merge) {
	case ESTATE_MERGE_SUM:
		return ESTATE_REDUCE_SUM;
	case ESTATE_MERGE_MIN:
		return ESTATE_REDUCE_MIN;
	case ESTATE_MERGE_MAX:
		return ESTATE_REDUCE_MAX;
	case ESTATE_MERGE_OR:
		return ESTATE_REDUCE_OR;
	case ESTATE_MERGE_CUSTOM:
		return ESTATE_REDUCE_CALL;
	case ESTATE_MERGE_LATEST:
		break;
	}
	return ESTATE_REDUCE_LATEST;
}

static enum estate_merge to_merge(enum estate_reduce reduce)
{
	switch (reduce) {
	case ESTATE_REDUCE_SUM:
		return ESTATE_MERGE_SUM;
	case ESTATE_REDUCE_MIN:
		return ESTATE_MERGE_MIN;
	case ESTATE_REDUCE_MAX:
		return ESTATE_MERGE_MAX;
	default:
		return ESTATE_MERGE_OR;
	}
}

int reducer_init(struct reducer *reducer, const struct geometry *geometry, estate_reduce_fn *custom,
		 void *custom_arg, const struct estate_query *query)
{
	struct reducer r = { .geometry = geometry, .value_room = round_up(geometry->value_size) };

	if (query && query->size != sizeof(*query))
		return error_set(-EINVAL,
				 "the query's size is %zu, this library expects %zu: start from "
				 "ESTATE_QUERY_INIT, built with the same headers",
				 query->size, sizeof(*query));
	r.reduce = query ? query->reduce : ESTATE_REDUCE_MERGE;
	if ((unsigned int)r.reduce > ESTATE_REDUCE_CALL)
		return error_set(-EINVAL, "the query: there is no reducer %d", (int)r.reduce);
	if (r.reduce == ESTATE_REDUCE_CALL) {
		r.call = query->call;
		r.arg = query->arg;
		if (!r.call)
			return error_set(-EINVAL, "the query: ESTATE_REDUCE_CALL needs call");
	}
	if (r.reduce == ESTATE_REDUCE_MERGE) {
		r.reduce = of_merge(geometry->merge);
		r.call = custom;
		r.arg = custom_arg;
		if (r.reduce == ESTATE_REDUCE_CALL && !r.call)
			return error_set(-ENOTSUP,
					 "the table's merge rule is custom and no function "
					 "was given: open the table with one, or query with "
					 "ESTATE_REDUCE_CALL");
	}
	if (geometry->type == ESTATE_OPAQUE && r.reduce != ESTATE_REDUCE_LATEST &&
	    r.reduce != ESTATE_REDUCE_COUNT && r.reduce != ESTATE_REDUCE_CALL)
		return error_set(-ENOTSUP,
				 "opaque values reduce by latest, count or a function only");
	if (r.reduce == ESTATE_REDUCE_OR &&
	    (geometry->type == ESTATE_I64 || geometry->type == ESTATE_F64))
		return error_set(-ENOTSUP, "bitwise or is for unsigned values only");
	r.fold = to_merge(r.reduce);
	r.plain = r.reduce != ESTATE_REDUCE_CALL && r.reduce != ESTATE_REDUCE_AVERAGE &&
		  r.reduce != ESTATE_REDUCE_COUNT;
	*reducer = r;
	return 0;
}

size_t reducer_result_size(const struct reducer *reducer)
{
	switch (reducer->reduce) {
	case ESTATE_REDUCE_AVERAGE:
		return reducer->geometry->value_count * sizeof(double);
	case ESTATE_REDUCE_COUNT:
		return sizeof(uint64_t);
	case ESTATE_REDUCE_CALL:
		return 0;
	default:
		return reducer->geometry->type == ESTATE_OPAQUE ? 0 : reducer->geometry->value_size;
	}
}

static size_t sums_room(const struct reducer *reducer)
{
	return reducer->geometry->value_count * sizeof(union merge_sum);
}

int reduce_room_reserve(struct reduce_room *room, const struct reducer *reducer,
			unsigned int instances, size_t out_size)
{
	size_t size = 0;

	if (reducer->reduce == ESTATE_REDUCE_AVERAGE)
		size = sums_room(reducer);
	if (reducer->reduce == ESTATE_REDUCE_CALL) {
		size = round_up(out_size) + (size_t)instances * reducer->value_room;
		if (room->value_count < instances) {
			struct estate_value *values = calloc(instances, sizeof(*values));

			if (!values)
				goto no_memory;
			free(room->values);
			room->values = values;
			room->value_count = instances;
		}
	}
	if (room->size < size) {
		unsigned char *memory = aligned_alloc(ALIGNMENT, size);

		if (!memory)
			goto no_memory;
		free(room->memory);
		room->memory = memory;
		room->size = size;
	}
	return 0;

no_memory:
	return error_set(-ENOMEM, "no memory to reduce the values of %u instances: %zu bytes",
			 instances, size);
}

void reduce_room_free(struct reduce_room *room)
{
	free(room->values);
	free(room->memory);
}

/* Of two values of one stamp, that of the higher UUID counts, for everybody. */
static int is_later(const struct reduction *reduction, uint64_t stamp, const uint8_t *uuid)
{
	if (stamp != reduction->newest)
		return stamp > reduction->newest;
	return memcmp(uuid, reduction->latest, 16) > 0;
}

/* For a caller's function: aligned to 16. */
static void keep(struct reduction *reduction, const unsigned char *value, size_t length,
		 uint64_t stamp, const char *name, const uint8_t *uuid, uint64_t epoch)
{
	unsigned char *data = reduction->room->memory +
			      (size_t)reduction->present * reduction->reducer->value_room;

	memcpy(data, value, length);
	reduction->room->values[reduction->present] =
		(struct estate_value){ data, length, stamp, name, uuid, epoch };
}

static void sum_up(struct reduction *reduction, const unsigned char *value)
{
	const struct reducer *reducer = reduction->reducer;
	union merge_sum *sums = (union merge_sum *)reduction->room->memory;

	if (!reduction->present)
		memset(sums, 0, sums_room(reducer));
	merge_sum(reducer->geometry->type, sums, value, reducer->geometry->value_count);
}

void reduction_add_more(struct reduction *reduction, unsigned char *value, size_t length,
			uint64_t stamp, const char *name, const uint8_t *uuid, uint64_t epoch)
{
	const struct reducer *reducer = reduction->reducer;
	int first = !reduction->present;
	int later = first || is_later(reduction, stamp, uuid);

	switch (reducer->reduce) {
	case ESTATE_REDUCE_CALL:
		keep(reduction, value, length, stamp, name, uuid, epoch);
		break;
	case ESTATE_REDUCE_AVERAGE:
		sum_up(reduction, value);
		break;
	case ESTATE_REDUCE_COUNT:
		break;
	case ESTATE_REDUCE_LATEST:
		if (later)
			reduction->result = value;
		break;
	default:
		merge_fold(reducer->fold, reducer->geometry->type, reduction->result, value,
			   reducer->geometry->value_count);
		break;
	}
	if (later) {
		reduction->newest = stamp;
		reduction->latest = uuid;
		reduction->length = length;
	}
	if (first || stamp < reduction->oldest)
		reduction->oldest = stamp;
	reduction->present++;
}

static int call(const struct reduction *reduction, void *out, size_t out_size, size_t *length)
{
	const struct reducer *reducer = reduction->reducer;
	const struct reduce_room *room = reduction->room;
	unsigned char *result = room->memory + room->size - round_up(out_size);
	size_t result_length = 0;
	int error;

	memset(result, 0, out_size);
	error = reducer->call(room->values, reduction->present, result, out_size, &result_length,
			      reducer->arg);
	if (error)
		return error_set(error, "the caller's reducer returned %d", error);
	if (result_length > out_size)
		return error_set(
			-EMSGSIZE,
			"the caller's reducer says that it wrote %zu bytes, there is room for "
			"%zu",
			result_length, out_size);
	memcpy(out, result, result_length);
	*length = result_length;
	return 0;
}

int reduction_finish_any(const struct reduction *reduction, void *out, size_t out_size,
			 size_t *length)
{
	const struct reducer *reducer = reduction->reducer;
	uint64_t present = reduction->present;
	const void *result = reduction->result;
	size_t size = reduction->length;

	switch (reducer->reduce) {
	case ESTATE_REDUCE_CALL:
		return call(reduction, out, out_size, length);
	case ESTATE_REDUCE_AVERAGE:
		/* In place: a double is shorter than the sum that it is made of. */
		size = reducer_result_size(reducer);
		result = reduction->room->memory;
		merge_average(reducer->geometry->type, reduction->room->memory,
			      (union merge_sum *)reduction->room->memory,
			      reducer->geometry->value_count, reduction->present);
		break;
	case ESTATE_REDUCE_COUNT:
		size = sizeof(present);
		result = &present;
		break;
	default:
		break;
	}
	if (size > out_size)
		return error_set(-EMSGSIZE, "the result has %zu bytes, there is room for %zu", size,
				 out_size);
	memcpy(out, result, size);
	*length = size;
	return 0;
}
