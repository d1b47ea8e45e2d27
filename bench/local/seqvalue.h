/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A value under a sequence lock, for the tables that leave the values to their
 * user: the least that keeps a reader from seeing half of a put. Writers
 * exclude each other by the same word, as two threads may write one key.
 */
#ifndef SEQVALUE_H
#define SEQVALUE_H

#include "driver.h"

#include <stdint.h>

#define SEQVALUE_WORDS (VALUE_BYTES / 8)

struct seqvalue {
	uint64_t sequence; /* odd: being written */
	uint64_t words[SEQVALUE_WORDS];
};

static inline void seqvalue_read(const struct seqvalue *from, uint64_t *to, size_t words)
{
	uint64_t before, after;

	do {
		before = __atomic_load_n(&from->sequence, __ATOMIC_ACQUIRE);
		for (size_t i = 0; i < words; i++)
			to[i] = __atomic_load_n(from->words + i, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&from->sequence, __ATOMIC_RELAXED);
	} while (before != after || (before & 1));
}

static inline uint64_t seqvalue_lock(struct seqvalue *value)
{
	uint64_t sequence = __atomic_load_n(&value->sequence, __ATOMIC_RELAXED);

	while ((sequence & 1) ||
	       !__atomic_compare_exchange_n(&value->sequence, &sequence, sequence + 1, 1,
					    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		sequence = __atomic_load_n(&value->sequence, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return sequence;
}

static inline void seqvalue_unlock(struct seqvalue *value, uint64_t sequence)
{
	__atomic_store_n(&value->sequence, sequence + 2, __ATOMIC_RELEASE);
}

static inline void seqvalue_write(struct seqvalue *to, const uint64_t *from, size_t words)
{
	uint64_t sequence = seqvalue_lock(to);

	for (size_t i = 0; i < words; i++)
		__atomic_store_n(to->words + i, from[i], __ATOMIC_RELAXED);
	seqvalue_unlock(to, sequence);
}

static inline void seqvalue_add(struct seqvalue *to, const uint64_t *deltas, size_t words)
{
	uint64_t sequence = seqvalue_lock(to);

	for (size_t i = 0; i < words; i++)
		__atomic_store_n(to->words + i,
				 __atomic_load_n(to->words + i, __ATOMIC_RELAXED) + deltas[i],
				 __ATOMIC_RELAXED);
	seqvalue_unlock(to, sequence);
}

#endif
