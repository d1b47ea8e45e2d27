// SPDX-License-Identifier: BSD-3-Clause
#include "clock.h"

#include <time.h>

uint64_t clock_physical(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000)
	       << CLOCK_COUNTER_BITS;
}

void clock_raise(struct clock *clock, uint64_t stamp)
{
	uint64_t now = __atomic_load_n(&clock->now, __ATOMIC_RELAXED);

	while (now < stamp && !__atomic_compare_exchange_n(&clock->now, &now, stamp, 1,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void clock_tick(struct clock *clock)
{
	clock_raise(clock, clock_physical());
}

void clock_observe_later(struct clock *clock, uint64_t stamp)
{
	if (stamp > clock_physical() + (CLOCK_AHEAD_MAX_US << CLOCK_COUNTER_BITS))
		return;
	clock_raise(clock, stamp);
}

uint64_t clock_monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
