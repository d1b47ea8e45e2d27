/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner's private half of a bucket, which answers most of a local look-up.
 * Never exposed, never persisted.
 *
 * A tag is two bytes per slot: fourteen bits of the key's hash and a 1 below
 * them, or 0 if the slot is free; and in the top bit which of the slot's two
 * copies is current. Fourteen, since a match that is false is found out only after a cache miss, by a branch
 * that was predicted otherwise. A slot's tag is written by whoever holds the
 * lock of its key's *home* bucket, and is claimed for a new key by
 * compare-and-swap, since the slot may be in another bucket than the key's home.
 *
 * Lock words are an array of their own, so that the tags that gets read are few
 * cache lines.
 */
#ifndef SIDECAR_H
#define SIDECAR_H

#include "layout.h"
#include "shared.h"

#include <sched.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/* A bucket's lock word: SIDECAR_LOCKED, SIDECAR_CHAIN, and the generation above them. */
#define SIDECAR_LOCKED 1u
#define SIDECAR_CHAIN 2u /* the bucket's overflow chain is not empty */
#define SIDECAR_GENERATION 4u /* one deletion of a key whose home this is */

#define TAG_FINGERPRINT 0x7fff
#define TAG_CURRENT 0x8000

/* The tags of the two buckets that a key may be in. */
struct sidecar_tags {
	uint64_t home;
	uint64_t next;
};

static_assert(LAYOUT_SLOTS * sizeof(uint16_t) == sizeof(uint64_t), "a bucket's tags in one load");

/* @tags: of the home bucket, after which there is always one more. */
static inline struct sidecar_tags sidecar_load(const uint16_t *tags)
{
	const uint64_t *buckets = (const uint64_t *)(const void *)tags;

	return (struct sidecar_tags){ .home = __atomic_load_n(buckets, __ATOMIC_ACQUIRE),
				      .next = __atomic_load_n(buckets + 1, __ATOMIC_ACQUIRE) };
}

static inline uint16_t sidecar_fingerprint(uint64_t hash)
{
	return (hash & TAG_FINGERPRINT) | 1;
}

/* One bit for each slot of a bucket whose tag has the fingerprint. */
static inline unsigned int sidecar_match_one(uint64_t tags, uint16_t fingerprint)
{
	uint64_t difference = (tags & 0x7fff7fff7fff7fffull) ^ fingerprint * 0x0001000100010001ull;
	/* Fifteen bits: the addition carries into the top bit unless they are 0. */
	uint64_t equal = ~(difference + 0x7fff7fff7fff7fffull) & 0x8000800080008000ull;

	/* Bits 0, 16, 32 and 48 to bits 60 to 63. */
	return (unsigned int)((equal >> 15) * 0x1000200040008000ull >> 60);
}

/* One bit for each of the eight slots, home's first, whose tag has the fingerprint (0: is free). */
static inline unsigned int sidecar_match(struct sidecar_tags tags, uint16_t fingerprint)
{
#if defined(__x86_64__)
	/* Shifted, without the bit that says which copy is current. */
	__m128i both =
		_mm_slli_epi16(_mm_set_epi64x((long long)tags.next, (long long)tags.home), 1);
	__m128i wanted = _mm_slli_epi16(_mm_set1_epi16((short)fingerprint), 1);
	__m128i equal = _mm_cmpeq_epi16(both, wanted);

	return (unsigned int)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
#else
	return sidecar_match_one(tags.home, fingerprint) | sidecar_match_one(tags.next, fingerprint)
								   << LAYOUT_SLOTS;
#endif
}

/*
 * The first slot of those that sidecar_match() of a hash's fingerprint gives, 0 to 7; negative: none.
 * In as few instructions as can be.
 */
static inline __attribute__((always_inline)) int sidecar_find(const uint16_t *tags, uint64_t hash)
{
#if defined(__x86_64__) && !defined(SHARED_TSAN)
	/* Bit 15 shifted out of all, and so bit 0 of the hash with it: below it, a 1. */
	__m128i both = _mm_slli_epi16(_mm_loadu_si128((const void *)tags), 1);
	__m128i wanted = _mm_set1_epi16((short)(hash * 2 | 2));
	unsigned int equal = (unsigned int)_mm_movemask_epi8(_mm_cmpeq_epi16(both, wanted));

	/* Two bits for each. */
	return equal ? __builtin_ctz(equal) / 2 : -1;
#else
	unsigned int match = sidecar_match(sidecar_load(tags), sidecar_fingerprint(hash));

	return match ? __builtin_ctz(match) : -1;
#endif
}

#define SIDECAR_IN_HOME ((1u << LAYOUT_SLOTS) - 1)

static inline unsigned int sidecar_first(unsigned int match)
{
	return (unsigned int)__builtin_ctz(match);
}

static inline uint16_t tag_load(const uint16_t *tag)
{
	return __atomic_load_n(tag, __ATOMIC_ACQUIRE);
}

/* Which copy is current: 0 or 1. */
static inline unsigned int tag_current(uint32_t tag)
{
	return tag / TAG_CURRENT;
}

/*
 * Whether a copy that was current by @was, and was loaded since, has been published
 * by now: it may have been written anew, twice over, and the tag not yet flipped.
 * Who read that would see an older version next.
 */
static inline int tag_still(const uint16_t *tag, uint32_t was)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(tag, __ATOMIC_RELAXED) == was;
}

static inline void tag_store(uint16_t *tag, uint16_t value)
{
	__atomic_store_n(tag, value, __ATOMIC_RELEASE);
}

/* Claim a free slot: its current copy stays current until a new one is written. */
static inline int tag_claim(uint16_t *tag, uint16_t fingerprint)
{
	uint16_t was = __atomic_load_n(tag, __ATOMIC_RELAXED);

	return !(was & TAG_FINGERPRINT) &&
	       __atomic_compare_exchange_n(tag, &was, was | fingerprint, 0, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static inline void tag_free(uint16_t *tag)
{
	tag_store(tag, tag_load(tag) & TAG_CURRENT);
}

/* Once; the lock word as it was goes to @word, to be given back to sidecar_unlock(). */
static inline int sidecar_try_lock(uint32_t *lock, uint32_t *word)
{
	uint32_t was = __atomic_load_n(lock, __ATOMIC_RELAXED);

	*word = was;
	return likely(!(was & SIDECAR_LOCKED)) &&
	       __atomic_compare_exchange_n(lock, &was, was | SIDECAR_LOCKED, 1, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* Returns the lock word as it was. */
static inline uint32_t sidecar_lock(uint32_t *lock)
{
	for (unsigned int spins = 0;; spins++) {
		uint32_t word;

		if (likely(sidecar_try_lock(lock, &word)))
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
