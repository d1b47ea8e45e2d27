// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every state that a loss of power can leave a pool in, at any point of scripts of
 * calls: each must open, have what was promised, and go on; and what it leaves
 * when power fails again at any point of that must, too.
 *
 * ESTATE_TEST_OPERATIONS makes less of it, ESTATE_TEST_SEED other samples.
 */
#include "check.h"
#include "workload.h"

#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPERATIONS 660000 /* about so many images come of all */

#define POOL ((size_t)LAYOUT_TABLES + 8 * LAYOUT_PAGE)

static uint64_t total;

/* How many images of a point, if it has more. */
static unsigned int limit(void)
{
	const char *text = getenv("ESTATE_TEST_OPERATIONS");
	uint64_t operations = text ? strtoull(text, NULL, 0) : OPERATIONS;
	uint64_t some = STATES_EXHAUSTIVE * operations / OPERATIONS;

	if (some > STATES_EXHAUSTIVE)
		return STATES_EXHAUSTIVE;
	return some < 16 ? 16 : (unsigned int)some;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct estate_table_attr counters(enum estate_durability durability, size_t capacity)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = 2;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = capacity;
	attr.durability = durability;
	/* The thread that flushes is not what is looked at here. */
	attr.flush_ms = 3600 * 1000;
	return attr;
}

/* Longer than what is inline. */
static struct estate_table_attr texts(enum estate_durability durability, size_t capacity,
				      size_t value_size)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = 20;
	attr.value_type = ESTATE_OPAQUE;
	attr.value_count = value_size;
	attr.capacity = capacity;
	attr.durability = durability;
	return attr;
}

static void begin(struct workload *workload)
{
	workload_init(workload, POOL);
	workload_open(workload);
}

/* Both by whole lines and by words. */
static void finish(struct workload *workload, const char *name)
{
	for (unsigned int unit = 64; unit >= 8; unit /= 8) {
		double began = seconds();
		struct workload_result result;
		char message[512];
		int wrong =
			workload_verify(workload, unit, limit(), &result, message, sizeof(message));

		printf("%-24s %2u bytes: %5llu points (%4llu sampled), %7llu images, %6llu mended, "
		       "%7llu of a second crash, %5.1f s\n",
		       name, unit, (unsigned long long)result.points,
		       (unsigned long long)result.sampled, (unsigned long long)result.images,
		       (unsigned long long)result.mended, (unsigned long long)result.second,
		       seconds() - began);
		fflush(stdout);
		total += result.images + result.second;
		if (wrong)
			fail_msg("%s, units of %u bytes, image %llu: %s", name, unit,
				 (unsigned long long)result.images, message);
	}
	workload_free(workload);
}

static void test_calls(void **state)
{
	struct estate_table_attr attr = counters(ESTATE_DURABILITY_BEFORE_RETURN, 12);
	struct workload workload;

	(void)state;
	begin(&workload);
	workload_table(&workload, "t", &attr, 16);
	for (unsigned int key = 0; key < 12; key++)
		workload_put(&workload, 0, key);
	for (unsigned int key = 0; key < 6; key++)
		workload_add(&workload, 0, key);
	for (unsigned int key = 0; key < 4; key++)
		workload_entry_add(&workload, 0, key);
	workload_any(&workload, 0, 1000);
	finish(&workload, "calls");
}

static void test_inline(void **state)
{
	struct estate_table_attr attr = texts(ESTATE_DURABILITY_BEFORE_RETURN, 6, 100);
	struct workload workload;

	(void)state;
	begin(&workload);
	workload_table(&workload, "t", &attr, 8);
	workload_any(&workload, 0, 60);
	finish(&workload, "inline texts");
}

/* Deleted keys come back in other slots; chains. */
static void test_full(void **state)
{
	struct estate_table_attr attr = counters(ESTATE_DURABILITY_BEFORE_RETURN, 36);
	struct workload workload;

	(void)state;
	begin(&workload);
	workload_table(&workload, "t", &attr, 40);
	for (unsigned int key = 0; key < 36; key++)
		workload_put(&workload, 0, key);
	workload_any(&workload, 0, 300);
	finish(&workload, "full table");
}

static void test_large(void **state)
{
	struct estate_table_attr attr = texts(ESTATE_DURABILITY_BEFORE_RETURN, 6, 600);
	struct workload workload;

	(void)state;
	begin(&workload);
	workload_table(&workload, "t", &attr, 8);
	for (unsigned int key = 0; key < 6; key++)
		workload_put(&workload, 0, key);
	workload_any(&workload, 0, 40);
	finish(&workload, "large values");
}

static void test_batches(void **state)
{
	struct estate_table_attr attr = counters(ESTATE_DURABILITY_BEFORE_RETURN, 20);
	struct workload workload;
	unsigned int keys[20];

	(void)state;
	begin(&workload);
	workload_table(&workload, "t", &attr, 20);
	for (unsigned int round = 0; round < 12; round++) {
		/* Some of them twice. */
		for (unsigned int i = 0; i < 20; i++)
			keys[i] = (unsigned int)workload_random(&workload, 20);
		workload_put_batch(&workload, 0, 3 + round % 18, keys);
		for (unsigned int key = round % 4; key < 20; key += 4)
			if (workload_has(&workload, 0, key))
				workload_delete(&workload, 0, key);
	}
	finish(&workload, "batches");
}

