// SPDX-License-Identifier: BSD-3-Clause
/* Tags: the ways to compare eight of them at once, beside comparing them one by one. */
#include "check.h"
#include "sidecar.h"

#include <stdlib.h>
#include <string.h>

static unsigned int naive(const uint16_t *tags, uint16_t fingerprint)
{
	unsigned int match = 0;

	for (unsigned int i = 0; i < 2 * LAYOUT_SLOTS; i++)
		match |= (unsigned int)((tags[i] & TAG_FINGERPRINT) == fingerprint) << i;
	return match;
}

static void compare(const uint64_t buckets[2], uint16_t fingerprint)
{
	uint16_t tags[2 * LAYOUT_SLOTS];
	struct sidecar_tags loaded;

	memcpy(tags, buckets, sizeof(tags));
	loaded = sidecar_load((const uint16_t *)(const void *)buckets);
	assert_int_equal(sidecar_match(loaded, fingerprint), naive(tags, fingerprint));
	assert_int_equal(sidecar_match_one(buckets[0], fingerprint) |
				 sidecar_match_one(buckets[1], fingerprint) << LAYOUT_SLOTS,
			 naive(tags, fingerprint));
}

static void test_match(void **state)
{
	(void)state;
	srandom(1);
	for (int round = 0; round < 100000; round++) {
		/* Bits above and below those that are in the tag are of no importance. */
		uint64_t hash = (uint64_t)random() << 32 ^ (uint64_t)random();
		uint16_t wanted = sidecar_fingerprint(hash);
		unsigned int match;
		uint64_t buckets[2];
		uint16_t tags[2 * LAYOUT_SLOTS];

		/* Equal ones, free ones, neighbours of both, any; with and without the copy's bit. */
		for (unsigned int i = 0; i < 2 * LAYOUT_SLOTS; i++) {
			const uint16_t kinds[] = { wanted,
						   0,
						   1,
						   (uint16_t)(wanted ^ 1 << random() % 15),
						   TAG_FINGERPRINT,
						   (uint16_t)random() };

			tags[i] = kinds[random() % 6] ^ (random() % 2 ? TAG_CURRENT : 0);
		}
		memcpy(buckets, tags, sizeof(buckets));
		compare(buckets, wanted);
		compare(buckets, 0);
		match = naive(tags, wanted);
		assert_int_equal(sidecar_find((const uint16_t *)(const void *)buckets, hash),
				 match ? (int)sidecar_first(match) : -1);
	}
}

static void test_fingerprint(void **state)
{
	(void)state;
	for (uint64_t hash = 0; hash <= UINT16_MAX; hash++) {
		uint16_t fingerprint = sidecar_fingerprint(hash);

		assert_int_not_equal(fingerprint, 0);
		assert_int_equal(fingerprint & ~TAG_FINGERPRINT, 0);
		assert_int_equal(fingerprint & ~1, hash & TAG_FINGERPRINT & ~1u);
	}
}

static void test_claim(void **state)
{
	uint16_t tag = TAG_CURRENT;

	(void)state;
	assert_true(tag_claim(&tag, 0x1235));
	assert_int_equal(tag, TAG_CURRENT | 0x1235);
	assert_int_equal(tag_current(tag), 1);
	assert_false(tag_claim(&tag, 0x1237));
	tag_free(&tag);
	assert_int_equal(tag, TAG_CURRENT);
}

static void test_try_lock(void **state)
{
	uint32_t lock = SIDECAR_CHAIN;
	uint32_t word;

	(void)state;
	assert_true(sidecar_try_lock(&lock, &word));
	assert_int_equal(word, SIDECAR_CHAIN);
	assert_int_equal(lock, SIDECAR_CHAIN | SIDECAR_LOCKED);
	assert_false(sidecar_try_lock(&lock, &word));
	sidecar_unlock(&lock, SIDECAR_CHAIN);
	assert_int_equal(lock, SIDECAR_CHAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_try_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
