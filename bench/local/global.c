// SPDX-License-Identifier: BSD-3-Clause
/*
 * One key's total over four processes: by reading their memory, by asking
 * them, and from a server; in rounds, and beside what a local get costs one of
 * the four in the same round.
 */
#include "asker.h"
#include "instances.h"
#include "measure.h"
#include "report.h"
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOT_KEYS 1000
#define ROUNDS_MAX 99
#define CHUNKS 64

/* What is timed: estate twice, the second time in batches. */
enum way {
	ESTATE,
	ESTATE_BATCH,
	ZMQ,
	REDIS,
	WAYS
};

struct way_kind {
	const struct asker *asker;
	int batch;
	const char *name;
};

static const struct way_kind ways[WAYS] = {
	[ESTATE] = { &asker_estate, 0, "estate" },
	[ESTATE_BATCH] = { &asker_estate, 1, "estate, batches of 16" },
#ifdef HAVE_ZMQ
	[ZMQ] = { &asker_zmq, 0, "ZeroMQ" },
#endif
#ifdef HAVE_REDIS
	[REDIS] = { &asker_redis, 0, "Redis" },
#endif
};

struct work {
	const struct asker *asker;
	size_t keys;
	uint64_t random;
	uint64_t failures;
};

struct result {
	double local[ROUNDS_MAX];
	double ns[WAYS][ROUNDS_MAX];
};

static int is_wrong(const uint64_t totals[COUNTERS])
{
	return totals[0] != group_total(0) || totals[1] != group_total(1);
}

static void ask(void *arg, size_t operations)
{
	struct work *work = arg;

	for (size_t i = 0; i < operations; i++) {
		uint64_t key[KEY_BYTES / 8], totals[COUNTERS];

		workload_key(workload_pick(&work->random, work->keys), key);
		work->failures += work->asker->ask(key, totals) || is_wrong(totals);
	}
}

static void ask_batch(void *arg, size_t operations)
{
	uint64_t keys[BATCH][KEY_BYTES / 8], totals[BATCH][COUNTERS];
	const void *pointers[BATCH];
	struct work *work = arg;

	for (unsigned int i = 0; i < BATCH; i++)
		pointers[i] = keys[i];
	for (size_t done = 0; done < operations; done += BATCH) {
		for (unsigned int i = 0; i < BATCH; i++)
			workload_key(workload_pick(&work->random, work->keys), keys[i]);
		if (work->asker->ask_batch(pointers, totals)) {
			work->failures++;
			continue;
		}
		for (unsigned int i = 0; i < BATCH; i++)
			work->failures += (uint64_t)is_wrong(totals[i]);
	}
}

/* Every key once, so that all pages are mapped. */
static int visit_all(const struct asker *asker, size_t keys)
{
	for (size_t i = 0; i < keys; i++) {
		uint64_t key[KEY_BYTES / 8], totals[COUNTERS];

		workload_key(i, key);
		if (asker->ask(key, totals) || is_wrong(totals)) {
			fprintf(stderr, "%s: a wrong total\n", asker->name);
			return -1;
		}
	}
	return 0;
}

/* ns for one key, or a negative number after a message. */
static double turn(const struct way_kind *way, size_t keys, size_t round)
{
	struct work work = { .asker = way->asker, .keys = keys, .random = round + 1 };
	void (*run)(void *, size_t) = way->batch ? ask_batch : ask;
	double ns;

	if (way->asker->pinned)
		measure_pin(0);
	run(&work, way->asker->chunk * 4);
	ns = measure_ns(run, &work, way->asker->chunk, CHUNKS);
	measure_unpin();
	if (!work.failures)
		return ns;
	fprintf(stderr, "%s: %ju wrong results\n", way->name, (uintmax_t)work.failures);
	return -1;
}

static int measure(struct group *group, const int *there, size_t keys, size_t rounds,
		   struct result *result)
{
	for (size_t round = 0; round < rounds; round++) {
		result->local[round] = group_local_ns(group, keys);
		if (result->local[round] < 0)
			return -1;
		for (int way = 0; way < WAYS; way++) {
			if (!there[way])
				continue;
			result->ns[way][round] = turn(ways + way, keys, round);
			if (result->ns[way][round] < 0)
				return -1;
		}
	}
	return 0;
}