static void test_syncs(void **state)
{
	struct estate_table_attr attr = counters(ESTATE_DURABILITY_ON_LEAVE, 12);
	struct workload workload;

	(void)state;
	begin(&workload);
	workload_table(&workload, "t", &attr, 16);
	for (unsigned int round = 0; round < 30; round++) {
		workload_any(&workload, 0, 1 + (unsigned int)workload_random(&workload, 20));
		workload_sync(&workload);
	}
	finish(&workload, "syncs");
}

/* All keys of a full table go into other slots between two syncs, near and far. */
static void test_moves(void **state)
{
	struct estate_table_attr attr = counters(ESTATE_DURABILITY_ON_LEAVE, 36);
	struct workload workload;

	(void)state;
	begin(&workload);
	workload_table(&workload, "t", &attr, 40);
	for (unsigned int key = 0; key < 36; key++)
		workload_put(&workload, 0, key);
	workload_sync(&workload);
	for (unsigned int round = 0; round < 8; round++) {
		for (unsigned int key = 0; key < 40; key++)
			if (workload_has(&workload, 0, key))
				workload_delete(&workload, 0, key);
		for (unsigned int i = 0; i < 36; i++)
			workload_put(&workload, 0, (i * 7 + round * 3) % 40);
		workload_sync(&workload);
	}
	finish(&workload, "moves");
}

static void test_large_moves(void **state)
{
	struct estate_table_attr attr = texts(ESTATE_DURABILITY_ON_LEAVE, 24, 300);
	struct workload workload;

	(void)state;
	begin(&workload);
	workload_table(&workload, "t", &attr, 26);
	for (unsigned int key = 0; key < 24; key++)
		workload_put(&workload, 0, key);
	workload_sync(&workload);
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int key = 0; key < 26; key++)
			if (workload_has(&workload, 0, key))
				workload_delete(&workload, 0, key);
		for (unsigned int i = 0; i < 24; i++)
			workload_put(&workload, 0, (i * 7 + round * 5) % 26);
		workload_sync(&workload);
	}
	finish(&workload, "moves of large values");
}

static void test_periodic(void **state)
{
	struct estate_table_attr attr = counters(ESTATE_DURABILITY_PERIODIC, 8);
	struct workload workload;

	(void)state;
	begin(&workload);
	workload_table(&workload, "t", &attr, 10);
	for (unsigned int round = 0; round < 5; round++) {
		workload_any(&workload, 0, 6);
		workload_sync(&workload);
	}
	finish(&workload, "periodic");
}

/* Several tables, several lives; all of a kind that there is. */
static void test_lives(void **state)
{
	struct estate_table_attr before = counters(ESTATE_DURABILITY_BEFORE_RETURN, 6);
	struct estate_table_attr leave = counters(ESTATE_DURABILITY_ON_LEAVE, 6);
	struct estate_table_attr large = texts(ESTATE_DURABILITY_BEFORE_RETURN, 4, 300);
	struct workload workload;

	(void)state;
	begin(&workload);
	workload_close(&workload);
	workload_open(&workload);
	workload_table(&workload, "before", &before, 8);
	workload_any(&workload, 0, 10);
	workload_table(&workload, "leave", &leave, 8);
	for (unsigned int life = 0; life < 3; life++) {
		workload_any(&workload, 0, 10);
		workload_any(&workload, 1, 10);
		workload_close(&workload);
		workload_open(&workload);
		if (life == 1)
			workload_table(&workload, "large", &large, 6);
		if (life >= 1)
			workload_any(&workload, 2, 10);
	}
	workload_close(&workload);
	finish(&workload, "lives");
}

/* On memory that had something else before, but for its first page. */
static void test_used_memory(void **state)
{
	struct estate_table_attr attr = texts(ESTATE_DURABILITY_BEFORE_RETURN, 4, 300);
	struct workload workload;

	(void)state;
	workload_init(&workload, POOL);
	memset(workload.start + LAYOUT_DIRECTORY, 'x', POOL - LAYOUT_DIRECTORY);
	memcpy(workload.memory->bytes, workload.start, POOL);
	workload_open(&workload);
	workload_table(&workload, "t", &attr, 5);
	workload_any(&workload, 0, 3);
	workload_close(&workload);
	workload_open(&workload);
	finish(&workload, "used memory");
}

static void test_enough(void **state)
{
	(void)state;
	printf("%llu images in all\n", (unsigned long long)total);
	if (limit() == STATES_EXHAUSTIVE)
		assert_true(total >= 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),	    cmocka_unit_test(test_inline),
		cmocka_unit_test(test_full),	    cmocka_unit_test(test_large),
		cmocka_unit_test(test_batches),	    cmocka_unit_test(test_syncs),
		cmocka_unit_test(test_moves),	    cmocka_unit_test(test_large_moves),
		cmocka_unit_test(test_periodic),    cmocka_unit_test(test_lives),
		cmocka_unit_test(test_used_memory), cmocka_unit_test(test_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
