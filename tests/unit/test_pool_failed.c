// SPDX-License-Identifier: BSD-3-Clause
/*
 * A pool whose disk fails: what calls say then, and what is there in the next life. Every other place
 * where a drain can fail is in tests/crash/test_failed.c.
 */
#include "check.h"
#include "group.h"
#include "scratch.h"
#include "store.h"

#include <estate/estate.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The call of so many from now on fails, as msync(2) does: once. 0: none does. */
static int fail_in;

int __real_pmem_msync(const void *memory, size_t length);
int __wrap_pmem_msync(const void *memory, size_t length);

int __wrap_pmem_msync(const void *memory, size_t length)
{
	int now = __atomic_load_n(&fail_in, __ATOMIC_RELAXED);

	if (now && __atomic_sub_fetch(&fail_in, 1, __ATOMIC_RELAXED) == 0) {
		errno = EIO;
		return -1;
	}
	return __real_pmem_msync(memory, length);
}

static int has_failed(void)
{
	return !__atomic_load_n(&fail_in, __ATOMIC_RELAXED);
}

static void fail_next(int calls)
{
	__atomic_store_n(&fail_in, calls, __ATOMIC_RELAXED);
}

static int setup(void **state)
{
	*state = scratch_make();
	/* Else libpmem flushes caches, which cannot fail. */
	unsetenv("PMEM_IS_PMEM_FORCE");
	return 0;
}

static int teardown(void **state)
{
	fail_next(0);
	scratch_remove(*state);
	return 0;
}

static int try_open(const char *folder, const char *name, unsigned int flags, struct estate **es)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char registry[160];
	char pool[160];

	snprintf(registry, sizeof(registry), "dir:%s/registry", folder);
	snprintf(pool, sizeof(pool), "%s/%s", folder, name);
	attr.group = "test";
	attr.name = name;
	attr.registry = registry;
	attr.region_size = (size_t)4 << 20;
	attr.pool = pool;
	attr.flags = flags;
	return estate_open(&attr, es);
}

static struct estate *begin(const char *folder, const char *name)
{
	struct estate *es;

	assert_ok(try_open(folder, name, 0, &es));
	return es;
}

static struct estate_table *table_of(struct estate *es, enum estate_durability durability)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = 1;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = 100;
	attr.durability = durability;
	attr.flush_ms = durability == ESTATE_DURABILITY_PERIODIC ? 1 : 0;
	assert_ok(estate_table_open(es, "t", &attr, &table));
	return table;
}

static uint64_t value_of(const struct estate_table *table, uint64_t key)
{
	uint64_t value;

	assert_ok(estate_get(table, &key, sizeof(key), &value, sizeof(value), NULL));
	return value;
}

static int put(struct estate_table *table, uint64_t key, uint64_t value)
{
	return estate_put(table, &key, sizeof(key), &value, sizeof(value));
}

static void test_before_return(void **state)
{
	struct estate *es = begin(*state, "one");
	struct estate_table *table = table_of(es, ESTATE_DURABILITY_BEFORE_RETURN);
	uint64_t value;

	assert_ok(put(table, 1, 10));
	assert_ok(put(table, 2, 20));
	fail_next(1);
	assert_error(put(table, 1, 11), -EIO, "Input/output error");
	assert_int_equal(value_of(table, 1), 10);
	/* The disk answers again, and is not believed. */
	assert_error(put(table, 2, 21), -EIO, "could not be written before");
	assert_error(put(table, 3, 30), -EIO, "could not be written before");
	assert_error(estate_sync(es), -EIO, "could not be written before");
	assert_int_equal(value_of(table, 2), 20);
	assert_error(estate_close(es), -EIO, "could not be written before");

	es = begin(*state, "one");
	table = table_of(es, ESTATE_DURABILITY_BEFORE_RETURN);
	value = value_of(table, 1);
	assert_true(value == 10 || value == 11);
	assert_int_equal(value_of(table, 2), 20);
	assert_int_equal(estate_get(table, &(uint64_t){ 3 }, 8, &value, 8, NULL), -ENOENT);
	assert_ok(put(table, 2, 22));
	assert_ok(estate_close(es));
}

