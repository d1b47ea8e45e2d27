// SPDX-License-Identifier: BSD-3-Clause
/* Adding, merging and averaging, of every type by every rule, against the naive way. */
#include "check.h"
#include "geometry.h"
#include "merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 67 /* more than a vector's worth, and no multiple of one */

static const enum estate_type types[] = { ESTATE_U8,  ESTATE_U16, ESTATE_U32,
					  ESTATE_U64, ESTATE_I64, ESTATE_F64 };
#define TYPES (sizeof(types) / sizeof(types[0]))

static const enum estate_merge rules[] = { ESTATE_MERGE_SUM, ESTATE_MERGE_MIN, ESTATE_MERGE_MAX,
					   ESTATE_MERGE_OR };

static uint64_t load(enum estate_type type, const unsigned char *array, size_t i)
{
	size_t size = geometry_element_size(type);
	uint64_t word = 0;

	for (size_t byte = 0; byte < size; byte++)
		word |= (uint64_t)array[i * size + byte] << (8 * byte);
	return word;
}

static double real_of(uint64_t word)
{
	double real;

	memcpy(&real, &word, 8);
	return real;
}

static uint64_t word_of(double real)
{
	uint64_t word;

	memcpy(&word, &real, 8);
	return word;
}

/* What one element should become, as words of 64 bits. */
static uint64_t naive(enum estate_merge rule, enum estate_type type, uint64_t a, uint64_t b)
{
	unsigned int bits = 8 * (unsigned int)geometry_element_size(type);
	uint64_t mask = bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
	int less = type == ESTATE_I64 ? (int64_t)a < (int64_t)b : a < b;

	if (type == ESTATE_F64) {
		double x = real_of(a);
		double y = real_of(b);

		if (rule == ESTATE_MERGE_SUM)
			return word_of(x + y);
		return word_of((rule == ESTATE_MERGE_MIN) == (x < y) ? x : y);
	}
	switch (rule) {
	case ESTATE_MERGE_SUM:
		return (a + b) & mask;
	case ESTATE_MERGE_MIN:
		return less ? a : b;
	case ESTATE_MERGE_MAX:
		return less ? b : a;
	default:
		return a | b;
	}
}

/* Random, with the ends of the range among them. */
static void fill(enum estate_type type, unsigned char *array, unsigned int *seed)
{
	size_t size = geometry_element_size(type);

	for (size_t i = 0; i < COUNT; i++) {
		unsigned char *element = array + i * size;

		if (type == ESTATE_F64) {
			double real = ((double)rand_r(seed) - RAND_MAX / 2) / 1024;

			memcpy(element, &real, 8);
			continue;
		}
		for (size_t byte = 0; byte < size; byte++)
			element[byte] = (unsigned char)(rand_r(seed) >> 3);
		switch (rand_r(seed) % 6) {
		case 0:
			memset(element, 0, size);
			break;
		case 1:
			memset(element, 0xff, size);
			break;
		case 2: /* the lowest number that has a sign, or the middle */
			memset(element, 0, size);
			element[size - 1] = 0x80;
			break;
		case 3:
			memset(element, 0xff, size);
			element[size - 1] = 0x7f;
			break;
		default:
			break;
		}
	}
}

static void test_fold(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (size_t t = 0; t < TYPES; t++) {
		for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
			if (rules[r] == ESTATE_MERGE_OR && types[t] >= ESTATE_I64)
				continue;
			/* At all alignments of either side, and of all lengths. */
			for (size_t round = 0; round < 64 + COUNT; round++) {
				size_t at_value = round % 8;
				size_t at_other = round / 8 % 8;
				size_t count = round < 64 ? COUNT : round - 64;
				size_t bytes = count * geometry_element_size(types[t]);
				unsigned char value[COUNT * 8 + 16];
				unsigned char other[COUNT * 8 + 16];
				unsigned char before[COUNT * 8 + 16];

				memset(value, 0xa5, sizeof(value));
				fill(types[t], value + at_value, &seed);
				fill(types[t], other + at_other, &seed);
				memcpy(before, value, sizeof(value));
				merge_fold(rules[r], types[t], value + at_value, other + at_other,
					   count);
				for (size_t i = 0; i < count; i++)
					assert_true(load(types[t], value + at_value, i) ==
						    naive(rules[r], types[t],
							  load(types[t], before + at_value, i),
							  load(types[t], other + at_other, i)));
				/* Neither before nor behind the elements is anything changed. */
				assert_memory_equal(value, before, at_value);
				assert_memory_equal(value + at_value + bytes,
						    before + at_value + bytes,
						    sizeof(value) - at_value - bytes);
			}
		}
	}
}

