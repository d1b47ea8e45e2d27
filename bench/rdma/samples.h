/* SPDX-License-Identifier: BSD-3-Clause */
/* Every single time that was measured: percentiles are exact. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stddef.h>
#include <stdint.h>

struct samples {
	uint64_t *ticks;
	size_t count;
	size_t room;
	int sorted;
};

/* Ends the program if there is no memory. */
void samples_reserve(struct samples *samples, size_t more);

static inline void samples_add(struct samples *samples, uint64_t ticks)
{
	if (__builtin_expect(samples->count == samples->room, 0))
		samples_reserve(samples, samples->count + 1024);
	samples->ticks[samples->count++] = ticks;
	samples->sorted = 0;
}

/* All of @from, too. */
void samples_join(struct samples *samples, const struct samples *from);

/* The time that the share @part of the samples did not exceed, in ns. */
double samples_ns(struct samples *samples, double part);
void samples_free(struct samples *samples);

#endif
