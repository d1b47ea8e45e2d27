// SPDX-License-Identifier: BSD-3-Clause
/* Leaving with a hand-over: nothing is lost, nothing counts twice, and who cannot take over says so. */
#include "check.h"
#include "group.h"
#include "handover.h"
#include "scratch.h"
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REGION ((size_t)16 << 20)
#define KEYS 2000

static int setup(void **state)
{
	*state = scratch_make();
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(*state);
	return 0;
}

static struct estate_table *sums(struct estate *es, const char *name)
{
	return group_counters(es, name, 8, 1, 2 * KEYS);
}

static void add_all(struct estate_table *table, uint64_t first, uint64_t count, uint64_t more)
{
	for (uint64_t key = first; key < first + count; key++)
		assert_ok(estate_add(table, &key, 8, &(uint64_t){ key + more }));
}

static uint64_t sum_of(struct estate_view *view, struct estate_table *table, uint64_t key)
{
	struct estate_answer answer = { 0 };
	uint64_t sum = 0;
	int error = estate_get_global(view, table, &key, 8, &sum, 8, &answer);

	if (error != -ENOENT)
		assert_ok(error);
	assert_int_equal(answer.missing, 0);
	return sum;
}

static void test_sums(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *two = group_open(*state, "two", REGION);
	struct estate *observer = group_open(*state, NULL, 0);
	struct estate_table *seen;
	struct estate_view *view;

	/* Some keys both have, some only one of them; and a table that the adopter lacks. */
	add_all(sums(one, "t"), 0, KEYS, 1);
	add_all(sums(two, "t"), KEYS / 2, KEYS, 2);
	add_all(sums(one, "only"), 0, 10, 3);
	group_wait(observer, 2);
	group_wait(one, 2);
	seen = sums(observer, "t");
	view = group_view(observer);
	assert_ok(estate_leave(one, NULL));
	for (uint64_t key = 0; key < KEYS + KEYS / 2; key++)
		assert_int_equal(sum_of(view, seen, key),
				 (key < KEYS ? key + 1 : 0) + (key >= KEYS / 2 ? key + 2 : 0));
	assert_int_equal(sum_of(view, sums(observer, "only"), 7), 10);
	estate_view_close(view);
	assert_ok(estate_close(two));
	assert_ok(estate_close(observer));
}

/* How many entries a leaver says that it has is for people: what is counted is what comes. */
static void test_miscounted(void **state)
{
	for (uint64_t said = 0; said <= 2 * KEYS; said += KEYS / 2) {
		struct estate *one = group_open(*state, "one", REGION);
		struct estate *two = group_open(*state, "two", REGION);
		struct estate_table_stats stats;

		add_all(sums(one, "t"), 0, KEYS, 1);
		*sums(one, "t")->directory_entries = said;
		group_wait(one, 2);
		assert_ok(estate_leave(one, NULL));
		assert_ok(estate_table_stats(sums(two, "t"), &stats));
		assert_int_equal(stats.entries, KEYS);
		assert_ok(estate_close(two));
	}
}

/* Room is needed for those keys alone that the adopter does not have. */
static void test_common_keys(void **state)
{
	const uint64_t common = 2 * KEYS - 10;
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *two = group_open(*state, "two", REGION);
	struct estate_table *table = sums(two, "t");
	struct estate_table_stats stats;
	uint64_t value;

	add_all(sums(one, "t"), 0, common + 5, 1);
	add_all(table, 0, common, 2);
	group_wait(one, 2);
	assert_ok(estate_leave(one, NULL));
	assert_ok(estate_table_stats(table, &stats));
	assert_int_equal(stats.entries, common + 5);
	for (uint64_t key = 0; key < common + 5; key++) {
		assert_ok(estate_get(table, &key, 8, &value, 8, NULL));
		assert_int_equal(value, key + 1 + (key < common ? key + 2 : 0));
	}
	assert_ok(estate_close(two));
}

struct hand_over {
	struct estate *es;
	int error;
};