static void test_add(void **state)
{
	unsigned int seed = 2;

	(void)state;
	for (size_t t = 0; t < TYPES; t++) {
		for (size_t round = 0; round < 64; round++) {
			uint64_t aligned[COUNT] = { 0 };
			unsigned char *value = (unsigned char *)aligned;
			unsigned char deltas[COUNT * 8 + 8];
			unsigned char before[COUNT * 8];

			fill(types[t], value, &seed);
			fill(types[t], deltas + round % 8, &seed);
			memcpy(before, value, sizeof(before));
			if (round % 2)
				merge_add(types[t], value, deltas + round % 8, COUNT);
			else
				merge_add_inline(types[t], value, deltas + round % 8, COUNT);
			for (size_t i = 0; i < COUNT; i++)
				assert_true(load(types[t], value, i) ==
					    naive(ESTATE_MERGE_SUM, types[t],
						  load(types[t], before, i),
						  load(types[t], deltas + round % 8, i)));
		}
	}
}

/* Rules about whole values are not this function's: it does nothing. */
static void test_whole_values(void **state)
{
	uint64_t value = 5;
	const uint64_t other = 7;

	(void)state;
	merge_fold(ESTATE_MERGE_LATEST, ESTATE_U64, &value, &other, 1);
	merge_fold(ESTATE_MERGE_CUSTOM, ESTATE_U64, &value, &other, 1);
	assert_int_equal(value, 5);
}

static double fold_reals(enum estate_merge rule, double a, double b)
{
	merge_fold(rule, ESTATE_F64, &a, &b, 1);
	return a;
}

static void test_reals(void **state)
{
	(void)state;
	/* A NaN loses to every number, whichever comes first. */
	assert_true(fold_reals(ESTATE_MERGE_MIN, NAN, 3) == 3);
	assert_true(fold_reals(ESTATE_MERGE_MIN, 3, NAN) == 3);
	assert_true(fold_reals(ESTATE_MERGE_MAX, NAN, -3) == -3);
	assert_true(fold_reals(ESTATE_MERGE_MAX, -3, NAN) == -3);
	assert_true(fold_reals(ESTATE_MERGE_MAX, NAN, -INFINITY) == -INFINITY);
	assert_true(isnan(fold_reals(ESTATE_MERGE_MIN, NAN, NAN)));
	assert_true(isnan(fold_reals(ESTATE_MERGE_SUM, NAN, 1)));
	assert_true(fold_reals(ESTATE_MERGE_MIN, -INFINITY, -1e308) == -INFINITY);
	assert_true(fold_reals(ESTATE_MERGE_MAX, INFINITY, 1e308) == INFINITY);
	assert_true(isnan(fold_reals(ESTATE_MERGE_SUM, INFINITY, -INFINITY)));
	assert_true(fold_reals(ESTATE_MERGE_SUM, 0.5, 0.25) == 0.75);
}

