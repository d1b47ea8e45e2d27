// SPDX-License-Identifier: BSD-3-Clause
#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

unsigned int parallel_threads(uint64_t units, uint64_t least)
{
	cpu_set_t cpus;
	unsigned int threads = 1;

	if (units < 2 * least)
		return 1;
	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		threads = (unsigned int)CPU_COUNT(&cpus);
	if (threads > PARALLEL_MAX)
		threads = PARALLEL_MAX;
	if (threads > units / least)
		threads = (unsigned int)(units / least);
	return threads;
}

void parallel_run(void *(*run)(void *part), void *parts, size_t size, unsigned int count)
{
	pthread_t threads[PARALLEL_MAX];
	int started[PARALLEL_MAX] = { 0 };
	sigset_t all;
	sigset_t before;

	if (count == 1) {
		run(parts);
		return;
	}
	/* A signal is for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned int i = 1; i < count; i++)
		started[i] = !pthread_create(&threads[i], NULL, run, (char *)parts + i * size);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	run(parts);
	for (unsigned int i = 1; i < count; i++) {
		if (started[i])
			pthread_join(threads[i], NULL);
		else
			run((char *)parts + i * size);
	}
}
