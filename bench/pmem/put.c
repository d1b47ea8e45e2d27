// SPDX-License-Identifier: BSD-3-Clause
/*
 * Puts that are persistent before they return, beside what the memory itself
 * takes: libpmem's copy of the same bytes, key and value, to random places of a
 * mapping of the same size. All of them once per round.
 */
#include "durable.h"
#include "measure.h"
#include "options.h"
#include "report.h"
#include "instances.h"

#include <libpmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCHED 16
#define CHUNK 1600
#define CHUNKS 150

enum way {
	BARE, /* copy and wait */
	PUT,
	BARE_BATCH, /* BATCHED copies, and wait */
	PUT_BATCH,
	PLAIN, /* a put into a table that nobody keeps */
	WAYS
};

static const struct {
	const char *name;
	int compared; /* with this way; -1: with none */
} ways[WAYS] = {
	[BARE] = { "pmem_memcpy_persist", -1 },
	[PUT] = { "put", BARE },
	[BARE_BATCH] = { "16 pmem_memcpy, 1 pmem_drain", -1 },
	[PUT_BATCH] = { "put_batch of 16", BARE_BATCH },
	[PLAIN] = { "put, not durable", -1 },
};

struct work {
	struct estate_table *table;
	struct bare *bare;
	size_t entries;
	size_t value_bytes;
	uint64_t random;
	uint64_t failures;
	enum way way;
};

/* Where a line begins, so that an entry's bytes are in as few as can be. */
static unsigned char *place(const struct work *work, uint64_t *random)
{
	uint64_t lines = (work->bare->size - KEY_BYTES - VALUE_MOST) / 64;

	return work->bare->memory + workload_pick(random, lines) * 64;
}

static void copy(struct work *work, size_t operations)
{
	const size_t length = KEY_BYTES + work->value_bytes;
	uint64_t bytes[(KEY_BYTES + VALUE_MOST) / 8] = { 0 };
	const int batched = work->way == BARE_BATCH;

	for (size_t i = 0; i < operations; i++) {
		workload_key(workload_pick(&work->random, work->entries), bytes);
		bytes[2] = i;
		if (!batched) {
			pmem_memcpy_persist(place(work, &work->random), bytes, length);
			continue;
		}
		pmem_memcpy(place(work, &work->random), bytes, length, PMEM_F_MEM_NODRAIN);
		if (i % BATCHED == BATCHED - 1)
			pmem_drain();
	}
}

static void put(struct work *work, size_t operations)
{
	uint64_t value[VALUE_MOST / 8] = { 0 };

	for (size_t i = 0; i < operations; i++) {
		uint64_t key[KEY_BYTES / 8];

		workload_key(workload_pick(&work->random, work->entries), key);
		value[0] = i;
		work->failures +=
			!!estate_put(work->table, key, sizeof(key), value, work->value_bytes);
	}
}

static void put_batch(struct work *work, size_t operations)
{
	static unsigned char values[BATCHED * VALUE_MOST];
	uint64_t keys[BATCHED][KEY_BYTES / 8];
	const void *places[BATCHED];
	int status[BATCHED];

	for (unsigned int i = 0; i < BATCHED; i++)
		places[i] = keys[i];
	for (size_t done = 0; done < operations; done += BATCHED) {
		for (unsigned int i = 0; i < BATCHED; i++) {
			workload_key(workload_pick(&work->random, work->entries), keys[i]);
			values[i * work->value_bytes] = (unsigned char)done;
		}
		work->failures += estate_put_batch(work->table, BATCHED, places, KEY_BYTES, values,
						   work->value_bytes, status) != BATCHED;
	}
}

static void run(void *arg, size_t operations)
{
	struct work *work = arg;

	switch (work->way) {
	case BARE:
	case BARE_BATCH:
		copy(work, operations);
		break;
	case PUT_BATCH:
		put_batch(work, operations);
		break;
	default:
		put(work, operations);
		break;
	}
}

static double ns[WAYS][ROUNDS_MAX];
static double ratios[WAYS][ROUNDS_MAX];

