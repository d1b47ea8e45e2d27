// SPDX-License-Identifier: BSD-3-Clause
/*
 * Processes that are killed while they write. What a call had returned for is in
 * the pool, and of each thread at most the one call more that it was in.
 *
 * ESTATE_TEST_ROUNDS: how many are killed; ESTATE_TEST_SEED repeats their moments.
 */
#include "check.h"
#include "scratch.h"

#include <estate/estate.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 500
#define THREADS 2
#define TABLES 2 /* small values, and values in extents */
#define KEYS 20 /* of each thread, in each table */
#define WORDS_MAX 60
#define KILL_US_MAX 20000

static const char *const names[TABLES] = { "small", "large" };
static const size_t words[TABLES] = { 2, WORDS_MAX };

/* What a thread had done when it was killed: outlives it. */
struct progress {
	uint64_t begun;
	uint64_t returned;
	uint64_t unused[6];
};

struct shared {
	uint64_t ready; /* all threads write */
	uint64_t failed;
	char message[256];
	struct progress progress[THREADS];
};

/* What keys have by what was acknowledged: 0 for nothing. Values are as many words, counted up from it. */
struct known {
	uint64_t values[THREADS][TABLES][KEYS];
};

static struct shared *shared;
static char *folder;

enum call {
	PUT,
	ADD,
	DELETE
};

/* A thread's call number @number: chance, but the same for who writes and who checks. */
struct operation {
	enum call call;
	unsigned int table;
	unsigned int key;
	uint64_t word; /* what is put or added, to the first word */
};

static uint64_t mix(uint64_t x)
{
	/* splitmix64's finish (Steele et al., 2014). */
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static struct operation operation_of(unsigned int thread, uint64_t number)
{
	uint64_t chance = mix(number * THREADS + thread + 1);
	static const enum call calls[] = { PUT, PUT, ADD, ADD, ADD, DELETE, PUT, ADD };

	return (struct operation){ .call = calls[chance % 8],
				   .table = chance >> 8 & 1,
				   .key = (unsigned int)(chance >> 16) % KEYS,
				   .word = 1 + (chance >> 40) };
}

static uint64_t apply(uint64_t value, const struct operation *operation)
{
	switch (operation->call) {
	case PUT:
		return operation->word;
	case ADD:
		return value + operation->word;
	default:
		return 0;
	}
}

static uint64_t key_of(unsigned int thread, unsigned int key)
{
	return thread * 1000 + key;
}

static struct estate *begin(struct estate_table **tables)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char registry[128];
	char pool[128];
	struct estate *es;

	snprintf(registry, sizeof(registry), "dir:%s/registry", folder);
	snprintf(pool, sizeof(pool), "%s/pool", folder);
	attr.group = "test";
	attr.name = "one";
	attr.registry = registry;
	attr.region_size = 1 << 20;
	attr.pool = pool;
	if (estate_open(&attr, &es))
		return NULL;
	for (unsigned int i = 0; i < TABLES; i++) {
		struct estate_table_attr table = ESTATE_TABLE_ATTR_INIT;

		table.key_size = 8;
		table.value_type = ESTATE_U64;
		table.value_count = words[i];
		table.merge = ESTATE_MERGE_SUM;
		table.capacity = (size_t)THREADS * KEYS;
		table.durability = ESTATE_DURABILITY_BEFORE_RETURN;
		if (estate_table_open(es, names[i], &table, &tables[i])) {
			estate_close(es);
			return NULL;
		}
	}
	return es;
}

static void die(const char *what)
{
	snprintf(shared->message, sizeof(shared->message), "%s: %.200s", what, estate_errormsg());
	__atomic_store_n(&shared->failed, 1, __ATOMIC_RELEASE);
	_exit(1);
}

struct writer {
	struct estate_table **tables;
	unsigned int number;
};

/* The first word, and after it as many as there are, each one more. Sums of such are such. */
static void fill(uint64_t *value, size_t count, uint64_t word)
{
	for (size_t i = 0; i < count; i++)
		value[i] = word * (i + 1);
}

