/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys and values, the same for all. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "driver.h"

#include <stdint.h>

/* splitmix64, by Vigna (public domain): a bijection, so that no two keys are the same. */
static inline uint64_t workload_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline void workload_key(uint64_t number, uint64_t key[KEY_BYTES / 8])
{
	key[0] = workload_mix(number);
	key[1] = number;
}

/* All words of a value tell of each other, so that a mixture of two is noticed. */
static inline void workload_value(uint64_t what, uint64_t value[VALUE_BYTES / 8])
{
	for (unsigned int i = 0; i < VALUE_BYTES / 8; i++)
		value[i] = what + i;
}

static inline int workload_value_torn(const uint64_t value[VALUE_BYTES / 8])
{
	return value[VALUE_BYTES / 8 - 1] - value[0] != VALUE_BYTES / 8 - 1;
}

/* Random numbers, fast: xorshift64*, by Marsaglia and Vigna. */
static inline uint64_t workload_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

/* One of @count, by multiplication (Lemire, 2019). */
static inline uint64_t workload_pick(uint64_t *state, uint64_t count)
{
	return (uint64_t)((unsigned __int128)workload_random(state) * count >> 64);
}

#endif
