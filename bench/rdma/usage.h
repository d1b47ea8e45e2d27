/* SPDX-License-Identifier: BSD-3-Clause */
/* What an owner's CPU did: counters that only grow. */
#ifndef USAGE_H
#define USAGE_H

#include <stdint.h>

struct usage {
	/* Of the threads that are the network function's: the one that answers, and the one that spins. */
	uint64_t nf_cpu_ns;
	uint64_t nf_user_us; /* as the kernel's tick accounts for them: in steps of 10 ms */
	uint64_t nf_kernel_us;
	uint64_t nf_switches;
	uint64_t nf_work; /* turns of the thread that spins */
	/* Of the whole process, its heartbeat and this service included. */
	uint64_t user_us;
	uint64_t kernel_us;
	uint64_t switches;
};

#define USAGE_FIELDS (sizeof(struct usage) / sizeof(uint64_t))

/* @sum += @after - @before */
static inline void usage_add(struct usage *sum, const struct usage *before,
			     const struct usage *after)
{
	for (unsigned int i = 0; i < USAGE_FIELDS; i++)
		((uint64_t *)sum)[i] +=
			((const uint64_t *)after)[i] - ((const uint64_t *)before)[i];
}

#endif
