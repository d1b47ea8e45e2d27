// SPDX-License-Identifier: BSD-3-Clause
/* One copy of an entry: what was written is read, and nothing else is ever taken for it. */
#include "check.h"
#include "entry.h"

#include <estate/error.h>

#include <stdlib.h>
#include <string.h>

#define SALT 0x12345678u
#define SLOT 77u
#define STAMP 0x0123456789abcdefull
/* A copy of the longest key and the longest inline value. */
#define WORDS ((sizeof(struct layout_copy) + ESTATE_KEY_MAX + GEOMETRY_INLINE_MAX) / 8)

struct place {
	uint64_t words[WORDS];
};

static struct layout_copy *copy_of(struct place *place)
{
	return (struct layout_copy *)place->words;
}

static struct geometry opaque(size_t key_size, size_t value_size)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct geometry geometry;

	attr.key_size = key_size;
	attr.value_count = value_size;
	attr.capacity = 100;
	attr.seed = 99;
	assert_ok(geometry_init(&geometry, &attr));
	return geometry;
}

static void make_key(const struct geometry *geometry, struct entry_key *key, const void *bytes,
		     size_t length)
{
	entry_key_init(key, geometry, SALT, bytes, length, geometry->key_room / 8);
}

static void store(const struct geometry *geometry, struct place *place, uint32_t slot,
		  const struct entry_key *key, uint64_t stamp, const void *value, size_t length,
		  unsigned int flags)
{
	uint64_t words[GEOMETRY_INLINE_MAX / 8] = { 0 };

	if (length)
		memcpy(words, value, length);
	entry_store(copy_of(place), slot, key->words, key->crc, stamp,
		    META(key->length, length, flags), words, geometry->key_room / 8);
}

static enum entry_state match(const struct geometry *geometry, const struct place *place,
			      const struct entry_key *key, uint32_t slot, uint64_t *stamp,
			      uint32_t *meta, uint64_t *value)
{
	return entry_match(geometry, key, slot, (const struct layout_copy *)place->words, stamp,
			   meta, value, geometry->key_room / 8);
}

static void fill(unsigned char *bytes, size_t length, unsigned int seed)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)rand_r(&seed);
}

/* All lengths of keys and values, in tables of all sizes of them. */
static void test_round_trip(void **state)
{
	static const size_t key_sizes[] = { 1, 4, 7, 8, 9, 13, 15, 16, 17, 24, 40, 100, 255, 256 };
	static const size_t value_sizes[] = { 1, 7, 8, 9, 64, 255, 256 };
	unsigned char key_bytes[ESTATE_KEY_MAX];
	unsigned char value_bytes[GEOMETRY_INLINE_MAX];

	(void)state;
	fill(key_bytes, sizeof(key_bytes), 1);
	fill(value_bytes, sizeof(value_bytes), 2);
	for (size_t k = 0; k < sizeof(key_sizes) / sizeof(key_sizes[0]); k++) {
		for (size_t v = 0; v < sizeof(value_sizes) / sizeof(value_sizes[0]); v++) {
			struct geometry geometry = opaque(key_sizes[k], value_sizes[v]);

			for (size_t length = 1; length <= key_sizes[k]; length++) {
				size_t value_length = length % (value_sizes[v] + 1);
				struct place place;
				struct entry_key key;
				struct entry_copy out;
				uint64_t stamp;
				uint64_t value[GEOMETRY_INLINE_MAX / 8];
				uint32_t meta;

				/* What was there before must not matter. */
				memset(&place, 0xa5, sizeof(place));
				make_key(&geometry, &key, key_bytes, length);
				assert_int_equal(key.length, length);
				store(&geometry, &place, SLOT, &key, STAMP, value_bytes,
				      value_length, META_LIVE);
				assert_int_equal(
					entry_load(&geometry, SALT, SLOT, copy_of(&place), &out),
					ENTRY_LIVE);
				assert_int_equal(META_KEY_LENGTH(out.meta), length);
				assert_int_equal(META_INLINE_LENGTH(out.meta), value_length);
				assert_int_equal(out.stamp, STAMP);
				assert_memory_equal(out.key, key_bytes, length);
				assert_memory_equal(out.key, key.words, geometry.key_room);
				assert_memory_equal(out.value, value_bytes, value_length);
				assert_int_equal(
					match(&geometry, &place, &key, SLOT, &stamp, &meta, value),
					ENTRY_LIVE);
				assert_int_equal(stamp, STAMP);
				assert_int_equal(meta, out.meta);
				assert_memory_equal(value, value_bytes, value_length);

				store(&geometry, &place, SLOT, &key, STAMP + 1, NULL, 0, 0);
				assert_int_equal(
					entry_load(&geometry, SALT, SLOT, copy_of(&place), &out),
					ENTRY_DELETED);
				assert_int_equal(
					match(&geometry, &place, &key, SLOT, &stamp, &meta, value),
					ENTRY_DELETED);
			}
		}
	}
}