/* Where doubles would round: 2^53 + 1. */
static void test_exact(void **state)
{
	uint64_t value = (1ull << 53) + 1;
	int64_t negative = -((1ll << 53) + 1);

	(void)state;
	merge_fold(ESTATE_MERGE_SUM, ESTATE_U64, &value, &(uint64_t){ 1ull << 60 }, 1);
	assert_int_equal(value, (1ull << 53) + 1 + (1ull << 60));
	merge_fold(ESTATE_MERGE_MAX, ESTATE_U64, &value, &(uint64_t){ value + 1 }, 1);
	assert_int_equal(value, (1ull << 53) + 2 + (1ull << 60));
	merge_fold(ESTATE_MERGE_SUM, ESTATE_I64, &negative, &(int64_t){ -2 }, 1);
	assert_true(negative == -((1ll << 53) + 3));
	/* Wrap-around at both ends, without a trap. */
	negative = INT64_MAX;
	merge_fold(ESTATE_MERGE_SUM, ESTATE_I64, &negative, &(int64_t){ 1 }, 1);
	assert_true(negative == INT64_MIN);
	merge_fold(ESTATE_MERGE_SUM, ESTATE_I64, &negative, &(int64_t){ -1 }, 1);
	assert_true(negative == INT64_MAX);
	value = UINT64_MAX;
	merge_fold(ESTATE_MERGE_SUM, ESTATE_U64, &value, &(uint64_t){ 2 }, 1);
	assert_int_equal(value, 1);
}

static void test_average(void **state)
{
	unsigned int seed = 3;

	(void)state;
	for (size_t t = 0; t < TYPES; t++) {
		for (unsigned int values = 1; values < 9; values++) {
			union merge_sum sums[COUNT] = { 0 };
			__int128 integers[COUNT] = { 0 };
			double reals[COUNT] = { 0 };
			double averages[COUNT];

			for (unsigned int v = 0; v < values; v++) {
				unsigned char array[COUNT * 8 + 8];
				const size_t at = v % 8;

				fill(types[t], array + at, &seed);
				merge_sum(types[t], sums, array + at, COUNT);
				for (size_t i = 0; i < COUNT; i++) {
					uint64_t word = load(types[t], array + at, i);

					if (types[t] == ESTATE_F64)
						reals[i] += real_of(word);
					else if (types[t] == ESTATE_I64)
						integers[i] += (int64_t)word;
					else
						integers[i] += word;
				}
			}
			merge_average(types[t], averages, sums, COUNT, values);
			for (size_t i = 0; i < COUNT; i++) {
				double sum =
					types[t] == ESTATE_F64 ? reals[i] : (double)integers[i];

				assert_true(averages[i] == sum / values);
			}
		}
	}
}

/* Sums that 64 bits have no room for; and in place, as global reads do it. */
static void test_average_of_large(void **state)
{
	union merge_sum sums[2] = { 0 };
	const uint64_t most[2] = { UINT64_MAX, UINT64_MAX - 1 };
	const int64_t least = INT64_MIN;
	double average;

	(void)state;
	for (int i = 0; i < 1000; i++)
		merge_sum(ESTATE_U64, sums, most, 2);
	assert_true(sums[0].integer == (__int128)UINT64_MAX * 1000);
	assert_true(sums[1].integer == (__int128)(UINT64_MAX - 1) * 1000);
	merge_average(ESTATE_U64, (double *)sums, sums, 2, 1000);
	assert_true(((double *)sums)[0] == (double)UINT64_MAX);
	assert_true(((double *)sums)[1] == (double)UINT64_MAX);
	memset(sums, 0, sizeof(sums));
	for (int i = 0; i < 1000; i++)
		merge_sum(ESTATE_I64, sums, &least, 1);
	merge_average(ESTATE_I64, &average, sums, 1, 1000);
	assert_true(average == (double)INT64_MIN);
	/* Large ones that cancel leave the small one, exactly. */
	memset(sums, 0, sizeof(sums));
	merge_sum(ESTATE_I64, sums, &(int64_t){ INT64_MAX }, 1);
	merge_sum(ESTATE_I64, sums, &(int64_t){ 3 }, 1);
	merge_sum(ESTATE_I64, sums, &(int64_t){ -INT64_MAX }, 1);
	merge_average(ESTATE_I64, &average, sums, 1, 3);
	assert_true(average == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_whole_values),
		cmocka_unit_test(test_reals),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_average),
		cmocka_unit_test(test_average_of_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
