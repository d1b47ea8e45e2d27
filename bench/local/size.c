// SPDX-License-Identifier: BSD-3-Clause
/*
 * Full tables of growing sizes: what a look-up costs while they leave the caches one by one. All
 * sizes once per round, so that a slow second of the machine spoils one round of one size only.
 */
#include "huge.h"
#include "instances.h"
#include "measure.h"
#include "report.h"
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DRIVERS_MAX 8
#define ROUNDS_MAX 99
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static const size_t sizes[] = {
	1000, 3000, 10000, 30000, 100000, 300000, 1000000, 3000000, 10000000
};

struct result {
	double ns[ROUNDS_MAX];
	double batch_ns[ROUNDS_MAX];
};

static struct result results[SIZES][DRIVERS_MAX];

static int time_gets(const struct driver *driver, void *table, size_t entries, size_t round,
		     struct result *result)
{
	struct timing timing = {
		.driver = driver,
		.table = table,
		.count = entries,
		.present = 1,
		.random = round + 1,
	};

	result->ns[round] = timing_get(&timing);
	result->batch_ns[round] = timing_get_batch(&timing);
	return result->ns[round] < 0 || result->batch_ns[round] < 0 ? -1 : 0;
}

/* One after the other: four tables of ten million entries at once would need many gigabytes. */
static int measure_size(size_t entries, size_t round, struct result *of_size)
{
	for (size_t i = 0; drivers[i]; i++) {
		void *table = drivers[i]->create(entries, DRIVER_VALUES);
		int failed;

		if (!table)
			return -1;
		failed = timing_fill(drivers[i], table, 0, entries) ||
			 time_gets(drivers[i], table, entries, round, of_size + i);
		drivers[i]->destroy(table);
		if (failed)
			return -1;
	}
	return 0;
}

static json_t *show_size(size_t size, size_t rounds, FILE *data)
{
	json_t *line = json_pack("{s:I}", "entries", (json_int_t)sizes[size]);

	printf("%9zu", sizes[size]);
	fprintf(data, "%zu", sizes[size]);
	for (size_t i = 0; drivers[i]; i++) {
		struct figure one = measure_figure(results[size][i].ns, rounds);
		struct figure batch = measure_figure(results[size][i].batch_ns, rounds);

		printf(" %10.1f %6.1f", one.median, batch.median);
		fprintf(data, " %.1f %.1f", one.median, batch.median);
		json_object_set_new(line, drivers[i]->name,
				    json_pack("{s:o, s:o}", "get, ns", report_figure(one),
					      "get in batches of 16, ns", report_figure(batch)));
	}
	printf("\n");
	fprintf(data, "\n");
	return line;
}

static int show(size_t most, size_t rounds, FILE *data, const char *json)
{
	json_t *lines = json_array();

	printf("%9s", "entries");
	fprintf(data, "entries");
	for (size_t i = 0; drivers[i]; i++) {
		printf(" %10s %6s", drivers[i]->name, "batch");
		fprintf(data, " %s %s-batch", drivers[i]->name, drivers[i]->name);
	}
	printf("\n");
	fprintf(data, "\n");
	for (size_t size = 0; size < SIZES && sizes[size] <= most; size++)
		json_array_append_new(lines, show_size(size, rounds, data));
	return report_write(json, "size", lines);
}

static int measure(size_t most, size_t rounds)
{
	for (size_t round = 0; round < rounds; round++) {
		for (size_t size = 0; size < SIZES && sizes[size] <= most; size++) {
			if (measure_size(sizes[size], round, results[size]))
				return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *json = NULL, *path = NULL;
	size_t most = 10000000;
	size_t rounds = 5;
	int option, failed;
	FILE *data;

	while ((option = getopt(argc, argv, "n:r:j:d:")) >= 0) {
		if (option == 'n')
			most = strtoul(optarg, NULL, 10);
		else if (option == 'r')
			rounds = strtoul(optarg, NULL, 10);
		else if (option == 'j')
			json = optarg;
		else if (option == 'd')
			path = optarg;
		else
			return 2;
	}
	if (optind < argc || !rounds || rounds > ROUNDS_MAX || !path) {
		fprintf(stderr,
			"usage: %s -d DATA-FILE [-n MOST-ENTRIES] [-r ROUNDS] [-j JSON-FILE]\n",
			argv[0]);
		return 2;
	}
	huge_malloc(argv);
	if (bench_registry())
		return 1;
	for (size_t i = 0; drivers[i]; i++) {
		if (drivers[i]->start())
			return 1;
	}
	measure_pin(0);
	if (measure(most, rounds))
		return 1;
	data = fopen(path, "w");
	if (!data) {
		perror(path);
		return 1;
	}
	failed = show(most, rounds, data, json);
	if (fclose(data))
		failed = -1;
	return failed ? 1 : 0;
}
