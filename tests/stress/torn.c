// SPDX-License-Identifier: BSD-3-Clause
/*
 * Torn reads: two threads write the same few keys as fast as they can; a thread
 * beside them, and two processes through their own mappings, read and check that
 * each value is one that was written, whole, and never older than the last one
 * they saw of that key by the same writer.
 *
 * ESTATE_TEST_READS: how many reads of each small size, 40,000,000 if not set.
 */
#include "check.h"
#include "crc.h"
#include "group.h"
#include "scratch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 4
#define WRITERS 2
#define PROCESSES 2

/* What all processes of a run see. */
struct shared {
	uint64_t target; /* reads of local readers, and of those in other processes, each */
	uint64_t local_reads;
	uint64_t remote_reads;
	uint64_t writes;
	uint64_t timeouts; /* of remote readers: allowed, but not all the time */
	int ready; /* there is something to read */
	int stop;
	int torn;
};

struct run {
	struct shared *shared;
	char *folder;
	struct estate_table *table;
	size_t size;
};

struct writer {
	struct run *run;
	unsigned int number;
};

static uint64_t load(uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/*
 * A value says who wrote it and its number, and every word follows from these:
 * the first has 24 bits of number, 8 of writer and a check over both.
 */
static void make_value(uint64_t *value, size_t size, unsigned int writer, uint64_t number)
{
	uint64_t id = (number & 0xffffff) | (uint64_t)writer << 24;

	value[0] = id | (uint64_t)crc_word(~0u, id) << 32;
	for (size_t i = 1; i < size / 8; i++)
		value[i] = value[0] * (2 * i + 1);
}

static int value_whole(const uint64_t *value, size_t size)
{
	uint64_t id = value[0] & UINT32_MAX;

	if (value[0] >> 32 != crc_word(~0u, id))
		return 0;
	for (size_t i = 1; i < size / 8; i++)
		if (value[i] != value[0] * (2 * i + 1))
			return 0;
	return 1;
}

/* Numbers wrap at 2^24; a step back by less than half of that is a step back. */
static int goes_back(uint64_t last, uint64_t now)
{
	uint64_t step = (now - last) & 0xffffff;

	return last && step > 0x7fffff;
}

static void *write_keys(void *arg)
{
	const struct writer *writer = arg;
	struct run *run = writer->run;
	uint64_t *value = malloc(run->size);
	uint64_t number = 1;

	while (!__atomic_load_n(&run->shared->stop, __ATOMIC_RELAXED)) {
		for (unsigned int key = 0; key < KEYS; key++) {
			make_value(value, run->size, writer->number, number);
			if (estate_put(run->table, &key, sizeof(key), value, run->size))
				abort();
		}
		number++;
		__atomic_fetch_add(&run->shared->writes, KEYS, __ATOMIC_RELAXED);
	}
	free(value);
	return NULL;
}

struct seen {
	uint64_t numbers[KEYS][WRITERS];
};

static void check(struct shared *shared, struct seen *seen, unsigned int key, const uint64_t *value,
		  size_t size, const char *reader)
{
	unsigned int writer = value[0] >> 24 & 0xff;
	uint64_t number = value[0] & 0xffffff;

	if (!value_whole(value, size) || writer >= WRITERS) {
		fprintf(stderr, "%s: a torn value of %zu bytes\n", reader, size);
		__atomic_store_n(&shared->torn, 1, __ATOMIC_RELAXED);
		return;
	}
	if (goes_back(seen->numbers[key][writer], number)) {
		fprintf(stderr, "%s: key %u, writer %u: %llu after %llu: time went back\n", reader,
			key, writer, (unsigned long long)number,
			(unsigned long long)seen->numbers[key][writer]);
		__atomic_store_n(&shared->torn, 1, __ATOMIC_RELAXED);
	}
	seen->numbers[key][writer] = number;
}

static void read_local(struct run *run)
{
	struct seen seen = { 0 };
	uint64_t *value = malloc(run->size);
	size_t length;

	while (load(&run->shared->local_reads) < run->shared->target && !run->shared->torn) {
		for (unsigned int i = 0; i < 1000; i++) {
			unsigned int key = i % KEYS;

			if (estate_get(run->table, &key, sizeof(key), value, run->size, &length))
				abort();
			check(run->shared, &seen, key, value, run->size, "local");
		}
		__atomic_fetch_add(&run->shared->local_reads, 1000, __ATOMIC_RELAXED);
	}
	free(value);
}

static void read_remote(struct run *run)
{
	struct estate *es = group_open(run->folder, NULL, 0);
	struct estate_query query = ESTATE_QUERY_INIT;
	struct seen seen = { 0 };
	struct estate_table *table;
	struct estate_view *view;
	uint64_t *value = malloc(run->size);

	if (estate_table_open(es, "hot", NULL, &table))
		abort();
	view = group_view(es);
	query.deadline_us = 1000000;
	while (load(&run->shared->remote_reads) < run->shared->target && !run->shared->torn) {
		for (unsigned int i = 0; i < 1000; i++) {
			unsigned int key = i % KEYS;
			struct estate_answer answer;
			int error = estate_query_global(view, table, &key, sizeof(key), &query,
							value, run->size, &answer);

			if (error == -EHOSTDOWN && answer.missing == 1 &&
			    (answer.who[0].why == -ETIMEDOUT || answer.who[0].why == -EBADMSG)) {
				__atomic_fetch_add(&run->shared->timeouts, 1, __ATOMIC_RELAXED);
				continue;
			}
			if (error) {
				fprintf(stderr, "remote: %d %s\n", error, estate_errormsg());
				abort();
			}
			check(run->shared, &seen, key, value, run->size, "remote");
		}
		__atomic_fetch_add(&run->shared->remote_reads, 1000, __ATOMIC_RELAXED);
	}
	estate_view_close(view);
	estate_close(es);
	free(value);
}

static pid_t fork_reader(struct run *run)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!__atomic_load_n(&run->shared->ready, __ATOMIC_ACQUIRE))
		usleep(1000);
	read_remote(run);
	_exit(0);
}

