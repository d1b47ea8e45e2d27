/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner's private half of a bucket: eight bytes that answer most of a local
 * look-up. Never exposed, never persisted.
 *
 * A tag is one byte per slot: seven bits of the key's hash, 0 if the slot is
 * free, and in the top bit which of the slot's two copies is current.
 * A slot's tag is written by whoever holds the lock of its key's *home* bucket,
 * and is claimed for a new key by compare-and-swap, since the slot may be in
 * another bucket than the key's home.
 */
#ifndef SIDECAR_H
#define SIDECAR_H

#include "layout.h"
#include "shared.h"

#include <sched.h>
#include <stdint.h>

struct sidecar_group {
	uint8_t tags[LAYOUT_SLOTS];
	uint32_t lock; /* SIDECAR_LOCKED, SIDECAR_CHAIN, and the generation above them */
} __attribute__((aligned(8)));

#define SIDECAR_LOCKED 1u
#define SIDECAR_CHAIN 2u /* the bucket's overflow chain is not empty */
#define SIDECAR_GENERATION 4u /* one deletion of a key whose home this is */

#define TAG_FINGERPRINT 0x7f
#define TAG_CURRENT 0x80

/* Tags and lock in one load. */
static inline uint64_t sidecar_load(const struct sidecar_group *group)
{
	return __atomic_load_n((const uint64_t *)group, __ATOMIC_ACQUIRE);
}

#define SIDECAR_TAGS(loaded) ((loaded)&UINT32_MAX)
#define SIDECAR_LOCK(loaded) ((uint32_t)((loaded) >> 32))

static inline uint8_t sidecar_fingerprint(uint64_t hash)
{
	uint8_t low = hash & TAG_FINGERPRINT;

	return low ? low : TAG_FINGERPRINT;
}

/* The top bit of each byte of @tags that has the fingerprint (0: that is free). */
static inline uint64_t sidecar_match(uint64_t tags, uint8_t fingerprint)
{
	uint64_t difference = (tags & 0x7f7f7f7f7f7f7f7full) ^ fingerprint * 0x0101010101010101ull;

	/* Seven-bit bytes: the addition carries into the top bit unless the byte is 0. */
	return ~(difference + 0x7f7f7f7f7f7f7f7full) & 0x8080808080808080ull;
}

static inline unsigned int sidecar_first(uint64_t match)
{
	return (unsigned int)__builtin_ctzll(match) / 8;
}

static inline uint8_t tag_load(const uint8_t *tag)
{
	return __atomic_load_n(tag, __ATOMIC_ACQUIRE);
}

static inline void tag_store(uint8_t *tag, uint8_t value)
{
	__atomic_store_n(tag, value, __ATOMIC_RELEASE);
}

/* Claim a free slot: its current copy stays current until a new one is written. */
static inline int tag_claim(uint8_t *tag, uint8_t fingerprint)
{
	uint8_t was = __atomic_load_n(tag, __ATOMIC_RELAXED);

	return !(was & TAG_FINGERPRINT) &&
	       __atomic_compare_exchange_n(tag, &was, was | fingerprint, 0, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static inline void tag_free(uint8_t *tag)
{
	tag_store(tag, tag_load(tag) & TAG_CURRENT);
}

/* Returns the lock word as it was, to be given back to sidecar_unlock(). */
static inline uint32_t sidecar_lock(uint32_t *lock)
{
	for (unsigned int spins = 0;; spins++) {
		uint32_t word = __atomic_load_n(lock, __ATOMIC_RELAXED);

		if (likely(!(word & SIDECAR_LOCKED)) &&
		    __atomic_compare_exchange_n(lock, &word, word | SIDECAR_LOCKED, 1,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return word;
		/* The holder may have been preempted: on a busy core, let it run. */
		if (spins % 64 == 63)
			sched_yield();
		else
			shared_pause();
	}
}

static inline void sidecar_unlock(uint32_t *lock, uint32_t word)
{
	__atomic_store_n(lock, word, __ATOMIC_RELEASE);
}

#endif
