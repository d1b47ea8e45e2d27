// SPDX-License-Identifier: BSD-3-Clause
#include "owner.h"

#include "group.h"
#include "instances.h"
#include "measure.h"
#include "serve_zmq.h"
#include "workload.h"

#include <stdio.h>
#include <unistd.h>

#define CHUNK 8192
#define CHUNKS 64

struct gets {
	struct estate_table *table;
	size_t keys;
	uint64_t random;
	uint64_t failures;
};

static void local_gets(void *arg, size_t operations)
{
	struct gets *gets = arg;

	for (size_t i = 0; i < operations; i++) {
		uint64_t key[KEY_BYTES / 8], value[COUNTERS];

		workload_key(workload_pick(&gets->random, gets->keys), key);
		gets->failures +=
			estate_get(gets->table, key, KEY_BYTES, value, sizeof(value), NULL) ||
			value[0] != group_count(0, 0);
	}
}

static double local_ns(struct estate_table *table, size_t keys)
{
	struct gets gets = { .table = table, .keys = keys, .random = 1 };
	double ns;

	measure_pin(0);
	local_gets(&gets, CHUNK * CHUNKS);
	ns = measure_ns(local_gets, &gets, CHUNK, CHUNKS);
	measure_unpin();
	return gets.failures ? -1 : ns;
}

static int fill(struct estate_table *table, unsigned int number, size_t entries)
{
	const uint64_t counts[COUNTERS] = { group_count(number, 0), group_count(number, 1) };

	for (size_t i = 0; i < entries; i++) {
		uint64_t key[KEY_BYTES / 8];

		workload_key(i, key);
		if (estate_put(table, key, KEY_BYTES, counts, sizeof(counts)))
			return -1;
	}
	return 0;
}

int owner_run(unsigned int number, size_t entries, int commands, int answers)
{
	char endpoint[ENDPOINT_MAX] = "";
	struct estate_table_attr attr;
	struct owner_command command;
	struct estate_table *table;
	struct estate *estate;

	bench_attributes(&attr, entries, DRIVER_COUNTERS);
	estate = bench_instance("owner", &attr);
	if (!estate)
		return 1;
	if (estate_table_open(estate, "bench", &attr, &table) || fill(table, number, entries)) {
		fprintf(stderr, "%s\n", estate_errormsg());
		return 1;
	}
	if (serve_zmq(table, endpoint))
		return 1;
	if (write(answers, endpoint, sizeof(endpoint)) != sizeof(endpoint))
		return 1;
	while (read(commands, &command, sizeof(command)) == sizeof(command)) {
		double ns = local_ns(table, command.keys);

		if (write(answers, &ns, sizeof(ns)) != sizeof(ns))
			return 1;
	}
	return estate_close(estate) ? 1 : 0;
}
