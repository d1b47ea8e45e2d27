/* SPDX-License-Identifier: BSD-3-Clause */
/* Time that only goes forward. */
#ifndef MONITOR_CLOCK_H
#define MONITOR_CLOCK_H

#include <stdint.h>
#include <time.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

/* Nanoseconds since some moment. */
static inline uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Returns early when a signal comes. */
static inline void clock_sleep(uint64_t nanoseconds)
{
	struct timespec time = { .tv_sec = (time_t)(nanoseconds / SECOND),
				 .tv_nsec = (long)(nanoseconds % SECOND) };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

#endif
