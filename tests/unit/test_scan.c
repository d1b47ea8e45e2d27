// SPDX-License-Identifier: BSD-3-Clause
/* Scans of the global view: every key of any instance, once, reduced over all of them. */
#include "check.h"
#include "group.h"
#include "scratch.h"
#include "slot.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INSTANCES 3
#define CAPACITY 2000
#define KEYS 4000 /* different ones, over all instances */

static const char *const names[INSTANCES] = { "a", "b", "c" };

struct fixture {
	char *folder;
	struct estate *es[INSTANCES];
	struct estate_table *table[INSTANCES]; /* "t": 1 u64, sum */
	struct estate_view *view; /* of the first one */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->folder = scratch_make();
	for (int i = 0; i < INSTANCES; i++)
		f->es[i] = group_open(f->folder, names[i], 8 << 20);
	for (int i = 0; i < INSTANCES; i++) {
		group_wait(f->es[i], INSTANCES);
		f->table[i] = group_counters(f->es[i], "t", 8, 1, CAPACITY);
	}
	f->view = group_view(f->es[0]);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	estate_view_close(f->view);
	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_close(f->es[i]));
	scratch_remove(f->folder);
	free(f);
	return 0;
}

/* Keys of two lengths, one a prefix of another. */
static size_t key_length(uint64_t id)
{
	return id % 2 ? 8 : 4;
}

static uint64_t key_of(uint64_t id)
{
	return id / 2 + 1;
}

/* Which instances have a key: every non-empty set of them, in turn; 0 if the table is full. */
static unsigned int owners(uint64_t id)
{
	return (unsigned int)(id % 7 + 1);
}

static uint64_t value_of(uint64_t id, int instance)
{
	return id * 10 + (uint64_t)instance + 1;
}

/* What the scan is expected to show, and what it did. */
struct expected {
	unsigned char present[KEYS];
	uint64_t sum[KEYS];
	unsigned char seen[KEYS];
	unsigned int visits;
	unsigned int stop_at; /* 0: never */
	unsigned int pause_ms;
};

/* Fill each instance to its capacity. */
static void fill(struct fixture *f, struct expected *expected)
{
	memset(expected, 0, sizeof(*expected));
	for (int i = 0; i < INSTANCES; i++) {
		struct estate_table_stats stats;

		for (uint64_t id = 0; id < KEYS; id++) {
			uint64_t key = key_of(id);
			uint64_t value = value_of(id, i);

			if (!(owners(id) >> i & 1))
				continue;
			if (estate_put(f->table[i], &key, key_length(id), &value, 8) == -ENOSPC)
				break;
			expected->present[id]++;
			expected->sum[id] += value;
		}
		assert_ok(estate_table_stats(f->table[i], &stats));
		assert_int_equal(stats.entries, CAPACITY);
		/* Or there would be no chains to follow. */
		assert_true(stats.overflowed > 0);
	}
}

static int check_one(const void *key, size_t length, const void *value, size_t value_length,
		     unsigned int present, uint64_t newest, void *arg)
{
	struct expected *expected = arg;
	uint64_t word = 0;
	uint64_t sum;
	uint64_t id;

	assert_true(length == 4 || length == 8);
	memcpy(&word, key, length);
	id = (word - 1) * 2 + (length == 8);
	assert_in_range(id, 0, KEYS - 1);
	assert_int_equal(expected->seen[id]++, 0);
	assert_int_equal(present, expected->present[id]);
	assert_int_equal(value_length, 8);
	assert_int_equal((uintptr_t)value % 16, 0);
	memcpy(&sum, value, 8);
	assert_int_equal(sum, expected->sum[id]);
	assert_true(newest > 0);
	if (expected->pause_ms) {
		const struct timespec time = { .tv_nsec = expected->pause_ms * 1000000l };

		nanosleep(&time, NULL);
	}
	return ++expected->visits == expected->stop_at ? -4711 : 0;
}

static void check_all(const struct expected *expected)
{
	for (uint64_t id = 0; id < KEYS; id++)
		assert_int_equal(expected->seen[id], expected->present[id] > 0);
}

