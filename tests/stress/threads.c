// SPDX-License-Identifier: BSD-3-Clause
/*
 * Many threads on one table: adds to shared keys are all counted, inserts and
 * deletions at full capacity lose nothing, readers and iterators run beside them.
 */
#include "check.h"
#include "group.h"
#include "scratch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4

struct worker {
	struct estate_table *table;
	unsigned int number;
	unsigned int rounds;
	uint64_t done;
	const int *stop;
	const char *complaint;
};

static void *complain(struct worker *worker, const char *complaint)
{
	worker->complaint = complaint;
	return NULL;
}

static unsigned int rounds(unsigned int usual)
{
	const char *scale = getenv("ESTATE_TEST_SCALE"); /* percent */

	return scale ? usual / 100 * (unsigned int)strtoul(scale, NULL, 0) : usual;
}

static void *add(void *arg)
{
	struct worker *worker = arg;
	const uint64_t deltas[2] = { 1, worker->number };
	struct estate_entry entry;
	unsigned int key = 3;

	if (estate_entry_open(worker->table, &key, sizeof(key), &entry))
		abort();
	for (unsigned int i = 0; i < worker->rounds; i++) {
		key = i % 7;
		if (key == 3 ? estate_entry_add(&entry, deltas)
			     : estate_add(worker->table, &key, sizeof(key), deltas))
			abort();
	}
	return NULL;
}

static void test_adds(void **state)
{
	char *folder = scratch_make();
	struct estate *es = group_open(folder, "one", 0);
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	uint64_t sums[2] = { 0 };

	(void)state;
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .table = group_counters(es, "adds", 4, 2, 10),
					      .number = i,
					      .rounds = rounds(1000000) };
		pthread_create(&threads[i], NULL, add, &workers[i]);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int key = 0; key < 7; key++) {
		uint64_t value[2];

		assert_ok(estate_get(workers[0].table, &key, sizeof(key), value, sizeof(value),
				     NULL));
		sums[0] += value[0];
		sums[1] += value[1];
	}
	assert_int_equal(sums[0], (uint64_t)THREADS * rounds(1000000));
	assert_int_equal(sums[1], (uint64_t)(0 + 1 + 2 + 3) * rounds(1000000));
	estate_close(es);
	scratch_remove(folder);
}

/*
 * Each thread has keys of its own, as many as make the table just full when all
 * are there, and puts and deletes them: no put may fail, no key may be lost.
 */
#define OWN 250

static void *churn(void *arg)
{
	struct worker *worker = arg;
	uint64_t random = worker->number * 7919 + 1;
	uint64_t expected[OWN] = { 0 };

	for (unsigned int i = 0; i < worker->rounds; i++) {
		unsigned int id;
		uint64_t key[2];
		uint64_t value[2];
		int error;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		id = (unsigned int)(random >> 33) % OWN;
		key[0] = worker->number;
		key[1] = id;
		error = estate_get(worker->table, key, sizeof(key), value, sizeof(value), NULL);
		if (error != (expected[id] ? 0 : -ENOENT) || (!error && value[1] != expected[id]))
			return complain(worker, "a key was lost, or came back");
		if (random >> 62) {
			expected[id] = i + 1;
			value[0] = id;
			value[1] = expected[id];
			if (estate_put(worker->table, key, sizeof(key), value, sizeof(value)))
				return complain(worker, "a put failed");
		} else {
			if (estate_delete(worker->table, key, sizeof(key)) !=
			    (expected[id] ? 0 : -ENOENT))
				return complain(worker, "a deletion went wrong");
			expected[id] = 0;
		}
	}
	for (unsigned int id = 0; id < OWN; id++)
		worker->done += !!expected[id];
	return NULL;
}

static int look(const void *key, size_t key_length, const void *value, size_t value_length,
		uint64_t stamp, void *arg)
{
	const uint64_t *words = key;
	const uint64_t *numbers = value;

	(void)stamp;
	(void)arg;
	return key_length != 16 || value_length != 16 || words[1] != numbers[0];
}

static void *watch(void *arg)
{
	struct worker *worker = arg;

	while (!__atomic_load_n(worker->stop, __ATOMIC_RELAXED))
		if (estate_iterate(worker->table, look, NULL))
			return complain(worker, "an iteration saw an entry that was never written");
	return NULL;
}

static void test_churn(void **state)
{
	char *folder = scratch_make();
	struct estate *es = group_open(folder, "one", 0);
	struct estate_table *table = group_counters(es, "churn", 16, 2, THREADS * OWN);
	struct estate_table_stats stats;
	struct worker workers[THREADS + 1];
	pthread_t threads[THREADS + 1];
	uint64_t left = 0;
	int stop = 0;

	(void)state;
	for (unsigned int i = 0; i <= THREADS; i++) {
		workers[i] = (struct worker){
			.table = table, .number = i, .rounds = rounds(1000000), .stop = &stop
		};
		pthread_create(&threads[i], NULL, i < THREADS ? churn : watch, &workers[i]);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (workers[i].complaint)
			fail_msg("%s", workers[i].complaint);
		left += workers[i].done;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(threads[THREADS], NULL);
	if (workers[THREADS].complaint)
		fail_msg("%s", workers[THREADS].complaint);
	assert_ok(estate_table_stats(table, &stats));
	assert_int_equal(stats.entries, left);
	print_message("%llu entries of %llu, %llu overflowed\n", (unsigned long long)stats.entries,
		      (unsigned long long)stats.capacity, (unsigned long long)stats.overflowed);
	estate_close(es);
	scratch_remove(folder);
}

/*
 * More writers of one large value than there are spare blocks, by all ways to
 * write it, in a full table: whoever has the lock must not wait for a block that
 * those who wait for the lock have.
 */
#define CROWD 16
#define LARGE 16384 /* elements: long enough to be preempted while copying */

static void *crowd(void *arg)
{
	struct worker *worker = arg;
	static const uint64_t ones[LARGE] = { 1 };
	struct estate_entry entry;
	unsigned int key = 1;

	for (unsigned int i = 0; i < worker->rounds; i++) {
		int error;

		if (worker->number > 2)
			error = estate_put(worker->table, &key, sizeof(key), ones, sizeof(ones));
		else if (worker->number)
			error = estate_add(worker->table, &key, sizeof(key), ones);
		else
			error = estate_entry_open(worker->table, &key, sizeof(key), &entry) ||
				estate_entry_add(&entry, ones);
		if (error)
			return complain(worker, "a write failed");
	}
	return NULL;
}

static void test_crowd(void **state)
{
	char *folder = scratch_make();
	struct estate *es = group_open(folder, "one", 0);
	struct estate_table *table = group_counters(es, "large", 4, LARGE, 1);
	struct worker workers[CROWD];
	pthread_t threads[CROWD];

	(void)state;
	for (unsigned int i = 0; i < CROWD; i++) {
		workers[i] = (struct worker){ .table = table, .number = i, .rounds = rounds(2000) };
		pthread_create(&threads[i], NULL, crowd, &workers[i]);
	}
	for (unsigned int i = 0; i < CROWD; i++) {
		pthread_join(threads[i], NULL);
		if (workers[i].complaint)
			fail_msg("%s", workers[i].complaint);
	}
	estate_close(es);
	scratch_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adds),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
