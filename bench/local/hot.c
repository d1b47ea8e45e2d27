// SPDX-License-Identifier: BSD-3-Clause
/* Adding to one entry over and over by its handle, and what an atomic add alone costs. */
#include "instances.h"
#include "measure.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS_MAX 99
#define CHUNK 65536
#define CHUNKS 32

enum what {
	ATOMIC_ONE,
	HANDLE_ONE,
	ATOMIC_TWO,
	HANDLE_TWO,
	WHATS
};

static const char *const names[WHATS] = {
	[ATOMIC_ONE] = "1 atomic add",
	[HANDLE_ONE] = "estate_entry_add, 1 field",
	[ATOMIC_TWO] = "2 atomic adds",
	[HANDLE_TWO] = "estate_entry_add, 2 fields",
};

struct place {
	uint64_t counters[2];
} __attribute__((aligned(64)));

static struct place place;
static const uint64_t deltas[2] = { 1, 64 };

static void atomic_one(void *arg, size_t operations)
{
	struct place *counted = arg;

	for (size_t i = 0; i < operations; i++)
		__atomic_fetch_add(counted->counters, deltas[0], __ATOMIC_SEQ_CST);
}

static void atomic_two(void *arg, size_t operations)
{
	struct place *counted = arg;

	for (size_t i = 0; i < operations; i++) {
		__atomic_fetch_add(counted->counters, deltas[0], __ATOMIC_SEQ_CST);
		__atomic_fetch_add(counted->counters + 1, deltas[1], __ATOMIC_SEQ_CST);
	}
}

static void handle(void *arg, size_t operations)
{
	struct estate_entry *entry = arg;

	for (size_t i = 0; i < operations; i++) {
		if (estate_entry_add(entry, deltas))
			abort();
	}
}

static int open_entry(struct estate *estate, const char *name, size_t fields,
		      struct estate_entry *entry)
{
	struct estate_table_attr attr;
	struct estate_table *table;

	bench_attributes(&attr, 1024, DRIVER_COUNTERS);
	attr.value_count = fields;
	if (estate_table_open(estate, name, &attr, &table))
		return -1;
	return estate_entry_open(table, "one flow's key..", KEY_BYTES, entry);
}

/* Sums must be what was added, or the time is worth nothing. */
static int check(struct estate_entry *entry, size_t rounds, size_t fields)
{
	uint64_t expected = (uint64_t)CHUNK * CHUNKS * rounds;
	uint64_t sums[2] = { 0, 0 };

	if (estate_entry_get(entry, sums, sizeof(sums), NULL))
		return -1;
	return sums[0] == expected * deltas[0] && (fields == 1 || sums[1] == expected * deltas[1])
		       ? 0
		       : -1;
}

static json_t *show(double ns[WHATS][ROUNDS_MAX], size_t rounds)
{
	json_t *json = json_object();
	double more[ROUNDS_MAX];
	char text[64];

	printf("%-28s %22s\n", "ns for one", "median (min-max)");
	for (int second = HANDLE_ONE; second < WHATS; second += 2) {
		struct figure figure;

		for (size_t round = 0; round < rounds; round++)
			more[round] = ns[second][round] - ns[second - 1][round];
		for (int what = second - 1; what <= second; what++) {
			figure = measure_figure(ns[what], rounds);
			printf("%-28s %22s\n", names[what], report_text(figure, text));
			json_object_set_new(json, names[what], report_figure(figure));
		}
		figure = measure_figure(more, rounds);
		printf("%-28s %22s\n", "  more", report_text(figure, text));
		snprintf(text, sizeof(text), "%s, more", names[second]);
		json_object_set_new(json, text, report_figure(figure));
	}
	printf("\n");
	return json;
}

int main(int argc, char **argv)
{
	static double ns[WHATS][ROUNDS_MAX];
	struct estate_table_attr attr;
	struct estate_entry one, two;
	const char *json = NULL;
	struct estate *estate;
	size_t rounds = 9;
	int option;

	while ((option = getopt(argc, argv, "r:j:")) >= 0) {
		if (option == 'r')
			rounds = strtoul(optarg, NULL, 10);
		else if (option == 'j')
			json = optarg;
		else
			return 2;
	}
	if (optind < argc || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: %s [-r ROUNDS] [-j JSON-FILE]\n", argv[0]);
		return 2;
	}
	if (bench_registry())
		return 1;
	measure_pin(0);
	bench_attributes(&attr, 65536, DRIVER_COUNTERS);
	estate = bench_instance("hot", &attr);
	if (!estate)
		return 1;
	if (open_entry(estate, "one", 1, &one) || open_entry(estate, "two", 2, &two)) {
		fprintf(stderr, "%s\n", estate_errormsg());
		return 1;
	}
	for (size_t round = 0; round < rounds; round++) {
		ns[ATOMIC_ONE][round] = measure_ns(atomic_one, &place, CHUNK, CHUNKS);
		ns[HANDLE_ONE][round] = measure_ns(handle, &one, CHUNK, CHUNKS);
		ns[ATOMIC_TWO][round] = measure_ns(atomic_two, &place, CHUNK, CHUNKS);
		ns[HANDLE_TWO][round] = measure_ns(handle, &two, CHUNK, CHUNKS);
	}
	if (check(&one, rounds, 1) || check(&two, rounds, 2)) {
		fprintf(stderr, "the sums are not what was added\n");
		return 1;
	}
	estate_close(estate);
	return report_write(json, "hot entry", show(ns, rounds)) ? 1 : 0;
}