static void test_every_key_once(void **state)
{
	struct fixture *f = *state;
	struct expected *expected = malloc(sizeof(*expected));
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer;
	struct estate *observer;
	struct estate_table *observed;
	struct estate_view *view;

	fill(f, expected);
	memset(&answer, 0xa5, sizeof(answer));
	assert_ok(estate_scan_global(f->view, f->table[0], NULL, check_one, expected, &answer));
	check_all(expected);
	assert_int_equal(answer.asked, 3);
	assert_int_equal(answer.answered, 3);
	assert_int_equal(answer.missing, 0);
	assert_int_equal(answer.present, 3);
	assert_int_equal(answer.stale, 0);

	/* With a query, and nobody to tell. */
	query.reduce = ESTATE_REDUCE_SUM;
	memset(expected->seen, 0, sizeof(expected->seen));
	assert_ok(estate_scan_global(f->view, f->table[0], &query, check_one, expected, NULL));
	check_all(expected);

	/* From outside it is the same. */
	observer = group_open(f->folder, NULL, 0);
	group_wait(observer, INSTANCES);
	assert_ok(estate_table_open(observer, "t", NULL, &observed));
	view = group_view(observer);
	memset(expected->seen, 0, sizeof(expected->seen));
	assert_ok(estate_scan_global(view, observed, NULL, check_one, expected, &answer));
	check_all(expected);
	assert_int_equal(answer.answered, 3);
	estate_view_close(view);
	estate_close(observer);

	/* What is deleted is gone, in chains too. */
	for (uint64_t id = 0; id < KEYS; id += 3) {
		uint64_t key = key_of(id);

		for (int i = 0; i < INSTANCES; i++)
			estate_delete(f->table[i], &key, key_length(id));
		expected->present[id] = 0;
	}
	memset(expected->seen, 0, sizeof(expected->seen));
	assert_ok(estate_scan_global(f->view, f->table[0], NULL, check_one, expected, NULL));
	check_all(expected);
	free(expected);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	struct expected *expected = malloc(sizeof(*expected));
	struct estate_answer answer = { 0 };

	fill(f, expected);
	for (unsigned int stop = 1; stop < 10; stop++) {
		memset(expected->seen, 0, sizeof(expected->seen));
		expected->visits = 0;
		expected->stop_at = stop;
		assert_int_equal(estate_scan_global(f->view, f->table[0], NULL, check_one, expected,
						    &answer),
				 -4711);
		assert_int_equal(expected->visits, stop);
	}
	free(expected);
}

static void test_deadline(void **state)
{
	struct fixture *f = *state;
	struct expected *expected = malloc(sizeof(*expected));
	struct estate_query query = ESTATE_QUERY_INIT;

	fill(f, expected);
	query.deadline_us = 1;
	assert_error(estate_scan_global(f->view, f->table[0], &query, check_one, expected, NULL),
		     -ETIMEDOUT, "deadline");
	assert_true(expected->visits < KEYS);
	/* The view's own deadline, 10 ms, is for single reads: a slow visitor has its time. */
	memset(expected->seen, 0, sizeof(expected->seen));
	expected->visits = 0;
	expected->stop_at = 10;
	expected->pause_ms = 5;
	assert_int_equal(estate_scan_global(f->view, f->table[0], NULL, check_one, expected, NULL),
			 -4711);
	query.deadline_us = 600000000;
	memset(expected->seen, 0, sizeof(expected->seen));
	expected->stop_at = 0;
	expected->pause_ms = 0;
	assert_ok(estate_scan_global(f->view, f->table[0], &query, check_one, expected, NULL));
	check_all(expected);
	free(expected);
}

static int slow(const void *key, size_t length, const void *value, size_t value_length,
		unsigned int present, uint64_t newest, void *arg)
{
	const struct timespec time = { .tv_nsec = 20000000 };

	(void)key;
	(void)length;
	(void)value;
	(void)value_length;
	(void)present;
	(void)newest;
	++*(unsigned int *)arg;
	nanosleep(&time, NULL);
	return 0;
}