/* A key is made ready the same way, wherever its bytes are, and nothing beyond them is read. */
static void test_keys(void **state)
{
	struct geometry geometry = opaque(64, 8);
	unsigned char bytes[64];

	(void)state;
	fill(bytes, sizeof(bytes), 3);
	for (size_t length = 1; length <= 64; length++) {
		struct entry_key expected;
		uint32_t crc;

		make_key(&geometry, &expected, bytes, length);
		for (size_t i = 0; i < geometry.key_room; i++)
			assert_int_equal(((unsigned char *)expected.words)[i],
					 i < length ? bytes[i] : 0);
		assert_true(expected.hash == entry_hash(&geometry, bytes, length));
		crc = crc_bytes(SALT, expected.words, geometry.key_room);
		assert_int_equal(expected.crc, crc);
		for (size_t at = 0; at < 8; at++) {
			/* Of its exact size, so that a sanitizer sees a read beyond it. */
			unsigned char *moved = malloc(at + length);
			struct entry_key key;

			memcpy(moved + at, bytes, length);
			make_key(&geometry, &key, moved + at, length);
			assert_memory_equal(key.words, expected.words, geometry.key_room);
			assert_true(key.hash == expected.hash);
			assert_int_equal(key.crc, expected.crc);
			assert_int_equal(key.length, length);
			free(moved);
		}
		/* The salt of another instance's table. */
		{
			struct entry_key key = expected;

			entry_key_salt(&key, ~SALT, geometry.key_room / 8);
			assert_int_not_equal(key.crc, expected.crc);
			entry_key_salt(&key, SALT, geometry.key_room / 8);
			assert_int_equal(key.crc, expected.crc);
		}
	}
}

static void test_flipped_bits(void **state)
{
	static const size_t key_sizes[] = { 8, 13, 16, 40 };
	static const size_t value_sizes[] = { 1, 16, 41, 256 };
	unsigned char key_bytes[40];
	unsigned char value_bytes[256];

	(void)state;
	fill(key_bytes, sizeof(key_bytes), 4);
	fill(value_bytes, sizeof(value_bytes), 5);
	for (int k = 0; k < 4; k++) {
		for (int v = 0; v < 4; v++) {
			struct geometry geometry = opaque(key_sizes[k], value_sizes[v]);
			size_t length = value_sizes[v] - value_sizes[v] / 3;
			size_t words = (length + 7) / 8;
			/* Behind the value's words there may be what is left of a longer one. */
			size_t checked = sizeof(struct layout_copy) + geometry.key_room + words * 8;
			struct entry_key key;
			struct place place = { 0 };

			make_key(&geometry, &key, key_bytes, key_sizes[k]);
			store(&geometry, &place, SLOT, &key, STAMP, value_bytes, length, META_LIVE);
			for (size_t bit = 0; bit < geometry.copy_size * 8; bit++) {
				struct place bad = place;
				struct entry_copy out;
				uint64_t value[GEOMETRY_INLINE_MAX / 8];
				uint64_t stamp;
				uint32_t meta;
				enum entry_state loaded;
				enum entry_state matched;

				((unsigned char *)bad.words)[bit / 8] ^=
					(unsigned char)(1u << bit % 8);
				loaded = entry_load(&geometry, SALT, SLOT, copy_of(&bad), &out);
				matched = match(&geometry, &bad, &key, SLOT, &stamp, &meta, value);
				if (bit / 8 < checked) {
					assert_int_equal(loaded, ENTRY_TORN);
					assert_true(matched == ENTRY_TORN ||
						    matched == ENTRY_OTHER);
					continue;
				}
				assert_int_equal(loaded, ENTRY_LIVE);
				assert_memory_equal(out.value, value_bytes, length);
				assert_int_equal(matched, ENTRY_LIVE);
				assert_memory_equal(value, value_bytes, length);
			}
		}
	}
}

