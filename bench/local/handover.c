// SPDX-License-Identifier: BSD-3-Clause
/*
 * A hand-over of many entries between two processes: how long it takes beside a
 * memcpy() of the leaver's table, and what a writer of the adopter and a reader
 * of the group notice of it.
 *
 * usage: bench-handover [ENTRIES]
 */
#include <estate/estate.h>

#include <err.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BINS 40 /* powers of two of nanoseconds */

struct histogram {
	uint64_t bins[BINS];
	uint64_t count;
	uint64_t most;
};

/* Between both processes. */
static struct {
	int filled;
	int leave;
	uint64_t took_ns;
	int failed;
} * shared;

static size_t entries = 1000000;
static int stop;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void note(struct histogram *histogram, uint64_t ns)
{
	unsigned int bin = ns ? 63 - (unsigned int)__builtin_clzll(ns) : 0;

	histogram->bins[bin < BINS ? bin : BINS - 1]++;
	histogram->count++;
	if (ns > histogram->most)
		histogram->most = ns;
}

static void print(const char *what, const struct histogram *histogram)
{
	printf("%s: %llu, the slowest %.1f us\n", what, (unsigned long long)histogram->count,
	       (double)histogram->most / 1000);
	for (int bin = 0; bin < BINS; bin++)
		if (histogram->bins[bin])
			printf("  from %10.3f us: %llu\n", (double)(1ull << bin) / 1000,
			       (unsigned long long)histogram->bins[bin]);
}

static struct estate_table_attr table_attr(void)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = 16;
	attr.value_type = ESTATE_U64;
	attr.value_count = 4;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = entries * 2;
	return attr;
}

static struct estate *join(const char *folder, const char *name, struct estate_table **table)
{
	struct estate_table_attr attr = table_attr();
	struct estate_attr es_attr = ESTATE_ATTR_INIT;
	struct estate *es;

	es_attr.group = "bench";
	es_attr.name = name;
	es_attr.registry = folder;
	es_attr.flags = name ? 0 : ESTATE_OBSERVER;
	es_attr.region_size = estate_table_bytes(&attr) + (1 << 20);
	if (estate_open(&es_attr, &es) || estate_table_open(es, "t", &attr, table))
		errx(1, "%s", estate_errormsg());
	return es;
}

static void key_of(uint64_t number, uint64_t key[2])
{
	key[0] = number * 0x9e3779b97f4a7c15ull;
	key[1] = number;
}

static void leave(const char *folder)
{
	struct estate_table *table;
	struct estate *es = join(folder, "leaver", &table);
	uint64_t begun;

	for (uint64_t i = 0; i < entries; i++) {
		uint64_t key[2];

		key_of(i, key);
		if (estate_add(table, key, 16, (uint64_t[]){ 1, 2, 3, i }))
			errx(1, "%s", estate_errormsg());
	}
	__atomic_store_n(&shared->filled, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&shared->leave, __ATOMIC_ACQUIRE))
		usleep(100);
	begun = now_ns();
	if (estate_leave(es, NULL)) {
		shared->failed = 1;
		errx(1, "%s", estate_errormsg());
	}
	shared->took_ns = now_ns() - begun;
}

static void *write_on(void *arg)
{
	struct estate_table *table = arg;
	struct histogram *histogram = calloc(1, sizeof(*histogram));

	for (uint64_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i += 7919) {
		uint64_t begun = now_ns();
		uint64_t key[2];

		key_of(i % entries, key);
		if (estate_add(table, key, 16, (uint64_t[]){ 1, 1, 1, 1 }))
			errx(1, "%s", estate_errormsg());
		note(histogram, now_ns() - begun);
		/* A packet a microsecond, or the writer would be all that runs. */
		while (now_ns() < begun + 1000)
			;
	}
	return histogram;
}

static void *read_on(void *arg)
{
	struct histogram *histogram = calloc(1, sizeof(*histogram));
	struct estate_table *table;
	struct estate *es = join(arg, NULL, &table);
	struct estate_view *view;

	if (estate_view_open(es, NULL, &view))
		errx(1, "%s", estate_errormsg());
	for (uint64_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i += 104729) {
		uint64_t begun = now_ns();
		uint64_t value[4];
		uint64_t key[2];

		key_of(i % entries, key);
		estate_get_global(view, table, key, 16, value, sizeof(value), NULL);
		note(histogram, now_ns() - begun);
		usleep(5);
	}
	estate_view_close(view);
	estate_close(es);
	return histogram;
}

static uint64_t copy_ns(size_t bytes)
{
	char *from = malloc(bytes);
	char *to = malloc(bytes);
	uint64_t least = UINT64_MAX;

	if (!from || !to)
		errx(1, "no memory");
	memset(from, 1, bytes);
	memset(to, 2, bytes);
	for (int round = 0; round < 3; round++) {
		uint64_t begun = now_ns();

		memcpy(to, from, bytes);
		if (now_ns() - begun < least)
			least = now_ns() - begun;
	}
	free(from);
	free(to);
	return least;
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/bench-handover-XXXXXX";
	char registry[64];
	struct estate_table_attr attr;
	struct estate_table *table;
	struct histogram *results[2];
	pthread_t threads[2];
	struct estate *es;
	uint64_t copy;
	size_t bytes;
	pid_t child;

	if (argc > 1)
		entries = strtoul(argv[1], NULL, 10);
	if (!entries || !mkdtemp(folder))
		errx(1, "usage: bench-handover [ENTRIES]");
	snprintf(registry, sizeof(registry), "dir:%s", folder);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	child = fork();
	if (!child) {
		leave(registry);
		_exit(0);
	}
	attr = table_attr();
	bytes = estate_table_bytes(&attr);
	copy = copy_ns(bytes);
	es = join(registry, "adopter", &table);
	while (!__atomic_load_n(&shared->filled, __ATOMIC_ACQUIRE))
		usleep(1000);
	pthread_create(&threads[0], NULL, write_on, table);
	pthread_create(&threads[1], NULL, read_on, registry);
	usleep(300000);
	__atomic_store_n(&shared->leave, 1, __ATOMIC_RELEASE);
	waitpid(child, NULL, 0);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++) {
		void *result;

		pthread_join(threads[i], &result);
		results[i] = result;
	}
	if (shared->failed)
		return 1;
	printf("%zu entries in a table of %zu bytes: handed over in %.0f ms, %.0f ns each, which "
	       "is "
	       "%.2f of the bandwidth of memcpy() (%.1f GB/s)\n",
	       entries, bytes, (double)shared->took_ns / 1e6,
	       (double)shared->took_ns / (double)entries, (double)copy / (double)shared->took_ns,
	       (double)bytes / (double)copy);
	print("the adopter's writes", results[0]);
	print("global reads", results[1]);
	free(results[0]);
	free(results[1]);
	estate_close(es);
	return 0;
}
