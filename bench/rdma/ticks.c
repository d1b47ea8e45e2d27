// SPDX-License-Identifier: BSD-3-Clause
#include "ticks.h"

#define CALIBRATION_NS 100000000u

double ticks_per_ns(void)
{
	static double rate;
	uint64_t ns, ticks, passed;

	if (rate > 0)
		return rate;
	ns = measure_now_ns();
	ticks = ticks_now();
	do
		passed = measure_now_ns() - ns;
	while (passed < CALIBRATION_NS);
	rate = (double)(ticks_now() - ticks) / (double)passed;
	return rate;
}
