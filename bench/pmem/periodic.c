// SPDX-License-Identifier: BSD-3-Clause
/*
 * Puts into a table that is flushed every 100 ms, beside the same puts into one
 * that nobody keeps. Each turn is so long that a dozen rounds of flushing are in
 * it: what counts is the mean, not the time between two of them.
 */
#include "durable.h"
#include "instances.h"
#include "measure.h"
#include "options.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define TURN_NS 1500000000u
#define CHUNK 1000

static double process_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* As fast as it goes: ns for one, and how many CPUs the process had meanwhile. */
static double turn(struct estate_table *table, const struct options *options, size_t value_bytes,
		   uint64_t *random, double *cpus)
{
	uint64_t value[VALUE_MOST / 8] = { 0 };
	uint64_t begun = measure_now_ns();
	double busy = process_seconds();
	uint64_t puts = 0;
	uint64_t now;

	do {
		for (size_t i = 0; i < CHUNK; i++) {
			uint64_t key[KEY_BYTES / 8];

			workload_key(workload_pick(random, options->entries), key);
			value[0] = i;
			if (estate_put(table, key, sizeof(key), value, value_bytes)) {
				fprintf(stderr, "%s\n", estate_errormsg());
				exit(1);
			}
		}
		puts += CHUNK;
		now = measure_now_ns();
	} while (now - begun < TURN_NS);
	*cpus = (process_seconds() - busy) / ((double)(now - begun) / 1e9);
	return (double)(now - begun) / (double)puts;
}

struct figures {
	double plain[ROUNDS_MAX];
	double periodic[ROUNDS_MAX];
	double ratio[ROUNDS_MAX];
	double cpus[ROUNDS_MAX];
};

static json_t *show(struct figures *figures, size_t value_bytes, size_t rounds)
{
	struct figure plain = measure_figure(figures->plain, rounds);
	struct figure periodic = measure_figure(figures->periodic, rounds);
	struct figure ratio = measure_figure(figures->ratio, rounds);
	struct figure cpus = measure_figure(figures->cpus, rounds);
	char text[4][64];

	printf("  %3zu bytes %22s %22s %22s %22s\n", value_bytes, report_text(plain, text[0]),
	       report_text(periodic, text[1]), durable_ratio(&ratio, text[2]),
	       durable_ratio(&cpus, text[3]));
	return json_pack("{s:o, s:o, s:o, s:o}", "not durable, ns", report_figure(plain),
			 "periodic, ns", report_figure(periodic), "times not durable",
			 report_figure(ratio), "CPUs", report_figure(cpus));
}

static struct estate_table *make_table(struct estate *es, const char *name,
				       const struct options *options, size_t value_bytes,
				       enum estate_durability durability)
{
	struct estate_table_attr attr;
	struct estate_table *table;

	durable_attr(&attr, options->entries, value_bytes, durability);
	if (estate_table_open(es, name, &attr, &table)) {
		fprintf(stderr, "%s\n", estate_errormsg());
		exit(1);
	}
	if (durable_fill(table, options->entries, value_bytes, 2))
		exit(1);
	return table;
}

static json_t *measure_size(const struct options *options, size_t value_bytes)
{
	static struct figures figures;
	struct estate_table_attr attr;
	struct estate_table *periodic;
	struct estate_table *plain;
	uint64_t random = 1;
	struct estate *es;
	char pool[256];

	/* Its threads are made here, and may run anywhere. */
	measure_unpin();
	snprintf(pool, sizeof(pool), "%s/pool", options->folder);
	unlink(pool);
	durable_attr(&attr, options->entries, value_bytes, ESTATE_DURABILITY_PERIODIC);
	es = bench_durable("periodic", pool, estate_table_bytes(&attr) * 2);
	if (!es)
		exit(1);
	periodic = make_table(es, "periodic", options, value_bytes, ESTATE_DURABILITY_PERIODIC);
	plain = make_table(es, "plain", options, value_bytes, ESTATE_DURABILITY_NONE);
	measure_pin(0);
	for (size_t round = 0; round < options->rounds; round++) {
		double cpus;

		/* Nothing is left to flush while the other one is timed. */
		estate_sync(es);
		figures.plain[round] = turn(plain, options, value_bytes, &random, &cpus);
		figures.periodic[round] =
			turn(periodic, options, value_bytes, &random, &figures.cpus[round]);
		figures.ratio[round] = figures.periodic[round] / figures.plain[round];
	}
	estate_close(es);
	unlink(pool);
	return show(&figures, value_bytes, options->rounds);
}

int main(int argc, char **argv)
{
	struct options options = { .entries = 1000000, .rounds = 7 };
	char section[64];
	json_t *all;

	options_parse(argc, argv, &options);
	if (bench_registry())
		return 1;
	all = json_pack("{s:I, s:I}", "entries", (json_int_t)options.entries, "rounds",
			(json_int_t)options.rounds);
	printf("%zu entries, flushed every 100 ms\n", options.entries);
	printf("  %9s %22s %22s %22s %22s\n", "values", "not durable, ns", "periodic, ns",
	       "times not durable", "CPUs, both threads");
	for (size_t bytes = 64; bytes <= VALUE_MOST; bytes *= 4) {
		snprintf(section, sizeof(section), "values of %zu bytes", bytes);
		json_object_set_new(all, section, measure_size(&options, bytes));
	}
	snprintf(section, sizeof(section), "periodic, %zu entries", options.entries);
	return report_write(options.json, section, all) ? 1 : 0;
}