static void show_line(json_t *json, const char *name, const char *other, double *ns, double *ratio,
		      size_t rounds)
{
	struct figure time = measure_figure(ns, rounds);
	struct figure times = measure_figure(ratio, rounds);
	char text[64], ratio_text[64];
	json_t *one = json_pack("{s:o}", "ns", report_figure(time));

	snprintf(ratio_text, sizeof(ratio_text), "%.2f (%.2f-%.2f) %s", times.median, times.least,
		 times.most, other);
	printf("%-24s %24s   %s\n", name, report_text(time, text), *other ? ratio_text : "");
	if (*other)
		json_object_set_new(one, other, report_figure(times));
	json_object_set_new(json, name, one);
}

static json_t *show(const int *there, size_t keys, size_t rounds, struct result *result)
{
	static double ratio[WAYS + 1][ROUNDS_MAX];
	json_t *json = json_object();

	for (size_t round = 0; round < rounds; round++) {
		double local = OWNERS * result->local[round];

		ratio[ESTATE][round] = result->ns[ESTATE][round] / local;
		ratio[ESTATE_BATCH][round] = result->ns[ESTATE_BATCH][round] / local;
		ratio[ZMQ][round] = result->ns[ZMQ][round] / result->ns[ESTATE][round];
		ratio[REDIS][round] = result->ns[REDIS][round] / result->ns[ESTATE][round];
	}
	printf("%zu keys of %u owners, ns for one key\n", keys, OWNERS);
	show_line(json, "local get", "", result->local, ratio[WAYS], rounds);
	for (int way = 0; way < WAYS; way++) {
		if (there[way])
			show_line(json, ways[way].name,
				  way <= ESTATE_BATCH ? "times 4 local gets" : "times estate's",
				  result->ns[way], ratio[way], rounds);
	}
	printf("\n");
	return json;
}

static int open_askers(const struct group *group, int *there)
{
	for (int way = 0; way < WAYS; way++) {
		const struct asker *asker = ways[way].asker;
		int failed;

		if (!asker)
			continue;
		if (ways[way].batch) {
			there[way] = 1;
			continue;
		}
		failed = asker->open(group);
		if (failed < 0)
			return -1;
		there[way] = !failed;
		if (there[way])
			printf("%-10s %s\n", asker->name, asker->how);
	}
	printf("\n");
	return visit_all(&asker_estate, group->entries);
}

static int measure_all(struct group *group, size_t rounds, const char *json)
{
	const size_t key_sets[] = { HOT_KEYS, group->entries };
	static struct result result;
	int there[WAYS] = { 0 };
	json_t *all = json_pack("{s:I, s:I, s:I}", "entries", (json_int_t)group->entries, "owners",
				(json_int_t)OWNERS, "rounds", (json_int_t)rounds);

	if (open_askers(group, there))
		return -1;
	for (size_t i = 0; i < sizeof(key_sets) / sizeof(*key_sets); i++) {
		char name[32];

		if (measure(group, there, key_sets[i], rounds, &result))
			return -1;
		snprintf(name, sizeof(name), "%zu keys", key_sets[i]);
		json_object_set_new(all, name, show(there, key_sets[i], rounds, &result));
	}
	for (int way = 0; way < WAYS; way++) {
		if (there[way] && !ways[way].batch)
			ways[way].asker->close();
	}
	return report_write(json, "global", all);
}

int main(int argc, char **argv)
{
	struct group group = { .entries = 1000000 };
	const char *json = NULL;
	size_t rounds = 9;
	int option, failed;

	while ((option = getopt(argc, argv, "n:r:j:s:")) >= 0) {
		if (option == 'n')
			group.entries = strtoul(optarg, NULL, 10);
		else if (option == 'r')
			rounds = strtoul(optarg, NULL, 10);
		else if (option == 'j')
			json = optarg;
		else if (option == 's')
			group.redis = optarg;
		else
			return 2;
	}
	if (optind < argc || group.entries < HOT_KEYS || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr,
			"usage: %s [-n ENTRIES] [-r ROUNDS] [-j JSON-FILE] [-s REDIS-SOCKET]\n",
			argv[0]);
		return 2;
	}
	if (bench_registry())
		return 1;
	/* The owners first: nothing may be open in a process that forks. */
	failed = group_start(&group);
	if (!failed)
		failed = measure_all(&group, rounds, json);
	group_stop(&group);
	return failed ? 1 : 0;
}
