// SPDX-License-Identifier: BSD-3-Clause
/*
 * One table per implementation, all filled alike; then rounds, in each of which
 * every implementation is timed in turn, by one thread, while another thread
 * does the opposite to the same table.
 */
#include "driver.h"
#include "instances.h"
#include "huge.h"
#include "measure.h"
#include "report.h"
#include "workload.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRIVERS_MAX 8
#define ROUNDS_MAX 99
#define CHUNK 8192
#define CHUNKS 64
#define STOP_CHECKED 256

enum operation {
	GET,
	PUT,
	ADD,
	GET_BATCH,
	OPERATIONS
};

struct operation_kind {
	const char *name;
	enum operation beside; /* what the other thread does meanwhile */
	enum driver_content content;
};

static const struct operation_kind kinds[OPERATIONS] = {
	[GET] = { "get", PUT, DRIVER_VALUES },
	[PUT] = { "put", GET, DRIVER_VALUES },
	[ADD] = { "add", GET, DRIVER_COUNTERS },
	[GET_BATCH] = { "get, batches of 16", PUT, DRIVER_VALUES },
};

struct options {
	size_t entries;
	size_t rounds;
	const char *json;
	const char *only; /* one implementation, or NULL */
	int alone; /* no other thread */
};

/* Those that are timed. */
static const struct driver *chosen[DRIVERS_MAX + 1];

/* One thread's work on one table. */
struct work {
	const struct driver *driver;
	void *table;
	enum operation operation;
	enum driver_content content;
	size_t entries;
	uint64_t random;
	uint64_t (*keys)[KEY_BYTES / 8]; /* of the next operations */
	uint64_t failures; /* operations that failed, and values that were torn */
	uint64_t done;
	int stop;
};

struct result {
	double ns[ROUNDS_MAX];
	double ratio[ROUNDS_MAX]; /* to estate, in the same round */
};

static const uint64_t deltas[COUNTERS] = { 1, 64 };

/* Keys are drawn before they are timed. */
static void draw(void *arg, size_t operations)
{
	struct work *work = arg;

	for (size_t i = 0; i < operations; i++)
		workload_key(workload_pick(&work->random, work->entries), work->keys[i]);
}

/* Little else than the call is in these loops, since it delays what overlaps with the next one. */
static void get_values(struct work *work, size_t operations)
{
	const struct work w = *work;
	uint64_t failures = 0;

	for (size_t i = 0; i < operations; i++) {
		uint64_t value[VALUE_BYTES / 8];

		failures += w.driver->get(w.table, w.keys[i], value) || workload_value_torn(value);
	}
	work->failures += failures;
}

static void get_counters(struct work *work, size_t operations)
{
	const struct work w = *work;
	uint64_t failures = 0;

	for (size_t i = 0; i < operations; i++) {
		uint64_t value[COUNTERS];

		failures += w.driver->get(w.table, w.keys[i], value) ||
			    value[1] != value[0] * deltas[1];
	}
	work->failures += failures;
}

static void put(struct work *work, size_t operations)
{
	const struct work w = *work;
	uint64_t failures = 0;

	for (size_t i = 0; i < operations; i++) {
		uint64_t value[VALUE_BYTES / 8];

		workload_value(w.random + i, value);
		failures += !!w.driver->put(w.table, w.keys[i], value);
	}
	work->failures += failures;
}

static void add(struct work *work, size_t operations)
{
	const struct work w = *work;
	uint64_t failures = 0;

	for (size_t i = 0; i < operations; i++)
		failures += !!w.driver->add(w.table, w.keys[i], deltas);
	work->failures += failures;
}

static void get_batch(struct work *work, size_t operations)
{
	uint64_t values[BATCH][VALUE_BYTES / 8];
	const void *pointers[BATCH];
	const struct work w = *work;
	uint64_t failures = 0;

	for (size_t done = 0; done < operations; done += BATCH) {
		for (unsigned int i = 0; i < BATCH; i++)
			pointers[i] = w.keys[done + i];
		failures += BATCH - w.driver->get_batch(w.table, pointers, values);
		for (unsigned int i = 0; i < BATCH; i++)
			failures += (uint64_t)workload_value_torn(values[i]);
	}
	work->failures += failures;
}

