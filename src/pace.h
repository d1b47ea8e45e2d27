/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CLOCK_MONOTONIC for one thread that asks often: reckoned from the CPU's own
 * counter, and looked up once a millisecond. Where clock_gettime(2) is a system
 * call (virtual machines without a clock of their own, sandboxes), asking for the
 * time would otherwise take a good part of a READ's.
 */
#ifndef PACE_H
#define PACE_H

#include "shared.h"

#include <stdint.h>

struct pace {
	uint64_t ticks; /* of the counter, when it was */
	uint64_t us;
	uint64_t span; /* ticks for which this is good */
	uint64_t scale; /* microseconds in a tick, times 2^32 */
};

/* Whatever it counts, and whether or not it is the same on all CPUs: it is checked. */
static inline uint64_t pace_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#endif
}

/* The clock says what it is now, at @ticks. */
uint64_t pace_look(struct pace *pace, uint64_t ticks);

/* Microseconds, at most one millisecond off if the counter is not what it seems. */
static inline uint64_t pace_us(struct pace *pace)
{
	uint64_t ticks = pace_ticks();
	uint64_t passed = ticks - pace->ticks;

	if (likely(passed < pace->span))
		return pace->us + (passed * pace->scale >> 32);
	return pace_look(pace, ticks);
}

#endif