static void *write_until_killed(void *arg)
{
	const struct writer *writer = arg;
	struct progress *progress = &shared->progress[writer->number];

	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_RELEASE);
	for (;;) {
		const struct operation operation = operation_of(writer->number, progress->returned);
		struct estate_table *table = writer->tables[operation.table];
		uint64_t key = key_of(writer->number, operation.key);
		uint64_t value[WORDS_MAX];
		int error;

		fill(value, words[operation.table], operation.word);
		__atomic_store_n(&progress->begun, progress->returned + 1, __ATOMIC_RELEASE);
		if (operation.call == PUT)
			error = estate_put(table, &key, 8, value, words[operation.table] * 8);
		else if (operation.call == ADD)
			error = estate_add(table, &key, 8, value);
		else
			error = estate_delete(table, &key, 8);
		if (error && error != -ENOENT)
			die("a call");
		__atomic_store_n(&progress->returned, progress->returned + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void run_child(int force)
{
	struct estate_table *tables[TABLES];
	struct writer writers[THREADS];
	pthread_t thread;

	/* libpmem looks at it when it is first used: in this process, not before. */
	if (force)
		setenv("PMEM_IS_PMEM_FORCE", "1", 1);
	if (!begin(tables))
		die("open");
	for (unsigned int i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){ tables, i };
		if (pthread_create(&thread, NULL, write_until_killed, &writers[i]))
			die("pthread_create");
	}
	for (;;)
		pause();
}

/* What a key has, or 0; -1: not what anybody wrote. */
static int64_t get(struct estate_table *table, unsigned int which, uint64_t key)
{
	uint64_t value[WORDS_MAX];
	uint64_t right[WORDS_MAX];
	int error = estate_get(table, &key, 8, value, sizeof(value), NULL);

	if (error == -ENOENT)
		return 0;
	assert_ok(error);
	fill(right, words[which], value[0]);
	return memcmp(value, right, words[which] * 8) ? -1 : (int64_t)value[0];
}

static void check_thread(struct known *known, unsigned int thread, uint64_t before,
			 struct estate_table **tables)
{
	const struct progress *progress = &shared->progress[thread];
	struct operation last = { .table = TABLES };
	uint64_t after = 0;

	for (uint64_t number = before; number < progress->returned; number++) {
		const struct operation operation = operation_of(thread, number);
		uint64_t *value = &known->values[thread][operation.table][operation.key];

		*value = apply(*value, &operation);
	}
	if (progress->begun > progress->returned) {
		last = operation_of(thread, progress->returned);
		after = apply(known->values[thread][last.table][last.key], &last);
	}
	for (unsigned int i = 0; i < TABLES; i++) {
		for (unsigned int key = 0; key < KEYS; key++) {
			uint64_t *value = &known->values[thread][i][key];
			int64_t found = get(tables[i], i, key_of(thread, key));

			if (found == (int64_t)*value)
				continue;
			if (last.table != i || last.key != key || found != (int64_t)after)
				fail_msg("table %s, thread %u, key %u: %lld, acknowledged was %llu",
					 names[i], thread, key, (long long)found,
					 (unsigned long long)*value);
			*value = after;
		}
	}
}

static int count(const void *key, size_t key_length, const void *value, size_t value_length,
		 uint64_t stamp, void *arg)
{
	(void)key;
	(void)key_length;
	(void)value;
	(void)value_length;
	(void)stamp;
	++*(uint64_t *)arg;
	return 0;
}

static void check(struct known *known, const uint64_t *before)
{
	struct estate_table *tables[TABLES];
	struct estate *es = begin(tables);

	if (!es)
		fail_msg("open: %s", estate_errormsg());
	for (unsigned int i = 0; i < THREADS; i++)
		check_thread(known, i, before[i], tables);
	for (unsigned int i = 0; i < TABLES; i++) {
		struct estate_table_stats stats;
		uint64_t entries = 0;
		uint64_t there = 0;

		for (unsigned int thread = 0; thread < THREADS; thread++)
			for (unsigned int key = 0; key < KEYS; key++)
				there += known->values[thread][i][key] != 0;
		assert_ok(estate_iterate(tables[i], count, &entries));
		assert_ok(estate_table_stats(tables[i], &stats));
		assert_int_equal(entries, there);
		assert_int_equal(stats.entries, there);
	}
	assert_ok(estate_close(es));
}

/* In memory, if there is such a file system: nobody loses power here, and disks are slow. */
static char *make_folder(void)
{
	char path[] = "/dev/shm/estate-test-XXXXXX";

	return mkdtemp(path) ? strdup(path) : scratch_make();
}

static void test_killed(void **state)
{
	const char *rounds_text = getenv("ESTATE_TEST_ROUNDS");
	const char *seed_text = getenv("ESTATE_TEST_SEED");
	uint64_t rounds = rounds_text ? strtoull(rounds_text, NULL, 0) : ROUNDS;
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : (uint64_t)time(NULL);
	struct known known = { 0 };
	uint64_t before[THREADS];
	uint64_t calls = 0;

	(void)state;
	printf("ESTATE_TEST_SEED=%llu\n", (unsigned long long)seed);
	folder = make_folder();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	for (uint64_t round = 0; round < rounds; round++) {
		pid_t child;

		shared->ready = 0;
		for (unsigned int i = 0; i < THREADS; i++) {
			shared->progress[i].begun = shared->progress[i].returned;
			before[i] = shared->progress[i].returned;
		}
		fflush(stdout);
		child = fork();
		assert_true(child >= 0);
		if (!child)
			run_child(round % 2);
		/* Also before it has begun; but mostly while it writes. */
		while (round % 10 && __atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE) < THREADS &&
		       !__atomic_load_n(&shared->failed, __ATOMIC_ACQUIRE))
			usleep(200);
		usleep((useconds_t)(mix(seed + round) % KILL_US_MAX));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		if (shared->failed)
			fail_msg("round %llu: %s", (unsigned long long)round, shared->message);
		check(&known, before);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		calls += shared->progress[i].returned;
	printf("%llu processes killed, %llu calls acknowledged\n", (unsigned long long)rounds,
	       (unsigned long long)calls);
	munmap(shared, sizeof(*shared));
	scratch_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_killed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
