// SPDX-License-Identifier: BSD-3-Clause
/*
 * Whole instances with their threads, over a network on which everything goes wrong all the
 * time: what is read is right or said to be missing, and when the storm is over all is well.
 */
#include "fake_verbs.h"

#include "check.h"
#include "scratch.h"

#include <estate/estate.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INSTANCES 3
#define VIEWS 2
#define READS 5000
#define KEYS 8
#define REMOVE_EVERY 300 /* disturbances */

static struct estate *observer;
static struct estate_table *watched;
static int over;

static void rest(long us)
{
	const struct timespec pause = { .tv_nsec = us * 1000 };

	nanosleep(&pause, NULL);
}

static struct estate *join(const char *folder, const char *name)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate *es;
	char registry[256];

	snprintf(registry, sizeof(registry), "dir:%s", folder);
	attr.group = "storm";
	attr.name = name;
	attr.registry = registry;
	attr.region_size = 1 << 20;
	attr.listen = name ? "verbs:127.0.0.1:0" : NULL;
	attr.flags = name ? 0 : ESTATE_OBSERVER;
	assert_ok(estate_open(&attr, &es));
	return es;
}

static struct estate_table *counters(struct estate *es)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 4;
	attr.value_type = ESTATE_U64;
	attr.value_count = 1;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = 64;
	assert_ok(estate_table_open(es, "t", &attr, &table));
	return table;
}

/* cmocka's own are for the test's thread: in another one they end it without a word. */
static void require(int condition, const char *what, long long value)
{
	if (condition)
		return;
	fprintf(stderr, "%s: %lld (%s)\n", what, value, estate_errormsg());
	abort();
}

/* One read: every instance that answered has the value 1, and no other one counts. */
static unsigned int read_one(struct estate_view *view, uint32_t key)
{
	struct estate_answer answer = { 0 };
	uint64_t sum = 4711;
	int error = estate_get_global(view, watched, &key, sizeof(key), &sum, sizeof(sum), &answer);

	/* The memory for the first READs could not be registered: nobody was asked, nothing touched. */
	if (error == -ENOMEM) {
		require(strstr(estate_errormsg(), "egister") ||
				strstr(estate_errormsg(), "no memory"),
			"no sentence about memory", error);
		require(sum == 4711, "no result, and a sum", (long long)sum);
		require(!answer.asked, "no result, and an answer", answer.asked);
		return 0;
	}
	require(!error || error == -EHOSTDOWN, "a read's error", error);
	require(error || sum == answer.present, "the sum", (long long)sum);
	require(answer.asked == answer.answered + answer.missing, "asked", answer.asked);
	return error ? 0 : answer.present;
}

static void *read_on(void *arg)
{
	struct estate_view_attr attr = ESTATE_VIEW_ATTR_INIT;
	struct estate_view *view = NULL;
	unsigned int *whole = arg;

	attr.deadline_us = 2000;
	for (uint32_t i = 0; i < READS; i++) {
		/* Views come and go, too. */
		if (i % 500 == 0) {
			estate_view_close(view);
			while (estate_view_open(observer, &attr, &view))
				rest(1000);
		}
		if (read_one(view, i % KEYS) == INSTANCES)
			++*whole;
		else
			rest(300);
	}
	estate_view_close(view);
	return NULL;
}

static void *disturb(void *arg)
{
	static const enum rdma_cm_event_type types[] = { RDMA_CM_EVENT_DISCONNECTED,
							 RDMA_CM_EVENT_ADDR_CHANGE,
							 RDMA_CM_EVENT_UNREACHABLE,
							 RDMA_CM_EVENT_TIMEWAIT_EXIT };
	unsigned int seed = 4711;

	(void)arg;
	for (int i = 1; !__atomic_load_n(&over, __ATOMIC_RELAXED); i++) {
		int what = rand_r(&seed) % 8;

		if (i % REMOVE_EVERY == 0)
			fake_remove_device(0);
		else if (what < 2)
			fake_disturb((unsigned int)rand_r(&seed) % 16, types[rand_r(&seed) % 4]);
		else if (what < 3)
			fake_fail("ibv_post_send", (unsigned int)rand_r(&seed) % 40 + 1, EIO);
		else
			fake_fail(what < 6 ? "rdma_" : "ibv_", (unsigned int)rand_r(&seed) % 20 + 1,
				  ENOMEM);
		rest(1000);
	}
	fake_fail(NULL, 0, 0);
	return NULL;
}

static void test_storm(void **state)
{
	struct estate *instances[INSTANCES];
	struct estate_table *tables[INSTANCES];
	struct estate_view *view;
	unsigned int whole[VIEWS] = { 0 };
	pthread_t threads[VIEWS + 1];
	char *folder = scratch_make();
	int tries = 0;

	(void)state;
	for (int i = 0; i < INSTANCES; i++) {
		const uint64_t one = 1;
		char name[16];

		snprintf(name, sizeof(name), "i%d", i);
		instances[i] = join(folder, name);
		tables[i] = counters(instances[i]);
		for (uint32_t key = 0; key < KEYS; key++)
			assert_ok(estate_put(tables[i], &key, sizeof(key), &one, sizeof(one)));
	}
	observer = join(folder, NULL);
	watched = counters(observer);
	for (int i = 0; i < VIEWS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &whole[i]), 0);
	assert_int_equal(pthread_create(&threads[VIEWS], NULL, disturb, NULL), 0);
	for (int i = 0; i < VIEWS; i++)
		pthread_join(threads[i], NULL);
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	pthread_join(threads[VIEWS], NULL);
	for (int i = 0; i < VIEWS; i++)
		printf("%u of %d reads were whole\n", whole[i], READS);
	/* The storm is over. */
	assert_ok(estate_view_open(observer, NULL, &view));
	while (read_one(view, 0) != INSTANCES) {
		rest(10000);
		assert_true(++tries < 3000);
	}
	estate_view_close(view);
	assert_ok(estate_close(observer));
	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_close(instances[i]));
	fake_check();
	scratch_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_storm) };

	fake_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