static void *hand_over(void *arg)
{
	struct hand_over *hand_over = arg;

	hand_over->error = estate_leave(hand_over->es, NULL);
	return NULL;
}

static unsigned int count_present(const struct estate_table *table, uint64_t keys)
{
	unsigned int present = 0;
	uint64_t value;

	for (uint64_t key = 0; key < keys; key++)
		present += !estate_get(table, &key, 8, &value, 8, NULL);
	return present;
}

/* The program fills the adopter's table up in the midst: the leaver's entries wait for room. */
static void test_filled_up(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *two = group_open(*state, "two", REGION);
	struct estate_table *table = sums(two, "t");
	struct hand_over leaver = { .es = one, .error = 1 };
	struct estate_table_stats stats;
	pthread_t thread;
	uint64_t value;

	add_all(sums(one, "t"), 0, 100, 1);
	/* It says that it has fewer than it has: for the others nothing is reserved. */
	*sums(one, "t")->directory_entries = 10;
	add_all(table, 1000, 2 * KEYS - 10, 2);
	group_wait(one, 2);
	assert_int_equal(pthread_create(&thread, NULL, hand_over, &leaver), 0);
	while (count_present(table, 100) < 10)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	for (uint64_t key = 1000; key < 1090; key++)
		assert_ok(estate_delete(table, &key, 8));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(leaver.error, 0);
	assert_ok(estate_table_stats(table, &stats));
	assert_int_equal(stats.entries, 2 * KEYS);
	for (uint64_t key = 0; key < 100; key++) {
		assert_ok(estate_get(table, &key, 8, &value, 8, NULL));
		assert_int_equal(value, key + 1);
	}
	assert_ok(estate_close(two));
}

/*
 * Who is taken over can be looked up for some time after the end: a reader who has seen a leaver's
 * header before it finished may see its adopter's record that much later.
 */
static void test_records_stay(void **state)
{
	struct estate *two = group_open(*state, "two", REGION);
	uint64_t first_us = clock_monotonic_us();

	for (int i = 0; i <= LAYOUT_ADOPTIONS_MAX; i++) {
		struct estate *one = group_open(*state, "one", REGION);
		struct region_identity identity = one->identity;

		add_all(sums(one, "t"), 0, 10, 1);
		group_wait(one, 2);
		assert_ok(estate_leave(one, NULL));
		assert_non_null(region_adoption(two->region.memory, identity.uuid, identity.epoch));
	}
	/* The last one had to wait for the first one's. */
	assert_true(clock_monotonic_us() >= first_us + HANDOVER_DEATH_US);
	assert_ok(estate_close(two));
}

