/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words that one side writes while another reads. Relaxed atomics compile to
 * plain moves and say that the race is meant; what makes it safe is the CRC.
 */
#ifndef SHARED_H
#define SHARED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define SHARED_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARED_TSAN 1
#endif
#endif

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

static inline uint64_t shared_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void shared_store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline uint32_t shared_load32(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void shared_store32(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void shared_load_words(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to[i] = shared_load(from + i);
}

/*
 * Large values: from and to shared memory, 8-byte aligned there. memcpy() is as
 * good as words are, since a CRC decides; only ThreadSanitizer cannot know that.
 */
static inline void shared_copy_from(void *to, const void *from, size_t length)
{
#ifdef SHARED_TSAN
	for (size_t i = 0; i < length / 8; i++) {
		uint64_t word = shared_load((const uint64_t *)from + i);

		memcpy((unsigned char *)to + i * 8, &word, 8);
	}
	for (size_t i = length / 8 * 8; i < length; i++)
		((unsigned char *)to)[i] =
			__atomic_load_n((const unsigned char *)from + i, __ATOMIC_RELAXED);
#else
	memcpy(to, from, length);
#endif
}

static inline void shared_copy_to(void *to, const void *from, size_t length)
{
#ifdef SHARED_TSAN
	for (size_t i = 0; i < length / 8; i++) {
		uint64_t word;

		memcpy(&word, (const unsigned char *)from + i * 8, 8);
		shared_store((uint64_t *)to + i, word);
	}
	for (size_t i = length / 8 * 8; i < length; i++)
		__atomic_store_n((unsigned char *)to + i, ((const unsigned char *)from)[i],
				 __ATOMIC_RELAXED);
#else
	memcpy(to, from, length);
#endif
}

/* Two words at a time, in vector registers: those of integers are what look-ups run out of. */
typedef uint64_t shared_pair __attribute__((vector_size(16), aligned(8), may_alias));

/* A few words, a constant number, from shared memory. To be followed by SHARED_COPIED(). */
static inline __attribute__((always_inline)) void shared_copy_few(void *to, const void *from,
								  size_t words)
{
	size_t i = 0;

#ifndef SHARED_TSAN
#pragma GCC unroll 8
	for (; i + 2 <= words; i += 2)
		*(shared_pair *)((uint64_t *)to + i) =
			*(const shared_pair *)((const uint64_t *)from + i);
#endif
#pragma GCC unroll 8
	for (; i < words; i++)
		((uint64_t *)to)[i] = shared_load((const uint64_t *)from + i);
}

/* The same to shared memory. */
static inline __attribute__((always_inline)) void shared_store_few(void *to, const void *from,
								   size_t words)
{
	size_t i = 0;

#ifndef SHARED_TSAN
#pragma GCC unroll 8
	for (; i + 2 <= words; i += 2)
		*(shared_pair *)((uint64_t *)to + i) =
			*(const shared_pair *)((const uint64_t *)from + i);
#endif
#pragma GCC unroll 8
	for (; i < words; i++)
		shared_store((uint64_t *)to + i, ((const uint64_t *)from)[i]);
}

/* What is checked and used from here on is the copy in @object: nothing is loaded anew. */
#define SHARED_COPIED(object) __asm__ volatile("" : "+m"(object))

/* The same for a pair in a register. */
#if defined(__x86_64__)
#define SHARED_HELD(pair) __asm__("" : "+x"(pair))
#else
#define SHARED_HELD(pair) __asm__("" : "+m"(pair))
#endif

static inline void shared_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