/* The deadline is for a small table's scan, too. */
static void test_deadline_of_small_table(void **state)
{
	struct fixture *f = *state;
	struct estate_table *table = group_counters(f->es[0], "small", 8, 1, 50);
	struct estate_query query = ESTATE_QUERY_INIT;
	unsigned int visits = 0;

	for (uint64_t id = 0; id < 50; id++)
		assert_ok(estate_put(table, &id, 8, &id, 8));
	query.deadline_us = 1000;
	assert_error(estate_scan_global(f->view, table, &query, slow, &visits, NULL), -ETIMEDOUT,
		     "deadline");
	assert_in_range(visits, 0, 49);
}

static void test_missing(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct expected *expected = calloc(1, sizeof(*expected));
	struct estate_table *table[INSTANCES];
	struct estate_answer answer;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = 1;
	attr.merge = ESTATE_MERGE_SUM;
	for (int i = 0; i < INSTANCES; i++) {
		attr.capacity = i == 2 ? 101 : 100;
		assert_ok(estate_table_open(f->es[i], "odd", &attr, &table[i]));
		for (uint64_t id = 0; id < 50; id++) {
			uint64_t key = key_of(id);

			assert_ok(estate_put(table[i], &key, key_length(id),
					     &(uint64_t){ value_of(id, i) }, 8));
			expected->present[id] = 2;
			expected->sum[id] = value_of(id, 0) + value_of(id, 1);
		}
	}
	assert_ok(estate_scan_global(f->view, table[0], NULL, check_one, expected, &answer));
	check_all(expected);
	assert_int_equal(answer.asked, 3);
	assert_int_equal(answer.answered, 2);
	assert_int_equal(answer.missing, 1);
	assert_int_equal(answer.present, 2);
	assert_string_equal(answer.who[0].name, "c");
	assert_memory_equal(answer.who[0].uuid, f->es[2]->identity.uuid, 16);
	assert_int_equal(answer.who[0].why, -EPROTO);
	free(expected);
}

static int count_one(const void *key, size_t length, const void *value, size_t value_length,
		     unsigned int present, uint64_t newest, void *arg)
{
	(void)key;
	(void)length;
	(void)value;
	(void)value_length;
	(void)present;
	(void)newest;
	++*(unsigned int *)arg;
	return 0;
}

/* One damaged entry makes its instance missing, not the scan useless. */
static void test_damaged(void **state)
{
	struct fixture *f = *state;
	const uint64_t key = 17;
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer;
	struct entry_key ready;
	struct slot slot;
	unsigned int visits = 0;

	query.deadline_us = 600000000;
	for (uint64_t id = 0; id < 100; id++)
		for (int i = 0; i < INSTANCES; i++)
			for (int times = 0; times < 2; times++)
				assert_ok(estate_put(f->table[i], &id, 8, &id, 8));
	table_key(f->table[1], &key, 8, &ready);
	assert_true(slot_find(f->table[1], &ready,
			      geometry_home(&f->table[1]->geometry, ready.hash), &slot, 1));
	slot_current(f->table[1], &slot)->stamp ^= 8;
	slot_older(f->table[1], &slot)->stamp ^= 8;
	assert_ok(estate_scan_global(f->view, f->table[0], &query, count_one, &visits, &answer));
	assert_int_equal(visits, 100);
	assert_int_equal(answer.asked, 3);
	assert_int_equal(answer.missing, 1);
	assert_string_equal(answer.who[0].name, "b");
	assert_int_equal(answer.who[0].why, -EBADMSG);
	assert_int_equal(answer.present, 3);
}

static void test_empty(void **state)
{
	struct fixture *f = *state;
	struct estate_answer answer;
	unsigned int visits = 0;

	memset(&answer, 0xa5, sizeof(answer));
	assert_ok(estate_scan_global(f->view, f->table[0], NULL, count_one, &visits, &answer));
	assert_int_equal(visits, 0);
	assert_int_equal(answer.asked, 3);
	assert_int_equal(answer.answered, 3);
	assert_int_equal(answer.present, 0);
	assert_int_equal(answer.missing, 0);
	/* A table that nobody else has. */
	assert_ok(estate_scan_global(f->view, group_counters(f->es[0], "mine", 8, 1, 10), NULL,
				     count_one, &visits, &answer));
	assert_int_equal(visits, 0);
	assert_int_equal(answer.answered, 3);
}