/* What is merged otherwise than by adding, and what does not fit into a slot. */
static void test_rules(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *two = group_open(*state, "two", REGION);
	struct estate *three = group_open(*state, "three", REGION);
	struct estate *all[] = { one, two, three };
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *latest[3];
	struct estate_table *most[3];
	struct estate_table *large[3];
	struct estate_view *view;
	static unsigned char value[1000];
	uint64_t number;
	uint64_t key = 1;

	attr.key_size = 8;
	attr.capacity = 100;
	for (int i = 0; i < 3; i++) {
		attr.value_type = ESTATE_U64;
		attr.value_count = 1;
		attr.merge = ESTATE_MERGE_LATEST;
		assert_ok(estate_table_open(all[i], "latest", &attr, &latest[i]));
		attr.merge = ESTATE_MERGE_MAX;
		assert_ok(estate_table_open(all[i], "most", &attr, &most[i]));
		attr.value_type = ESTATE_U8;
		attr.value_count = sizeof(value);
		assert_ok(estate_table_open(all[i], "large", &attr, &large[i]));
	}
	for (uint64_t i = 0; i < 3; i++) {
		/* One's is the oldest, three's the latest: they stay so, whoever has them. */
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
		assert_ok(estate_put(latest[i], &key, 8, &(uint64_t){ i + 10 }, 8));
		assert_ok(estate_put(most[i], &key, 8, &(uint64_t){ 30 - i }, 8));
		memset(value, 0, sizeof(value));
		value[i] = (unsigned char)(i + 1);
		assert_ok(estate_put(large[i], &key, 8, value, sizeof(value)));
	}
	/* A second key that only the leaver has. */
	key = 2;
	memset(value, 9, sizeof(value));
	assert_ok(estate_put(large[0], &key, 8, value, sizeof(value)));
	assert_ok(estate_put(latest[0], &key, 8, &(uint64_t){ 77 }, 8));
	group_wait(one, 3);
	assert_ok(estate_leave(one, NULL));
	view = group_view(two);
	assert_int_equal(sum_of(view, latest[1], 2), 77);
	assert_int_equal(sum_of(view, latest[1], 1), 12);
	assert_int_equal(sum_of(view, most[1], 1), 30);
	key = 1;
	assert_ok(estate_get_global(view, large[1], &key, 8, value, sizeof(value), NULL));
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(value[i], i < 3 ? i + 1 : 0);
	key = 2;
	assert_ok(estate_get_global(view, large[1], &key, 8, value, sizeof(value), NULL));
	assert_int_equal(value[999], 9);
	/* By name. */
	estate_view_close(view);
	number = 0;
	{
		struct estate_leave_attr leave = ESTATE_LEAVE_ATTR_INIT;

		leave.to = "three";
		group_wait(two, 2);
		assert_ok(estate_leave(two, &leave));
	}
	assert_ok(estate_get(most[2], &(uint64_t){ 1 }, 8, &number, 8, NULL));
	assert_int_equal(number, 30);
	assert_ok(estate_get(latest[2], &(uint64_t){ 1 }, 8, &number, 8, NULL));
	assert_int_equal(number, 12);
	assert_ok(estate_close(three));
}

