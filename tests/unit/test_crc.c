// SPDX-License-Identifier: BSD-3-Clause
/* CRC32C: the one of the standard, and the same by whichever way it is computed. */
#include "check.h"
#include "crc.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST 4100

/* As RFC 3720 has it: inverted at both ends. */
static uint32_t standard(const void *data, size_t length)
{
	return ~crc_bytes(~0u, data, length);
}

/* Bit by bit; 0x82f63b78 is Castagnoli's polynomial, reflected. */
static uint32_t naive(uint32_t crc, const unsigned char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* RFC 3720, appendix B.4. */
static void test_vectors(void **state)
{
	static const unsigned char read_pdu[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
		0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	unsigned char bytes[32];

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(standard(bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(standard(bytes, 32), 0x62a8ab43);
	for (unsigned char i = 0; i < 32; i++)
		bytes[i] = i;
	assert_int_equal(standard(bytes, 32), 0x46dd794e);
	for (unsigned char i = 0; i < 32; i++)
		bytes[i] = (unsigned char)(31 - i);
	assert_int_equal(standard(bytes, 32), 0x113fdb5c);
	assert_int_equal(standard(read_pdu, sizeof(read_pdu)), 0xd9963a56);
	assert_int_equal(standard("123456789", 9), 0xe3069283);
	assert_int_equal(crc_bytes(0x12345678, bytes, 0), 0x12345678);
}

static void fill(unsigned char *bytes, size_t length)
{
	unsigned int seed = 1;

	for (size_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)(rand_r(&seed) >> 3);
}

/* All lengths up to where the fast ways begin, at all alignments. */
static void test_lengths(void **state)
{
	static unsigned char bytes[LONGEST + 16];

	(void)state;
	fill(bytes, sizeof(bytes));
	for (size_t at = 0; at < 16; at++) {
		uint32_t expected = 0xdeadbeef;

		for (size_t length = 0; length <= LONGEST; length++) {
			assert_int_equal(crc_bytes(0xdeadbeef, bytes + at, length), expected);
			expected = naive(expected, bytes + at + length, 1);
		}
	}
}

/* Word by word is the same as all at once; and any part can be either. */
static void test_words(void **state)
{
	static unsigned char bytes[512];

	(void)state;
	fill(bytes, sizeof(bytes));
	for (size_t words = 0; words <= sizeof(bytes) / 8; words++) {
		uint32_t crc = 0x01020304;

		for (size_t i = 0; i < words; i++) {
			uint64_t word;

			memcpy(&word, bytes + i * 8, 8);
			crc = crc_word(crc, word);
		}
		assert_int_equal(crc, crc_bytes(0x01020304, bytes, words * 8));
	}
	for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
		uint32_t first = crc_bytes(~0u, bytes, cut);

		assert_int_equal(crc_bytes(first, bytes + cut, sizeof(bytes) - cut),
				 naive(~0u, bytes, sizeof(bytes)));
		if (cut + 8 <= sizeof(bytes)) {
			uint64_t word;

			memcpy(&word, bytes + cut, 8);
			assert_int_equal(crc_bytes(crc_word(first, word), bytes + cut + 8,
						   sizeof(bytes) - cut - 8),
					 naive(~0u, bytes, sizeof(bytes)));
		}
	}
}

static void test_supported(void **state)
{
	(void)state;
	/* Or the tests before this one would have ended otherwise. */
	assert_true(crc_supported());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_supported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
