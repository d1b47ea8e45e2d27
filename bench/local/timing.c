// SPDX-License-Identifier: BSD-3-Clause
#include "timing.h"

#include "measure.h"
#include "workload.h"

#include <stdio.h>

#define CHUNK 4096
#define CHUNKS 32
#define WARM_UP (CHUNK * 8)

static void get(void *arg, size_t operations)
{
	struct timing *timing = arg;

	for (size_t i = 0; i < operations; i++) {
		uint64_t key[KEY_BYTES / 8], value[VALUE_BYTES / 8];
		uint64_t number = timing->first + workload_pick(&timing->random, timing->count);
		int found;

		workload_key(number, key);
		found = !timing->driver->get(timing->table, key, value);
		timing->failures += found != timing->present || (found && value[0] != number);
	}
}

static void get_batch(void *arg, size_t operations)
{
	uint64_t keys[BATCH][KEY_BYTES / 8], values[BATCH][VALUE_BYTES / 8];
	const void *pointers[BATCH];
	struct timing *timing = arg;

	for (unsigned int i = 0; i < BATCH; i++)
		pointers[i] = keys[i];
	for (size_t done = 0; done < operations; done += BATCH) {
		unsigned int found;

		for (unsigned int i = 0; i < BATCH; i++)
			workload_key(timing->first + workload_pick(&timing->random, timing->count),
				     keys[i]);
		found = timing->driver->get_batch(timing->table, pointers, values);
		timing->failures += timing->present ? BATCH - found : found;
	}
}

static double time_it(struct timing *timing, void (*run)(void *, size_t))
{
	double ns;

	run(timing, WARM_UP);
	ns = measure_ns(run, timing, CHUNK, CHUNKS);
	if (!timing->failures)
		return ns;
	fprintf(stderr, "%s: %ju wrong results\n", timing->driver->name,
		(uintmax_t)timing->failures);
	return -1;
}

double timing_get(struct timing *timing)
{
	return time_it(timing, get);
}

double timing_get_batch(struct timing *timing)
{
	return time_it(timing, get_batch);
}

int timing_fill(const struct driver *driver, void *table, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		uint64_t key[KEY_BYTES / 8], value[VALUE_BYTES / 8];

		workload_key(i, key);
		workload_value(i, value);
		if (driver->put(table, key, value)) {
			fprintf(stderr, "%s: no room for key %ju\n", driver->name, (uintmax_t)i);
			return -1;
		}
	}
	return 0;
}
