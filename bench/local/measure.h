/* SPDX-License-Identifier: BSD-3-Clause */
/* Clocks, cores and medians. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t measure_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Of the values of all rounds. */
struct figure {
	double median;
	double least;
	double most;
};

/* Sorts @values. */
struct figure measure_figure(double *values, size_t count);

/* Keep this thread on the @number-th of the cores that the process may use, as far as there are. */
void measure_pin(unsigned int number);

/* Anywhere again. */
void measure_unpin(void);

/* What the process has in memory, from the kernel's books. */
struct measure_memory {
	size_t bytes;
	size_t huge; /* of which on huge pages */
};

int measure_memory(struct measure_memory *memory);

/*
 * The time of one operation: @run makes @operations of them, @chunks times, and
 * the median of these counts, which a preemption in one of them does not change.
 */
double measure_ns(void (*run)(void *arg, size_t operations), void *arg, size_t operations,
		  size_t chunks);

/* The same, with something to be done before each chunk that is not to be timed. */
double measure_prepared_ns(void (*prepare)(void *arg, size_t operations),
			   void (*run)(void *arg, size_t operations), void *arg, size_t operations,
			   size_t chunks);

#endif