static void test_alone(void **state)
{
	char *folder = scratch_make();
	struct estate *observer = group_open(folder, NULL, 0);
	struct estate_view *view = group_view(observer);
	struct estate_table *table = group_counters(observer, "t", 8, 1, 10);
	struct estate_answer answer;
	unsigned int visits = 0;

	(void)state;
	memset(&answer, 0xa5, sizeof(answer));
	assert_ok(estate_scan_global(view, table, NULL, count_one, &visits, &answer));
	assert_int_equal(visits, 0);
	assert_int_equal(answer.asked, 0);
	assert_int_equal(answer.missing, 0);
	estate_view_close(view);
	estate_close(observer);
	scratch_remove(folder);
}

#define LARGE 3000
#define LARGE_KEYS 60

struct large {
	unsigned char seen[LARGE_KEYS];
	unsigned char writer[LARGE_KEYS]; /* the last one, and what it filled the value with */
};

static int check_large(const void *key, size_t length, const void *value, size_t value_length,
		       unsigned int present, uint64_t newest, void *arg)
{
	struct large *large = arg;
	const unsigned char *bytes = value;
	uint64_t id;

	(void)newest;
	assert_int_equal(length, 8);
	memcpy(&id, key, 8);
	assert_in_range(id, 0, LARGE_KEYS - 1);
	assert_int_equal(large->seen[id]++, 0);
	assert_int_equal(present, id % 2 ? 1 : 3);
	assert_int_equal(value_length, id * 50);
	for (size_t i = 0; i < value_length; i++)
		assert_int_equal(bytes[i], large->writer[id]);
	return 0;
}

static void test_extents(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table[INSTANCES];
	struct estate_view *views[INSTANCES];
	struct estate_answer answer;
	struct large large = { 0 };
	unsigned char value[LARGE];

	attr.key_size = 8;
	attr.value_count = LARGE;
	attr.capacity = LARGE_KEYS;
	for (int i = 0; i < INSTANCES; i++) {
		assert_ok(estate_table_open(f->es[i], "large", &attr, &table[i]));
		views[i] = group_view(f->es[i]);
	}
	for (uint64_t id = 0; id < LARGE_KEYS; id++) {
		/* In turn, and each reads before it writes, so that it is the latest. */
		for (uint64_t turn = 0; turn < (id % 2 ? 1 : INSTANCES); turn++) {
			uint64_t i = (id + turn) % INSTANCES;

			estate_get_global(views[i], table[i], &id, 8, value, LARGE, NULL);
			large.writer[id] = (unsigned char)(i + 1);
			memset(value, large.writer[id], LARGE);
			assert_ok(estate_put(table[i], &id, 8, value, id * 50));
		}
	}
	for (int i = 0; i < INSTANCES; i++) {
		memset(large.seen, 0, sizeof(large.seen));
		assert_ok(
			estate_scan_global(views[i], table[i], NULL, check_large, &large, &answer));
		for (int id = 0; id < LARGE_KEYS; id++)
			assert_int_equal(large.seen[id], 1);
		assert_int_equal(answer.present, 3);
		estate_view_close(views[i]);
	}
}

static int see_result(const void *key, size_t length, const void *value, size_t value_length,
		      unsigned int present, uint64_t newest, void *arg)
{
	(void)key;
	(void)length;
	(void)present;
	(void)newest;
	assert_int_equal(value_length, 8);
	memcpy(arg, value, 8);
	return 0;
}

static int reduce_to(const struct estate_value *values, unsigned int count, void *out,
		     size_t out_size, size_t *out_length, void *arg)
{
	int result = *(const int *)arg;

	(void)values;
	if (out_size < 8)
		return -EMSGSIZE;
	memcpy(out, &(uint64_t){ count + 100 }, 8);
	*out_length = 8;
	return result;
}