static int measure(struct work *works, size_t rounds)
{
	for (size_t round = 0; round < rounds; round++) {
		for (int way = 0; way < WAYS; way++) {
			struct work *work = &works[way];

			run(work, CHUNK * CHUNKS / 8); /* warm up */
			ns[way][round] = measure_ns(run, work, CHUNK, CHUNKS);
			if (!work->failures)
				continue;
			fprintf(stderr, "%s: %s\n", ways[way].name, estate_errormsg());
			return -1;
		}
		for (int way = 0; way < WAYS; way++)
			if (ways[way].compared >= 0)
				ratios[way][round] = ns[way][round] / ns[ways[way].compared][round];
	}
	return 0;
}

static json_t *show(size_t rounds)
{
	json_t *all = json_object();
	char text[64];
	char times[64];

	for (int way = 0; way < WAYS; way++) {
		struct figure time = measure_figure(ns[way], rounds);
		json_t *one = json_pack("{s:o}", "ns", report_figure(time));

		times[0] = 0;
		if (ways[way].compared >= 0) {
			struct figure ratio = measure_figure(ratios[way], rounds);

			durable_ratio(&ratio, times);
			json_object_set_new(one, "times bare", report_figure(ratio));
		}
		printf("  %-30s %22s %22s\n", ways[way].name, report_text(time, text), times);
		json_object_set_new(all, ways[way].name, one);
	}
	return all;
}

/* Two tables in one instance, one of them in a pool, and a mapping as large as a table. */
static json_t *measure_size(const struct options *options, size_t value_bytes)
{
	struct estate_table_attr attr;
	struct estate_table *durable;
	struct estate_table *plain;
	struct work works[WAYS];
	struct estate *es;
	struct bare bare;
	char pool[256];
	json_t *json = NULL;

	snprintf(pool, sizeof(pool), "%s/pool", options->folder);
	unlink(pool);
	durable_attr(&attr, options->entries, value_bytes, ESTATE_DURABILITY_BEFORE_RETURN);
	es = bench_durable("put", pool, estate_table_bytes(&attr) * 2);
	if (!es || bare_open(&bare, options->folder, estate_table_bytes(&attr)))
		exit(1);
	if (estate_table_open(es, "durable", &attr, &durable)) {
		fprintf(stderr, "%s\n", estate_errormsg());
		exit(1);
	}
	attr.durability = ESTATE_DURABILITY_NONE;
	if (estate_table_open(es, "plain", &attr, &plain)) {
		fprintf(stderr, "%s\n", estate_errormsg());
		exit(1);
	}
	if (durable_fill(durable, options->entries, value_bytes, 2) ||
	    durable_fill(plain, options->entries, value_bytes, 2))
		exit(1);
	for (int way = 0; way < WAYS; way++)
		works[way] = (struct work){ .way = (enum way)way,
					    .table = way == PLAIN ? plain : durable,
					    .bare = &bare,
					    .entries = options->entries,
					    .value_bytes = value_bytes,
					    .random = workload_mix((uint64_t)way + 1) };
	printf("%zu entries, keys of %d bytes, values of %zu: ns for one, times bare\n",
	       options->entries, KEY_BYTES, value_bytes);
	if (!measure(works, options->rounds))
		json = show(options->rounds);
	bare_close(&bare);
	estate_close(es);
	unlink(pool);
	return json;
}

int main(int argc, char **argv)
{
	struct options options = { .entries = 1000000, .rounds = 9 };
	char section[64];
	json_t *all;

	options_parse(argc, argv, &options);
	if (bench_registry())
		return 1;
	measure_pin(0);
	all = json_pack("{s:I, s:I}", "entries", (json_int_t)options.entries, "rounds",
			(json_int_t)options.rounds);
	for (size_t bytes = 64; bytes <= VALUE_MOST; bytes *= 4) {
		json_t *one = measure_size(&options, bytes);

		if (!one)
			return 1;
		snprintf(section, sizeof(section), "values of %zu bytes", bytes);
		json_object_set_new(all, section, one);
	}
	snprintf(section, sizeof(section), "put, %zu entries", options.entries);
	return report_write(options.json, section, all) ? 1 : 0;
}