static int add_up(const struct estate_value *values, unsigned int count, void *out, size_t out_size,
		  size_t *out_length, void *arg)
{
	uint64_t sum = 0;

	(void)out_size;
	for (unsigned int i = 0; i < count; i++) {
		uint64_t value;

		memcpy(&value, values[i].data, 8);
		sum += value;
	}
	memcpy(out, &sum, 8);
	*out_length = 8;
	__atomic_fetch_add((unsigned int *)arg, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void test_custom(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *two = group_open(*state, "two", REGION);
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *tables[2];
	unsigned int calls = 0;
	uint64_t key = 5;
	uint64_t value;

	attr.key_size = 8;
	attr.value_type = ESTATE_OPAQUE;
	attr.value_count = 8;
	attr.merge = ESTATE_MERGE_CUSTOM;
	attr.custom = add_up;
	attr.custom_arg = &calls;
	attr.capacity = 10;
	assert_ok(estate_table_open(one, "t", &attr, &tables[0]));
	assert_ok(estate_put(tables[0], &key, 8, &(uint64_t){ 30 }, 8));
	group_wait(one, 2);
	/* Nobody there knows how. */
	assert_error(estate_leave(one, NULL), -ECONNREFUSED, "two does not take one over");
	assert_ok(estate_table_open(two, "t", &attr, &tables[1]));
	assert_ok(estate_put(tables[1], &key, 8, &(uint64_t){ 12 }, 8));
	assert_ok(estate_leave(one, NULL));
	assert_int_equal(__atomic_load_n(&calls, __ATOMIC_SEQ_CST), 1);
	assert_ok(estate_get(tables[1], &key, 8, &value, 8, NULL));
	assert_int_equal(value, 42);
	assert_ok(estate_close(two));
}

static int no_room(const struct estate_value *values, unsigned int count, void *out,
		   size_t out_size, size_t *out_length, void *arg)
{
	(void)values;
	(void)count;
	(void)out;
	(void)out_size;
	(void)out_length;
	(void)arg;
	return -ENOSPC;
}

/* A function that fails ends it, with the error that means a full table, too. */
static void test_custom_fails(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *two = group_open(*state, "two", REGION);
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;
	uint64_t key = 5;

	attr.key_size = 8;
	attr.value_type = ESTATE_OPAQUE;
	attr.value_count = 8;
	attr.merge = ESTATE_MERGE_CUSTOM;
	attr.custom = no_room;
	attr.capacity = 10;
	assert_ok(estate_table_open(one, "t", &attr, &table));
	assert_ok(estate_put(table, &key, 8, &(uint64_t){ 30 }, 8));
	assert_ok(estate_table_open(two, "t", &attr, &table));
	assert_ok(estate_put(table, &key, 8, &(uint64_t){ 12 }, 8));
	group_wait(one, 2);
	assert_error(estate_leave(one, NULL), -EIO, strerror(EOVERFLOW));
	assert_ok(estate_close(one));
	assert_ok(estate_close(two));
}

static void test_refused(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate_leave_attr attr = ESTATE_LEAVE_ATTR_INIT;
	struct estate *observer = group_open(*state, NULL, 0);
	struct estate_table_stats stats;
	struct estate_view *view;
	struct estate *two;

	assert_error(estate_leave(NULL, NULL), -EINVAL, "es is NULL");
	assert_error(estate_leave(observer, NULL), -EINVAL, "observer");
	attr.size = 3;
	assert_error(estate_leave(one, &attr), -EINVAL, "ESTATE_LEAVE_ATTR_INIT");
	attr.size = sizeof(attr);
	view = group_view(one);
	assert_error(estate_leave(one, NULL), -EBUSY, "1 of its views");
	estate_view_close(view);
	assert_error(estate_leave(one, NULL), -ENOENT, "no member can take over");
	attr.to = "nobody";
	assert_error(estate_leave(one, &attr), -ENOENT, "nobody");

	two = group_open(*state, "two", REGION);
	group_wait(one, 2);
	group_wait(two, 2);
	/* No room: the table is full there. Nothing has changed. */
	add_all(sums(one, "t"), 0, 10, 0);
	add_all(sums(two, "t"), 100, 2 * KEYS, 0);
	assert_error(estate_leave(one, NULL), -ECONNREFUSED, "No space left");
	assert_ok(estate_add(sums(one, "t"), &(uint64_t){ 1 }, 8, &(uint64_t){ 1 }));
	group_counters(one, "odd", 8, 1, 7);
	group_counters(two, "odd", 8, 1, 8);
	for (uint64_t key = 100; key < 150; key++)
		assert_ok(estate_delete(sums(two, "t"), &key, 8));
	assert_error(estate_leave(one, NULL), -ECONNREFUSED, "Protocol error");
	assert_ok(estate_table_stats(sums(two, "t"), &stats));
	assert_int_equal(stats.entries, 2 * KEYS - 50);
	assert_ok(estate_close(one));
	assert_ok(estate_close(two));
	assert_ok(estate_close(observer));
}

/*
 * A leaver that has finished is in its adopter's pool already: one that comes back from there, and
 * has forgotten it since, does not take it over again.
 */
static void test_finished(void **state)
{
	static const char *const names[] = { "three", "four", "five", "six" };
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *two = group_open(*state, "two", REGION);
	struct layout_header *header = region_header(&one->region);
	struct estate_leave_attr leave = ESTATE_LEAVE_ATTR_INIT;
	struct estate *others[4];
	uint64_t value;

	add_all(sums(one, "t"), 0, 10, 1000);
	for (int i = 0; i < 4; i++) {
		others[i] = group_open(*state, names[i], REGION);
		add_all(sums(others[i], "t"), 0, 10, 0);
	}
	group_wait(two, 6);
	for (int i = 0; i < 4; i++)
		group_wait(others[i], 6);
	shared_copy_to(header->adopter, two->identity.uuid, sizeof(header->adopter));
	__atomic_or_fetch(&header->flags, LAYOUT_FINISHED, __ATOMIC_SEQ_CST);
	shared_store(&header->attempt, 1);
	shared_store(&header->ripe, 1);
	__atomic_store_n(&header->state, LAYOUT_SEALED, __ATOMIC_SEQ_CST);
	/* It is looked at when these are. */
	leave.to = "two";
	for (int i = 0; i < 4; i++)
		assert_ok(estate_leave(others[i], &leave));
	assert_ok(estate_get(sums(two, "t"), &(uint64_t){ 5 }, 8, &value, 8, NULL));
	assert_int_equal(value, 4 * 5);
	assert_ok(estate_close(one));
	assert_ok(estate_close(two));
}

/* Readers and a writer beside hand-overs: every sum lies between what was and what is. */
struct race {
	char *folder;
	uint64_t begun; /* additions, to key 0 to KEYS - 1 in turn, each before it is made */
	uint64_t made;
	int stop;
};

static void *read_sums(void *arg)
{
	struct race *race = arg;
	struct estate *observer = group_open(race->folder, NULL, 0);
	struct estate_table *table = sums(observer, "t");
	struct estate_view *view = group_view(observer);
	uintptr_t reads = 0;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		struct estate_query query = ESTATE_QUERY_INIT;
		struct estate_answer answer = { 0 };
		uint64_t key = reads % KEYS;
		uint64_t least = __atomic_load_n(&race->made, __ATOMIC_SEQ_CST);
		uint64_t sum = 0;
		uint64_t most;
		int error;

		query.deadline_us = 5000000;
		error = estate_query_global(view, table, &key, 8, &query, &sum, 8, &answer);
		most = __atomic_load_n(&race->begun, __ATOMIC_SEQ_CST);
		if (error && error != -ENOENT && error != -EHOSTDOWN)
			fail_msg("%s", estate_errormsg());
		/* Whoever left in the midst of the connection is missing, and said so. */
		if (answer.missing)
			continue;
		if (sum < least / KEYS || sum > most / KEYS + 1)
			fail_msg("key %llu: %llu is not within %llu and %llu",
				 (unsigned long long)key, (unsigned long long)sum,
				 (unsigned long long)(least / KEYS),
				 (unsigned long long)(most / KEYS + 1));
		reads++;
	}
	estate_view_close(view);
	assert_ok(estate_close(observer));
	return (void *)reads;
}

static void test_beside_readers(void **state)
{
	struct race race = { .folder = *state };
	struct estate *es = group_open(*state, "i0", REGION);
	pthread_t readers[2];
	char name[16];
	void *reads;

	sums(es, "t");
	for (int i = 0; i < 2; i++)
		pthread_create(&readers[i], NULL, read_sums, &race);
	for (int round = 1; round <= 20; round++) {
		struct estate *next;
		struct estate_table *table = sums(es, "t");

		for (uint64_t i = 0; i < 20 * KEYS; i++) {
			uint64_t key = __atomic_fetch_add(&race.begun, 1, __ATOMIC_SEQ_CST) % KEYS;

			assert_ok(estate_add(table, &key, 8, &(uint64_t){ 1 }));
			__atomic_fetch_add(&race.made, 1, __ATOMIC_SEQ_CST);
		}
		snprintf(name, sizeof(name), "i%d", round);
		next = group_open(*state, name, REGION);
		group_wait(es, 2);
		assert_ok(estate_leave(es, NULL));
		es = next;
	}
	__atomic_store_n(&race.stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i], &reads);
		assert_true((uintptr_t)reads > 0);
	}
	for (uint64_t key = 0; key < KEYS; key++) {
		uint64_t value;

		assert_ok(estate_get(sums(es, "t"), &key, 8, &value, 8, NULL));
		assert_int_equal(value, 400);
	}
	assert_ok(estate_close(es));
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_custom_fails),   test(test_records_stay), test(test_common_keys),
		test(test_filled_up),	   test(test_miscounted),   test(test_sums),
		test(test_rules),	   test(test_custom),	    test(test_refused),
		test(test_beside_readers), test(test_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