static void test_reducers(void **state)
{
	struct fixture *f = *state;
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_table *narrow[INSTANCES];
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	int result = 0;
	uint64_t number;
	double average;

	/* A result may be longer than the table's values. */
	attr.key_size = 8;
	attr.value_type = ESTATE_U8;
	attr.value_count = 1;
	attr.merge = ESTATE_MERGE_MAX;
	attr.capacity = 10;
	for (int i = 0; i < INSTANCES; i++) {
		assert_ok(estate_table_open(f->es[i], "narrow", &attr, &narrow[i]));
		assert_ok(estate_put(narrow[i], "k", 1, &(uint8_t){ (uint8_t)(i * 100) }, 1));
		assert_ok(estate_put(f->table[i], "k", 1, &(uint64_t){ 1 }, 8));
	}
	query.reduce = ESTATE_REDUCE_COUNT;
	assert_ok(estate_scan_global(f->view, narrow[0], &query, see_result, &number, NULL));
	assert_int_equal(number, 3);
	query.reduce = ESTATE_REDUCE_AVERAGE;
	assert_ok(estate_scan_global(f->view, narrow[0], &query, see_result, &average, NULL));
	assert_true(average == 100);
	query.reduce = ESTATE_REDUCE_CALL;
	query.call = reduce_to;
	query.arg = &result;
	assert_ok(estate_scan_global(f->view, f->table[0], &query, see_result, &number, NULL));
	assert_int_equal(number, 103);
	result = -EDOM;
	assert_error(estate_scan_global(f->view, f->table[0], &query, see_result, &number, NULL),
		     -EDOM, "reducer");
}

/* Errors of a caller's reducer that a read has a meaning for, too. */
static void test_reducers_error(void **state)
{
	static const int errors[] = { -ENOENT, -EHOSTDOWN };
	struct fixture *f = *state;
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer;
	unsigned int visits = 0;

	for (uint64_t id = 0; id < 10; id++)
		assert_ok(estate_put(f->table[1], &id, 8, &id, 8));
	for (int i = 0; i < 2; i++) {
		int result = errors[i];

		query.reduce = ESTATE_REDUCE_CALL;
		query.call = reduce_to;
		query.arg = &result;
		memset(&answer, 0xa5, sizeof(answer));
		assert_error(estate_scan_global(f->view, f->table[0], &query, count_one, &visits,
						&answer),
			     errors[i], "reducer");
		assert_int_equal(visits, 0);
		assert_int_equal(answer.missing, 0);
	}
}

static void test_arguments(void **state)
{
	struct fixture *f = *state;
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *opaque;
	unsigned int visits = 0;

	assert_error(estate_scan_global(NULL, f->table[0], NULL, count_one, &visits, NULL), -EINVAL,
		     "view");
	assert_error(estate_scan_global(f->view, NULL, NULL, count_one, &visits, NULL), -EINVAL,
		     "table");
	assert_error(estate_scan_global(f->view, f->table[0], NULL, NULL, NULL, NULL), -EINVAL,
		     "visit");
	assert_error(estate_scan_global(f->view, f->table[1], NULL, count_one, &visits, NULL),
		     -EINVAL, "another instance");
	query.size = 4;
	assert_error(estate_scan_global(f->view, f->table[0], &query, count_one, &visits, NULL),
		     -EINVAL, "ESTATE_QUERY_INIT");
	query = (struct estate_query)ESTATE_QUERY_INIT;
	query.reduce = ESTATE_REDUCE_SUM;
	attr.key_size = 8;
	attr.value_count = 8;
	attr.capacity = 10;
	assert_ok(estate_table_open(f->es[0], "opaque", &attr, &opaque));
	assert_error(estate_scan_global(f->view, opaque, &query, count_one, &visits, NULL),
		     -ENOTSUP, "opaque");
	assert_int_equal(visits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_key_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline_of_small_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test(test_alone),
		cmocka_unit_test_setup_teardown(test_extents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reducers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reducers_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
