/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CRC32C (RFC 3720, appendix B.4), without the inversions at both ends, so that
 * it can be chained: the check on everything that a reader takes from memory
 * which somebody else is writing.
 */
#ifndef CRC_H
#define CRC_H

#include <stddef.h>
#include <stdint.h>

/* @crc and the result are of 32 bits: wider, as the instruction's register is. */
#if defined(__x86_64__)
#include <nmmintrin.h>

static inline uint64_t crc_word(uint64_t crc, uint64_t word)
{
	return _mm_crc32_u64(crc, word);
}
#elif defined(__aarch64__)
#include <arm_acle.h>

static inline uint64_t crc_word(uint64_t crc, uint64_t word)
{
	return __crc32cd((uint32_t)crc, word);
}
#endif

/* Of any length; for long ones several times as fast as word by word. */
uint32_t crc_bytes(uint32_t crc, const void *data, size_t length);

/* Whether this CPU has the instruction that crc_word() is. */
int crc_supported(void);

#endif
