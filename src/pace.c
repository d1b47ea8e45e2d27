// SPDX-License-Identifier: BSD-3-Clause
#include "pace.h"

#include "clock.h"

#define SPAN_US 1000

uint64_t pace_look(struct pace *pace, uint64_t ticks)
{
	uint64_t now = clock_monotonic_us();
	uint64_t passed = ticks - pace->ticks;
	uint64_t passed_us = now - pace->us;

	pace->span = 0;
	/* Too short a time to tell the counter's rate from: go on from where it was. */
	if (pace->us && passed_us < SPAN_US)
		return now;
	if (pace->us && passed_us < UINT32_MAX && passed < UINT64_MAX / SPAN_US) {
		pace->scale = (passed_us << 32) / (passed + 1);
		pace->span = passed * SPAN_US / passed_us;
	}
	pace->ticks = ticks;
	pace->us = now;
	return now;
}