static void test_size(void **state)
{
	size_t size = *(const size_t *)*state;
	const char *reads = getenv("ESTATE_TEST_READS");
	struct run run = { .size = size, .folder = scratch_make() };
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	pid_t children[PROCESSES];
	struct estate *es;
	uint64_t *value = malloc(size);
	int status;

	run.shared = mmap(NULL, sizeof(*run.shared), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	run.shared->target = (reads ? strtoull(reads, NULL, 0) : 40000000) / 2;
	if (size > 256) /* as many bytes as the largest of the small ones */
		run.shared->target = run.shared->target / (size / 128) + 1000;

	/* First of all: ThreadSanitizer allows no threads in a child of a process that has some. */
	for (unsigned int i = 0; i < PROCESSES; i++)
		children[i] = fork_reader(&run);
	es = group_open(run.folder, "writer", 128 << 20);
	attr.key_size = sizeof(unsigned int);
	attr.value_count = size;
	attr.capacity = 16;
	assert_ok(estate_table_open(es, "hot", &attr, &run.table));
	for (unsigned int key = 0; key < KEYS; key++) {
		make_value(value, size, 0, 1);
		assert_ok(estate_put(run.table, &key, sizeof(key), value, size));
	}
	__atomic_store_n(&run.shared->ready, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ &run, i };
		assert_int_equal(pthread_create(&threads[i], NULL, write_keys, &writers[i]), 0);
	}
	read_local(&run);
	for (unsigned int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	__atomic_store_n(&run.shared->stop, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	print_message("%zu bytes: %llu local and %llu remote reads, %llu remote ones gave up, "
		      "%llu writes\n",
		      size, (unsigned long long)run.shared->local_reads,
		      (unsigned long long)run.shared->remote_reads,
		      (unsigned long long)run.shared->timeouts,
		      (unsigned long long)run.shared->writes);
	assert_int_equal(run.shared->torn, 0);
	/* A reader may give up on a value that is rewritten all the time, but rarely. */
	assert_true(run.shared->timeouts * 100 <= run.shared->remote_reads);

	assert_ok(estate_close(es));
	munmap(run.shared, sizeof(*run.shared));
	scratch_remove(run.folder);
	free(value);
}

/* One size for each process: it must fork before it ever had threads. */
int main(int argc, char **argv)
{
	static size_t size;
	const struct CMUnitTest tests[] = { cmocka_unit_test_prestate(test_size, &size) };

	if (argc != 2) {
		fprintf(stderr, "usage: %s BYTES\n", argv[0]);
		return 2;
	}
	size = strtoull(argv[1], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