/* Half of one version and half of the next, cut at every word, in both orders. */
static void test_torn(void **state)
{
	struct geometry geometry = opaque(16, 64);
	unsigned char values[2][64];
	struct place versions[2] = { 0 };
	struct entry_key key;
	size_t words = geometry.copy_size / 8;

	(void)state;
	make_key(&geometry, &key, "sixteen bytes !!", 16);
	for (unsigned int i = 0; i < 2; i++) {
		fill(values[i], 64, 6 + i);
		store(&geometry, &versions[i], SLOT, &key, STAMP + i, values[i], 64, META_LIVE);
	}
	for (unsigned int first = 0; first < 2; first++) {
		for (size_t cut = 0; cut <= words; cut++) {
			struct place torn = versions[!first];
			struct entry_copy out;
			int whole = cut == 0 || cut == words;

			memcpy(torn.words, versions[first].words, cut * 8);
			assert_int_equal(entry_load(&geometry, SALT, SLOT, copy_of(&torn), &out),
					 whole ? ENTRY_LIVE : ENTRY_TORN);
			if (whole)
				assert_memory_equal(out.value, values[cut ? first : !first], 64);
		}
	}
}

static void test_empty(void **state)
{
	struct geometry geometry = opaque(16, 64);
	struct place place = { 0 };
	struct entry_copy out;
	struct entry_key key;
	struct entry_key zeros;
	uint64_t value[GEOMETRY_INLINE_MAX / 8];
	uint64_t stamp;
	uint32_t meta;

	(void)state;
	make_key(&geometry, &key, "k", 1);
	make_key(&geometry, &zeros, "\0\0\0", 3);
	assert_int_equal(entry_load(&geometry, SALT, SLOT, copy_of(&place), &out), ENTRY_EMPTY);
	assert_int_equal(match(&geometry, &place, &key, SLOT, &stamp, &meta, value), ENTRY_OTHER);
	/* The words of a key of zeros are there; that it is, they do not say. */
	assert_int_not_equal(match(&geometry, &place, &zeros, SLOT, &stamp, &meta, value),
			     ENTRY_LIVE);
	for (size_t bit = 0; bit < sizeof(struct layout_copy) * 8; bit++) {
		memset(&place, 0, sizeof(place));
		((unsigned char *)place.words)[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_int_equal(entry_load(&geometry, SALT, SLOT, copy_of(&place), &out),
				 ENTRY_TORN);
	}
}

/* Whole, but not in its place: another slot, another table, another geometry. */
static void test_out_of_place(void **state)
{
	struct geometry geometry = opaque(16, 64);
	struct geometry narrow = opaque(16, 8);
	struct geometry short_keys = opaque(9, 64);
	struct place place = { 0 };
	struct entry_copy out;
	struct entry_key key;

	(void)state;
	make_key(&geometry, &key, "sixteen bytes !!", 16);
	store(&geometry, &place, SLOT, &key, STAMP, "a value of some length", 22, META_LIVE);
	assert_int_equal(entry_load(&geometry, SALT, SLOT, copy_of(&place), &out), ENTRY_LIVE);
	for (unsigned int bit = 0; bit < 32; bit++) {
		assert_int_equal(
			entry_load(&geometry, SALT, SLOT ^ 1u << bit, copy_of(&place), &out),
			ENTRY_TORN);
		assert_int_equal(
			entry_load(&geometry, SALT ^ 1u << bit, SLOT, copy_of(&place), &out),
			ENTRY_TORN);
	}
	assert_int_equal(entry_load(&narrow, SALT, SLOT, copy_of(&place), &out), ENTRY_TORN);
	assert_int_equal(entry_load(&short_keys, SALT, SLOT, copy_of(&place), &out), ENTRY_TORN);
}

/* Keys whose words are the same: one is the other with zeros behind it. */
static void test_keys_with_zeros(void **state)
{
	static const char bytes[16] = "ab\0\0\0\0\0\0\0\0\0\0\0\0\0";
	struct geometry geometry = opaque(16, 64);

	(void)state;
	for (size_t stored = 1; stored <= 16; stored++) {
		struct place place = { 0 };
		struct entry_key key;

		make_key(&geometry, &key, bytes, stored);
		store(&geometry, &place, SLOT, &key, STAMP, "value", 5, META_LIVE);
		for (size_t asked = 1; asked <= 16; asked++) {
			struct entry_key other;
			uint64_t value[GEOMETRY_INLINE_MAX / 8];
			uint64_t stamp;
			uint32_t meta;

			make_key(&geometry, &other, bytes, asked);
			assert_int_equal(
				match(&geometry, &place, &other, SLOT, &stamp, &meta, value),
				asked == stored ? ENTRY_LIVE : ENTRY_OTHER);
			if (asked != stored)
				assert_true(other.hash != key.hash);
		}
	}
}

static void test_links(void **state)
{
	struct geometry geometry = opaque(16, 64);
	const uint32_t slots = (uint32_t)geometry.slots;

	(void)state;
	for (uint32_t slot = 0; slot < slots; slot++) {
		uint64_t place = link_place_next(slots - 1 - slot);
		uint64_t link = link_make(SALT, place, slot);

		assert_true(link != LINK_NONE);
		assert_true(link_target(&geometry, SALT, place, link) == slot);
		/* In no other place, no other table, and not with any bit changed. */
		for (uint64_t other = 0; other < geometry.homes * (LAYOUT_SLOTS + 1); other++)
			if (other != place)
				assert_true(link_target(&geometry, SALT, other, link) == LINK_BAD);
		assert_true(link_target(&geometry, SALT + 1, place, link) == LINK_BAD);
		for (int bit = 0; bit < 64; bit++)
			if (link ^ 1ull << bit)
				assert_true(link_target(&geometry, SALT, place,
							link ^ 1ull << bit) == LINK_BAD);
	}
	/* One that verifies, but leads out of the table. */
	for (uint32_t slot = slots; slot < slots + 10; slot++)
		assert_true(link_target(&geometry, SALT, 3, link_make(SALT, 3, slot)) == LINK_BAD);
	assert_true(link_target(&geometry, SALT, 3, link_make(SALT, 3, UINT32_MAX)) == LINK_BAD);
	/* Places: one for each head and each slot, none for two. */
	{
		unsigned char *taken = calloc((size_t)slots / LAYOUT_SLOTS, LAYOUT_SLOTS + 1);

		for (uint64_t bucket = 0; bucket < slots / LAYOUT_SLOTS; bucket++)
			assert_int_equal(taken[link_place_head(bucket)]++, 0);
		for (uint32_t slot = 0; slot < slots; slot++)
			assert_int_equal(taken[link_place_next(slot)]++, 0);
		free(taken);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	cmocka_unit_test(test_keys),
		cmocka_unit_test(test_flipped_bits),	cmocka_unit_test(test_torn),
		cmocka_unit_test(test_empty),		cmocka_unit_test(test_out_of_place),
		cmocka_unit_test(test_keys_with_zeros), cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
