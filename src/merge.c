// SPDX-License-Identifier: BSD-3-Clause
#include "merge.h"

#include <stdint.h>
#include <string.h>

/*
 * One loop per type and operation, from one text. Elements are loaded and
 * stored by memcpy(), which compilers turn into moves and vectors.
 */
#define LOOP(type_, expression)                                                              \
	for (size_t i = 0; i < count; i++) {                                                 \
		type_ a, b;                                                                  \
		memcpy(&a, (const unsigned char *)value + i * sizeof(type_), sizeof(type_)); \
		memcpy(&b, (const unsigned char *)other + i * sizeof(type_), sizeof(type_)); \
		a = (type_)(expression);                                                     \
		memcpy((unsigned char *)value + i * sizeof(type_), &a, sizeof(type_));       \
	}                                                                                    \
	break

#define UNSIGNED_TYPES(expression)          \
	case ESTATE_OPAQUE:                 \
	case ESTATE_U8:                     \
		LOOP(uint8_t, expression);  \
	case ESTATE_U16:                    \
		LOOP(uint16_t, expression); \
	case ESTATE_U32:                    \
		LOOP(uint32_t, expression); \
	case ESTATE_U64:                    \
		LOOP(uint64_t, expression)

void merge_add(enum estate_type type, void *value, const void *deltas, size_t count)
{
	const void *other = deltas;

	switch (type) {
		UNSIGNED_TYPES(a + b);
	case ESTATE_I64: /* as unsigned: wraps, where signed addition would be undefined */
		LOOP(uint64_t, a + b);
	case ESTATE_F64:
		LOOP(double, a + b);
	}
}

static void fold_min(enum estate_type type, void *value, const void *other, size_t count)
{
	switch (type) {
		UNSIGNED_TYPES(a < b ? a : b);
	case ESTATE_I64:
		LOOP(int64_t, a < b ? a : b);
	case ESTATE_F64: /* a NaN loses to a number, as in fmin() */
		LOOP(double, a != a || b < a ? b : a);
	}
}

static void fold_max(enum estate_type type, void *value, const void *other, size_t count)
{
	switch (type) {
		UNSIGNED_TYPES(a > b ? a : b);
	case ESTATE_I64:
		LOOP(int64_t, a > b ? a : b);
	case ESTATE_F64:
		LOOP(double, a != a || b > a ? b : a);
	}
}

static void fold_or(enum estate_type type, void *value, const void *other, size_t count)
{
	switch (type) {
		UNSIGNED_TYPES(a | b);
	case ESTATE_I64:
	case ESTATE_F64: /* refused when the table or the query was made */
		break;
	}
}

void merge_fold(enum estate_merge merge, enum estate_type type, void *value, const void *other,
		size_t count)
{
	switch (merge) {
	case ESTATE_MERGE_SUM:
		merge_add(type, value, other, count);
		break;
	case ESTATE_MERGE_MIN:
		fold_min(type, value, other, count);
		break;
	case ESTATE_MERGE_MAX:
		fold_max(type, value, other, count);
		break;
	case ESTATE_MERGE_OR:
		fold_or(type, value, other, count);
		break;
	case ESTATE_MERGE_LATEST:
	case ESTATE_MERGE_CUSTOM:
		break;
	}
}

static __int128 integer_at(enum estate_type type, const unsigned char *value, size_t i)
{
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (type) {
	case ESTATE_U16:
		memcpy(&u16, value + i * 2, 2);
		return u16;
	case ESTATE_U32:
		memcpy(&u32, value + i * 4, 4);
		return u32;
	case ESTATE_U64:
		memcpy(&u64, value + i * 8, 8);
		return u64;
	case ESTATE_I64:
		memcpy(&u64, value + i * 8, 8);
		return (int64_t)u64;
	default:
		return value[i];
	}
}

void merge_sum(enum estate_type type, union merge_sum *sums, const void *value, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (type == ESTATE_F64) {
			double real;

			memcpy(&real, (const unsigned char *)value + i * 8, 8);
			sums[i].real += real;
		} else {
			sums[i].integer += integer_at(type, value, i);
		}
	}
}

void merge_average(enum estate_type type, void *averages, const union merge_sum *sums, size_t count,
		   unsigned int values)
{
	for (size_t i = 0; i < count; i++) {
		double sum = type == ESTATE_F64 ? sums[i].real : (double)sums[i].integer;
		double average = sum / values;

		memcpy((unsigned char *)averages + i * sizeof(average), &average, sizeof(average));
	}
}
