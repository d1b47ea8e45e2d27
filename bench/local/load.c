// SPDX-License-Identifier: BSD-3-Clause
/*
 * One table of estate's, filled step by step: what overflows, and what a look-up costs. All of it
 * once per round, so that a slow second of the machine spoils one round of a few points only.
 */
#include "instances.h"
#include "measure.h"
#include "report.h"
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STEPS 20
#define ABSENT (1ull << 40) /* number of the first key that is never put */
#define ROUNDS_MAX 99

struct step {
	struct estate_table_stats stats;
	double present[ROUNDS_MAX];
	double absent[ROUNDS_MAX];
};

static struct step steps[STEPS];

static double time_gets(void *table, uint64_t first, uint64_t count, int present, size_t round)
{
	struct timing timing = {
		.driver = &driver_estate,
		.table = table,
		.first = first,
		.count = count,
		.present = present,
		.random = round + 1,
	};

	return timing_get(&timing);
}

static int fill_and_time(void *table, size_t capacity, size_t round)
{
	uint64_t filled = 0;

	for (unsigned int i = 0; i < STEPS; i++) {
		uint64_t entries = capacity * (i + 1) / STEPS;
		struct step *step = steps + i;

		if (timing_fill(&driver_estate, table, filled, entries))
			return -1;
		filled = entries;
		step->present[round] = time_gets(table, 0, entries, 1, round);
		step->absent[round] = time_gets(table, ABSENT, entries, 0, round);
		if (step->present[round] < 0 || step->absent[round] < 0)
			return -1;
		if (estate_table_stats(driver_estate_table(table), &step->stats)) {
			fprintf(stderr, "%s\n", estate_errormsg());
			return -1;
		}
	}
	return 0;
}

static int measure(size_t capacity, size_t rounds)
{
	for (size_t round = 0; round < rounds; round++) {
		void *table = driver_estate.create(capacity, DRIVER_VALUES);
		int failed;

		if (!table)
			return -1;
		failed = fill_and_time(table, capacity, round);
		driver_estate.destroy(table);
		if (failed)
			return failed;
	}
	return 0;
}

static json_t *show_step(struct step *step, size_t rounds, FILE *data)
{
	const struct estate_table_stats *stats = &step->stats;
	double of_capacity = (double)stats->entries / (double)stats->capacity;
	double of_slots = (double)stats->entries / (double)stats->slots;
	double overflowed = (double)stats->overflowed / (double)stats->entries;
	struct figure present = measure_figure(step->present, rounds);
	struct figure absent = measure_figure(step->absent, rounds);

	fprintf(data, "%.4f %.4f %.6f %.1f %.1f %.1f %.1f %.1f %.1f\n", of_capacity, of_slots,
		overflowed, present.median, present.least, present.most, absent.median,
		absent.least, absent.most);
	printf("%10.2f %10.2f %12.4f %12.1f %12.1f\n", of_capacity, of_slots, 100 * overflowed,
	       present.median, absent.median);
	return json_pack("{s:f, s:f, s:f, s:o, s:o}", "share of capacity", of_capacity,
			 "share of slots", of_slots, "share overflowed", overflowed, "present, ns",
			 report_figure(present), "absent, ns", report_figure(absent));
}

static int show(size_t rounds, FILE *data, const char *json)
{
	const struct estate_table_stats *stats = &steps[STEPS - 1].stats;
	double region = (double)stats->bytes / (double)stats->capacity;
	double private = (double)stats->sidecar_bytes / (double)stats->capacity;
	json_t *lines = json_array();

	printf("capacity %ju, %ju slots: %.1f bytes of the region and %.1f private ones per "
	       "entry\n",
	       (uintmax_t)stats->capacity, (uintmax_t)stats->slots, region, private);
	printf("%10s %10s %12s %12s %12s\n", "/capacity", "/slots", "% overflowed", "present, ns",
	       "absent, ns");
	fprintf(data, "# share of capacity, of slots; share overflowed; present ns median, min, "
		      "max; absent ns median, min, max\n");
	for (unsigned int i = 0; i < STEPS; i++)
		json_array_append_new(lines, show_step(steps + i, rounds, data));
	return report_write(json, "load",
			    json_pack("{s:I, s:I, s:f, s:f, s:o}", "capacity",
				      (json_int_t)stats->capacity, "slots",
				      (json_int_t)stats->slots, "region bytes per entry", region,
				      "private bytes per entry", private, "steps", lines));
}

int main(int argc, char **argv)
{
	const char *json = NULL, *path = NULL;
	size_t capacity = 1000000;
	size_t rounds = 7;
	int option, failed;
	FILE *data;

	while ((option = getopt(argc, argv, "n:r:j:d:")) >= 0) {
		if (option == 'n')
			capacity = strtoul(optarg, NULL, 10);
		else if (option == 'r')
			rounds = strtoul(optarg, NULL, 10);
		else if (option == 'j')
			json = optarg;
		else if (option == 'd')
			path = optarg;
		else
			return 2;
	}
	if (optind < argc || capacity < STEPS || !rounds || rounds > ROUNDS_MAX || !path) {
		fprintf(stderr, "usage: %s -d DATA-FILE [-n CAPACITY] [-r ROUNDS] [-j JSON-FILE]\n",
			argv[0]);
		return 2;
	}
	if (bench_registry())
		return 1;
	measure_pin(0);
	if (measure(capacity, rounds))
		return 1;
	data = fopen(path, "w");
	if (!data) {
		perror(path);
		return 1;
	}
	failed = show(rounds, data, json);
	if (fclose(data))
		failed = -1;
	return failed ? 1 : 0;
}
