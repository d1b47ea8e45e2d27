// SPDX-License-Identifier: BSD-3-Clause
#include "measure.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNKS_MAX 4096

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figure measure_figure(double *values, size_t count)
{
	struct figure figure;

	qsort(values, count, sizeof(*values), by_size);
	figure.least = values[0];
	figure.most = values[count - 1];
	figure.median =
		count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
	return figure;
}

/* What the process was started with. */
static cpu_set_t allowed;
static pthread_once_t allowed_once = PTHREAD_ONCE_INIT;

static void find_allowed(void)
{
	sched_getaffinity(0, sizeof(allowed), &allowed);
}

void measure_pin(unsigned int number)
{
	unsigned int count, seen = 0;
	cpu_set_t one;

	pthread_once(&allowed_once, find_allowed);
	count = (unsigned int)CPU_COUNT(&allowed);
	if (!count)
		return;
	number %= count;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || seen++ != number)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
		return;
	}
}

void measure_unpin(void)
{
	pthread_once(&allowed_once, find_allowed);
	pthread_setaffinity_np(pthread_self(), sizeof(allowed), &allowed);
}

int measure_memory(struct measure_memory *memory)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	size_t kib;

	if (!file)
		return -1;
	memory->bytes = 0;
	memory->huge = 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Rss: %zu kB", &kib) == 1)
			memory->bytes = kib * 1024;
		else if (sscanf(line, "AnonHugePages: %zu kB", &kib) == 1 ||
			 sscanf(line, "ShmemPmdMapped: %zu kB", &kib) == 1)
			memory->huge += kib * 1024;
	}
	fclose(file);
	return 0;
}

double measure_prepared_ns(void (*prepare)(void *arg, size_t operations),
			   void (*run)(void *arg, size_t operations), void *arg, size_t operations,
			   size_t chunks)
{
	double times[CHUNKS_MAX];

	if (!chunks)
		return 0;
	if (chunks > CHUNKS_MAX)
		chunks = CHUNKS_MAX;
	for (size_t i = 0; i < chunks; i++) {
		uint64_t start;

		if (prepare)
			prepare(arg, operations);
		start = measure_now_ns();
		run(arg, operations);
		times[i] = (double)(measure_now_ns() - start) / (double)operations;
	}
	return measure_figure(times, chunks).median;
}

double measure_ns(void (*run)(void *arg, size_t operations), void *arg, size_t operations,
		  size_t chunks)
{
	return measure_prepared_ns(NULL, run, arg, operations, chunks);
}