static void run(void *arg, size_t operations)
{
	struct work *work = arg;

	switch (work->operation) {
	case GET:
		if (work->content == DRIVER_VALUES)
			get_values(work, operations);
		else
			get_counters(work, operations);
		break;
	case PUT:
		put(work, operations);
		break;
	case ADD:
		add(work, operations);
		break;
	default:
		get_batch(work, operations);
		break;
	}
	work->done += operations;
}

static void *beside(void *arg)
{
	struct work *work = arg;

	measure_pin(1);
	work->driver->thread_begin();
	while (!__atomic_load_n(&work->stop, __ATOMIC_RELAXED)) {
		draw(work, STOP_CHECKED);
		run(work, STOP_CHECKED);
	}
	work->driver->thread_end();
	return NULL;
}

/* One implementation's turn: ns for one operation, or a negative number after a message. */
static double turn(const struct driver *driver, void *table, enum operation operation,
		   const struct options *options, size_t round)
{
	static uint64_t keys[CHUNK][KEY_BYTES / 8];
	static uint64_t other_keys[STOP_CHECKED][KEY_BYTES / 8];
	struct work mine = {
		.driver = driver,
		.table = table,
		.operation = operation,
		.content = kinds[operation].content,
		.entries = options->entries,
		.random = workload_mix(2 * round + 1),
		.keys = keys,
	};
	struct work other = mine;
	pthread_t thread;
	double ns;

	other.operation = kinds[operation].beside;
	other.random = workload_mix(2 * round + 2);
	other.keys = other_keys;
	if (!options->alone && pthread_create(&thread, NULL, beside, &other)) {
		perror("pthread_create");
		return -1;
	}
	measure_prepared_ns(draw, run, &mine, CHUNK, CHUNKS / 8); /* warm up */
	ns = measure_prepared_ns(draw, run, &mine, CHUNK, CHUNKS);
	if (!options->alone) {
		__atomic_store_n(&other.stop, 1, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	if (mine.failures || other.failures) {
		fprintf(stderr, "%s, %s: %ju wrong results, %ju in the thread beside it\n",
			driver->name, kinds[operation].name, (uintmax_t)mine.failures,
			(uintmax_t)other.failures);
		return -1;
	}
	return ns;
}

static int fill(const struct driver *driver, void *table, enum driver_content content,
		size_t entries)
{
	for (size_t i = 0; i < entries; i++) {
		uint64_t key[KEY_BYTES / 8], value[VALUE_BYTES / 8];

		workload_key(i, key);
		workload_value(i, value);
		if (content == DRIVER_VALUES ? driver->put(table, key, value)
					     : driver->add(table, key, deltas)) {
			fprintf(stderr, "%s: no room for key %zu of %zu\n", driver->name, i,
				entries);
			return -1;
		}
	}
	return 0;
}

static void show_memory(const struct driver *driver, const struct measure_memory *before,
			size_t entries, json_t *json)
{
	struct measure_memory after;
	double bytes, huge;

	if (measure_memory(&after))
		return;
	bytes = (double)after.bytes - (double)before->bytes;
	huge = (double)after.huge - (double)before->huge;
	printf("%-10s %6.0f bytes per entry, %3.0f %% on huge pages\n           "
	       "%s\n",
	       driver->name, bytes / (double)entries, 100 * huge / bytes, driver->how);
	json_object_set_new(json, driver->name,
			    json_pack("{s:f, s:f}", "bytes per entry", bytes / (double)entries,
				      "share on huge pages", huge / bytes));
}

static void *filled(const struct driver *driver, enum driver_content content,
		    const struct options *options, json_t *memory)
{
	struct measure_memory before;
	void *table;

	if (measure_memory(&before))
		return NULL;
	table = driver->create(options->entries, content);
	if (!table)
		return NULL;
	if (fill(driver, table, content, options->entries)) {
		driver->destroy(table);
		return NULL;
	}
	/* Later tables get memory that was in use before: only of the first it is known how much. */
	if (content == DRIVER_VALUES)
		show_memory(driver, &before, options->entries, memory);
	return table;
}

static json_t *show(enum operation operation, struct result *results, size_t rounds)
{
	json_t *json = json_object();
	char ns[64], ratio[64];

	for (size_t i = 0; chosen[i]; i++) {
		struct figure time = measure_figure(results[i].ns, rounds);
		struct figure times = measure_figure(results[i].ratio, rounds);
		json_t *one = json_pack("{s:o, s:o}", "ns", report_figure(time), "times estate's",
					report_figure(times));

		snprintf(ratio, sizeof(ratio), "%.2f (%.2f-%.2f)", times.median, times.least,
			 times.most);
		printf("%-20s %-10s %22s %22s\n", i ? "" : kinds[operation].name, chosen[i]->name,
		       report_text(time, ns), i ? ratio : "");
		json_object_set_new(json, chosen[i]->name, one);
	}
	return json;
}

/* All tables of one content exist side by side; then the rounds. */
static int measure(enum operation operation, void **tables, const struct options *options,
		   json_t *json)
{
	static struct result results[DRIVERS_MAX];

	for (size_t round = 0; round < options->rounds; round++) {
		for (size_t i = 0; chosen[i]; i++) {
			double ns = turn(chosen[i], tables[i], operation, options, round);

			if (ns < 0)
				return -1;
			results[i].ns[round] = ns;
		}
		for (size_t i = 0; chosen[i]; i++)
			results[i].ratio[round] = results[i].ns[round] / results[0].ns[round];
	}
	json_object_set_new(json, kinds[operation].name, show(operation, results, options->rounds));
	return 0;
}

static int measure_content(enum driver_content content, const struct options *options, json_t *json)
{
	void *tables[DRIVERS_MAX] = { NULL };
	json_t *memory = json_object();
	int failed = 0;

	printf("%zu entries, keys of %d bytes, values of %zu bytes\n", options->entries, KEY_BYTES,
	       driver_value_bytes(content));
	for (size_t i = 0; chosen[i] && !failed; i++) {
		tables[i] = filled(chosen[i], content, options, memory);
		failed = !tables[i];
	}
	if (content == DRIVER_VALUES)
		json_object_set(json, "memory", memory);
	json_decref(memory);
	if (!failed)
		printf("\n%-20s %-10s %22s %22s\n", "ns for one", "", "median (min-max)",
		       "times estate's");
	for (int operation = 0; operation < OPERATIONS && !failed; operation++) {
		if (kinds[operation].content == content)
			failed = measure((enum operation)operation, tables, options, json);
	}
	for (size_t i = 0; chosen[i]; i++) {
		if (tables[i])
			chosen[i]->destroy(tables[i]);
	}
	printf("\n");
	return failed;
}

static void choose(const char *only)
{
	size_t count = 0;

	for (size_t i = 0; drivers[i] && count < DRIVERS_MAX; i++) {
		if (!only || !strcmp(only, drivers[i]->name))
			chosen[count++] = drivers[i];
	}
}

static int parse(int argc, char **argv, struct options *options)
{
	int option;

	while ((option = getopt(argc, argv, "n:r:j:o:a")) >= 0) {
		switch (option) {
		case 'n':
			options->entries = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			options->rounds = strtoul(optarg, NULL, 10);
			break;
		case 'j':
			options->json = optarg;
			break;
		case 'o':
			options->only = optarg;
			break;
		case 'a':
			options->alone = 1;
			break;
		default:
			return -1;
		}
	}
	if (optind < argc || !options->entries || !options->rounds || options->rounds > ROUNDS_MAX)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = { .entries = 1000000, .rounds = 9 };
	json_t *json;

	if (parse(argc, argv, &options)) {
		fprintf(stderr,
			"usage: %s [-n ENTRIES] [-r ROUNDS] [-j JSON-FILE] [-o "
			"TABLE] [-a]\n"
			"-o TABLE: that one only; -a: alone, no thread beside\n",
			argv[0]);
		return 2;
	}
	choose(options.only);
	huge_malloc(argv);
	if (bench_registry())
		return 1;
	for (size_t i = 0; chosen[i]; i++) {
		if (chosen[i]->start())
			return 1;
	}
	measure_pin(0);
	json = json_pack("{s:I, s:I}", "entries", (json_int_t)options.entries, "rounds",
			 (json_int_t)options.rounds);

	for (int content = 0; content < DRIVER_CONTENTS; content++) {
		if (measure_content((enum driver_content)content, &options, json)) {
			json_decref(json);
			return 1;
		}
	}
	return report_write(options.json, "local", json) ? 1 : 0;
}
