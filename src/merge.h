/* SPDX-License-Identifier: BSD-3-Clause */
/* Values as arrays of numbers: adding to them, and making one of two. */
#ifndef MERGE_H
#define MERGE_H

#include <estate/table.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* value[i] += deltas[i]. Neither needs alignment; integers wrap at their width. */
void merge_add(enum estate_type type, void *value, const void *deltas, size_t count);

/* The same, for the counters of hot paths without a call. @value is aligned to 8 if its type is. */
static inline void merge_add_inline(enum estate_type type, void *value, const void *deltas,
				    size_t count)
{
	uint64_t *words = value;

	if (type != ESTATE_U64 && type != ESTATE_I64) {
		merge_add(type, value, deltas, count);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t delta;

		memcpy(&delta, (const char *)deltas + i * 8, 8);
		words[i] += delta;
	}
}

/*
 * value[i] = value[i] merged with other[i]. Not for ESTATE_MERGE_LATEST, which
 * is about whole values, nor ESTATE_MERGE_CUSTOM.
 */
void merge_fold(enum estate_merge merge, enum estate_type type, void *value, const void *other,
		size_t count);

/* For averages: sums[i] += value[i], and in the end. Exact for integers. */
union merge_sum {
	__int128 integer;
	double real;
};
void merge_sum(enum estate_type type, union merge_sum *sums, const void *value, size_t count);
/* @averages: @count doubles; may be where the sums are. */
void merge_average(enum estate_type type, void *averages, const union merge_sum *sums, size_t count,
		   unsigned int values);

#endif