static void test_periodic(void **state)
{
	struct estate *es = begin(*state, "one");
	struct estate_table *table = table_of(es, ESTATE_DURABILITY_PERIODIC);

	assert_ok(put(table, 1, 10));
	assert_ok(estate_sync(es));
	fail_next(1);
	assert_ok(put(table, 1, 11));
	/* Whether this meets the failure, or the thread that flushes does. */
	assert_int_equal(estate_sync(es), -EIO);
	assert_error(estate_sync(es), -EIO, "could not be written before");
	assert_ok(put(table, 1, 12));
	assert_int_equal(value_of(table, 1), 12);
	assert_int_equal(estate_close(es), -EIO);

	es = begin(*state, "one");
	table = table_of(es, ESTATE_DURABILITY_PERIODIC);
	assert_true(value_of(table, 1) == 10 || value_of(table, 1) == 11);
	assert_ok(estate_close(es));
}

static int leave(struct estate *es)
{
	int error;

	/* As soon as the other one is there. */
	for (int tries = 0; (error = estate_leave(es, NULL)) == -ENOENT && tries < 15000; tries++)
		usleep(2000);
	return error;
}

/* Whoever cannot say in his pool that he hands over does not; and what he has counts once. */
static void test_leaver(void **state)
{
	/* Flushing the table, and saying to whom. */
	for (int calls = 1; calls <= 2; calls++) {
		struct estate *two = begin(*state, "two");
		struct estate *one = begin(*state, "one");
		struct estate_table *table = table_of(one, ESTATE_DURABILITY_ON_LEAVE);
		struct estate_table *theirs = table_of(two, ESTATE_DURABILITY_ON_LEAVE);
		uint64_t key = 100 + (uint64_t)calls;
		uint64_t value;

		group_wait(one, 2);
		assert_ok(put(table, key, 10));
		fail_next(calls);
		assert_int_equal(leave(one), -EIO);
		assert_true(has_failed());
		assert_error(estate_leave(one, NULL), -EIO, "could not be written before");
		assert_int_equal(region_state(one->region.memory), LAYOUT_JOINED);
		assert_int_equal(value_of(table, key), 10);
		assert_int_equal(estate_get(theirs, &key, 8, &value, 8, NULL), -ENOENT);
		assert_int_equal(estate_close(one), -EIO);
		assert_ok(estate_close(two));
	}
}

/* What a key has in both, once both are back and what had begun has ended. */
static uint64_t sum_of_both(const char *folder, uint64_t key)
{
	struct estate *two = begin(folder, "two");
	struct estate *one;
	uint64_t value = 0;
	uint64_t sum;
	int error = try_open(folder, "one", 0, &one);

	if (error == -EINPROGRESS) {
		assert_ok(try_open(folder, "one", ESTATE_RESUME_LEAVE, &one));
		assert_ok(leave(one));
		one = NULL;
	} else {
		assert_ok(error);
	}
	sum = value_of(table_of(two, ESTATE_DURABILITY_ON_LEAVE), key);
	if (one && !estate_get(table_of(one, ESTATE_DURABILITY_ON_LEAVE), &key, sizeof(key), &value,
			       sizeof(value), NULL))
		sum += value;
	assert_ok(estate_close(one));
	assert_ok(estate_close(two));
	return sum;
}

/* Every drain of a hand-over fails, the leaver's and the adopter's: all counts once. */
static void test_hand_over(void **state)
{
	int handed_over = 0;
	int stopped = 0;
	int failed = 1;

	for (int calls = 1; failed; calls++) {
		char folder[128];
		struct estate *two;
		struct estate *one;
		int error;

		snprintf(folder, sizeof(folder), "%s/%d", (char *)*state, calls);
		assert_int_equal(mkdir(folder, 0700), 0);
		two = begin(folder, "two");
		one = begin(folder, "one");
		assert_ok(put(table_of(one, ESTATE_DURABILITY_ON_LEAVE), 1, 10));
		assert_ok(put(table_of(two, ESTATE_DURABILITY_ON_LEAVE), 1, 5));
		assert_ok(estate_sync(one));
		assert_ok(estate_sync(two));
		group_wait(one, 2);
		fail_next(calls);
		error = leave(one);
		failed = has_failed();
		if (!failed)
			assert_ok(error);
		else if (error)
			assert_int_equal(error, -EIO);
		stopped += error != 0;
		handed_over += !error;
		if (error)
			estate_close(one);
		estate_close(two);
		fail_next(0);
		assert_int_equal(sum_of_both(folder, 1), 15);
	}
	printf("%d hand-overs were stopped, %d were not\n", stopped, handed_over);
	assert_true(stopped > 3);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_before_return),
		test(test_periodic),
		test(test_leaver),
		test(test_hand_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
