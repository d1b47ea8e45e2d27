/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time by the CPU's own counter. clock_gettime(2) is a system call on User Mode
 * Linux, which takes longer than half a READ.
 */
#ifndef TICKS_H
#define TICKS_H

#include "measure.h"

#include <stdint.h>

static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
	uint32_t low, high;

	/* Nothing of what is timed may begin before, or be left for later. */
	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
	return ticks;
#else
	return measure_now_ns();
#endif
}

/* How many there are in a nanosecond; measured at the first call, for a tenth of a second. */
double ticks_per_ns(void);

#endif
