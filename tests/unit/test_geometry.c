// SPDX-License-Identifier: BSD-3-Clause
/* What attributes are refused, and where everything in a table is. */
#include "check.h"
#include "geometry.h"

#include <estate/error.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct estate_table_attr good_attr(void)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = 16;
	attr.value_type = ESTATE_U64;
	attr.value_count = 2;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = 1000;
	return attr;
}

static void refused(const struct estate_table_attr *attr, int error, const char *word)
{
	struct geometry geometry;
	struct geometry untouched;

	memset(&geometry, 0xa5, sizeof(geometry));
	memset(&untouched, 0xa5, sizeof(untouched));
	assert_error(geometry_init(&geometry, attr), error, word);
	assert_memory_equal(&geometry, &untouched, sizeof(geometry));
	assert_int_equal(estate_table_bytes(attr), 0);
	assert_non_null(strstr(estate_errormsg(), word));
}

#define REFUSED(field, value, error, word)                    \
	do {                                                  \
		struct estate_table_attr attr_ = good_attr(); \
		attr_.field = (value);                        \
		refused(&attr_, error, word);                 \
	} while (0)

#define ACCEPTED(field, value)                                \
	do {                                                  \
		struct estate_table_attr attr_ = good_attr(); \
		struct geometry geometry_;                    \
		attr_.field = (value);                        \
		assert_ok(geometry_init(&geometry_, &attr_)); \
	} while (0)

static void test_refused(void **state)
{
	(void)state;
	REFUSED(size, 0, -EINVAL, "ESTATE_TABLE_ATTR_INIT");
	REFUSED(size, sizeof(struct estate_table_attr) + 8, -EINVAL, "ESTATE_TABLE_ATTR_INIT");
	REFUSED(key_size, 0, -EINVAL, "key_size is 0");
	REFUSED(key_size, 257, -EINVAL, "key_size is 257");
	REFUSED(key_size, SIZE_MAX, -EINVAL, "key_size");
	ACCEPTED(key_size, 1);
	ACCEPTED(key_size, 256);
	REFUSED(value_type, (enum estate_type)7, -EINVAL, "value_type 7");
	REFUSED(value_type, (enum estate_type) - 1, -EINVAL, "value_type -1");
	REFUSED(value_count, 0, -EINVAL, "value_count is 0");
	REFUSED(value_count, ESTATE_VALUE_MAX / 8 + 1, -EINVAL, "value_count");
	REFUSED(value_count, SIZE_MAX, -EINVAL, "value_count");
	REFUSED(value_count, (size_t)1 << 32, -EINVAL, "value_count");
	ACCEPTED(value_count, ESTATE_VALUE_MAX / 8);
	REFUSED(capacity, 0, -EINVAL, "capacity is 0");
	REFUSED(capacity, ((size_t)1 << 31) + 1, -EINVAL, "capacity");
	REFUSED(capacity, SIZE_MAX, -EINVAL, "capacity");
	ACCEPTED(capacity, 1);
	ACCEPTED(capacity, (size_t)1 << 31);
	REFUSED(merge, (enum estate_merge)6, -EINVAL, "merge rule 6");
	REFUSED(merge, (enum estate_merge) - 1, -EINVAL, "merge rule -1");
	REFUSED(durability, (enum estate_durability)4, -EINVAL, "durability 4");
	REFUSED(durability, (enum estate_durability) - 1, -EINVAL, "durability -1");
	assert_int_equal(estate_table_bytes(NULL), 0);
	assert_non_null(strstr(estate_errormsg(), "NULL"));
}

/* Which types go with which rules. */
static void test_types_and_rules(void **state)
{
	(void)state;
	for (unsigned int type = ESTATE_OPAQUE; type <= ESTATE_F64; type++) {
		for (unsigned int merge = ESTATE_MERGE_LATEST; merge <= ESTATE_MERGE_CUSTOM;
		     merge++) {
			struct estate_table_attr attr = good_attr();
			struct geometry geometry;
			int whole = merge == ESTATE_MERGE_LATEST || merge == ESTATE_MERGE_CUSTOM;

			attr.value_type = (enum estate_type)type;
			attr.merge = (enum estate_merge)merge;
			if (type == ESTATE_OPAQUE && !whole)
				refused(&attr, -EINVAL, "opaque");
			else if (type >= ESTATE_I64 && merge == ESTATE_MERGE_OR)
				refused(&attr, -EINVAL, "unsigned");
			else
				assert_ok(geometry_init(&geometry, &attr));
		}
	}
}

static void test_element_sizes(void **state)
{
	static const size_t sizes[] = { 1, 1, 2, 4, 8, 8, 8 };

	(void)state;
	for (unsigned int type = ESTATE_OPAQUE; type <= ESTATE_F64; type++) {
		struct estate_table_attr attr = good_attr();
		struct geometry geometry;

		assert_int_equal(geometry_element_size((enum estate_type)type), sizes[type]);
		attr.value_type = (enum estate_type)type;
		attr.merge = ESTATE_MERGE_LATEST;
		attr.value_count = ESTATE_VALUE_MAX / sizes[type];
		assert_ok(geometry_init(&geometry, &attr));
		assert_int_equal(geometry.value_size, ESTATE_VALUE_MAX);
		attr.value_count++;
		refused(&attr, -EINVAL, "value_count");
	}
	assert_int_equal(geometry_element_size((enum estate_type)7), 0);
}

/* One table worked out by hand: these numbers are a format. */
static void test_by_hand(void **state)
{
	struct estate_table_attr attr = good_attr();
	struct geometry g;

	(void)state;
	assert_ok(geometry_init(&g, &attr));
	assert_int_equal(g.key_room, 16);
	assert_int_equal(g.value_size, 16);
	assert_int_equal(g.value_room, 16);
	assert_int_equal(g.copy_size, 48);
	assert_int_equal(g.bucket_size, 64 + 4 * 2 * 48);
	assert_int_equal(g.homes, 417); /* 1000 / (4 * 0.6), rounded up */
	assert_int_equal(g.slots, 418 * 4);
	assert_int_equal(g.blocks, 0);
	assert_int_equal(g.length, (418 * 448 + 4095) / 4096 * 4096);
	assert_int_equal(estate_table_bytes(&attr), g.length);

	/* 13-byte keys, and a value that is a byte too long for a slot. */
	attr.key_size = 13;
	attr.value_type = ESTATE_U8;
	attr.value_count = GEOMETRY_INLINE_MAX;
	assert_ok(geometry_init(&g, &attr));
	assert_int_equal(g.key_room, 16);
	assert_int_equal(g.value_room, 256);
	assert_int_equal(g.blocks, 0);
	attr.value_count++;
	assert_ok(geometry_init(&g, &attr));
	assert_int_equal(g.value_room, 16);
	assert_int_equal(g.block_size, 320);
	assert_true(g.blocks > g.capacity);
	assert_int_equal(g.extents, (418 * 448 + 4095) / 4096 * 4096);
}

static uint64_t draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random * 2685821657736338717ull >> 16;
}

static void check_layout(const struct geometry *g, uint64_t *random)
{
	uint64_t buckets = g->slots / LAYOUT_SLOTS;
	size_t end = sizeof(struct layout_bucket);

	assert_true(g->capacity < g->slots);
	assert_int_equal(g->slots % LAYOUT_SLOTS, 0);
	assert_int_equal(buckets, g->homes + 1);
	assert_true(g->slots < UINT32_MAX); /* or a link could not say "slot + 1" */
	assert_true(g->key_room >= g->key_size && g->key_room < g->key_size + 8);
	assert_int_equal(g->key_room % 8, 0);
	assert_int_equal(g->value_room % 8, 0);
	assert_int_equal(g->bucket_size % 8, 0);
	assert_int_equal(g->value_size, g->value_count * g->element_size);
	/* Copies follow each other, and the last one ends with the bucket. */
	for (unsigned int slot = 0; slot < LAYOUT_SLOTS; slot++) {
		for (unsigned int copy = 0; copy < 2; copy++) {
			assert_int_equal(geometry_copy_offset(g, slot, copy), end);
			end += sizeof(struct layout_copy) + g->key_room + g->value_room;
		}
	}
	assert_int_equal(end, g->bucket_size);
	assert_int_equal(geometry_bucket_offset(g, 0), 0);
	assert_int_equal(geometry_bucket_offset(g, 1), g->bucket_size);
	/* Buckets end before extents begin, and these before the table ends. */
	assert_true(geometry_bucket_offset(g, buckets) <= g->extents);
	assert_int_equal(g->extents % LAYOUT_PAGE, 0);
	assert_int_equal(g->length % LAYOUT_PAGE, 0);
	if (g->value_size > GEOMETRY_INLINE_MAX) {
		assert_int_equal(g->value_room, sizeof(struct layout_extent));
		assert_true(g->blocks > g->capacity);
		assert_true(g->block_size >= g->value_size);
		assert_int_equal(g->block_size % 64, 0);
		assert_int_equal(geometry_block_offset(g, 0), g->extents);
		assert_true(geometry_block_offset(g, g->blocks) <= g->length);
	} else {
		assert_true(g->value_room >= g->value_size);
		assert_int_equal(g->blocks, 0);
		assert_int_equal(g->extents, g->length);
	}
	/* Homes: the whole range of hashes, in order, onto all of them and no other. */
	assert_int_equal(geometry_home(g, 0), 0);
	assert_int_equal(geometry_home(g, UINT64_MAX), g->homes - 1);
	for (int i = 0; i < 20; i++) {
		uint64_t hash = draw(random) << 17 ^ draw(random);
		uint64_t home = geometry_home(g, hash);

		assert_true(home < g->homes);
		if (hash < UINT64_MAX)
			assert_true(geometry_home(g, hash + 1) >= home);
	}
}

static void test_random(void **state)
{
	uint64_t random = (uint64_t)time(NULL);

	(void)state;
	print_message("seed %" PRIu64 "\n", random);
	random = random << 1 | 1;
	for (int i = 0; i < 20000; i++) {
		struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
		struct estate_table_attr back;
		struct geometry g;
		struct geometry again;

		attr.key_size = 1 + draw(&random) % ESTATE_KEY_MAX;
		attr.value_type = (enum estate_type)(draw(&random) % 7);
		attr.merge = ESTATE_MERGE_LATEST;
		/* As many small ones as large ones. */
		attr.value_count =
			1 + (draw(&random) % (ESTATE_VALUE_MAX / 8) >> draw(&random) % 22);
		attr.capacity = 1 + (draw(&random) % (1ull << 31) >> draw(&random) % 32);
		attr.seed = draw(&random);
		assert_ok(geometry_init(&g, &attr));
		check_layout(&g, &random);
		assert_int_equal(estate_table_bytes(&attr), g.length);
		/* The attributes back from it make the same again. */
		geometry_attr(&g, &back);
		assert_int_equal(back.size, sizeof(back));
		assert_null(back.custom);
		assert_ok(geometry_init(&again, &back));
		assert_true(geometry_same(&g, &again));
		assert_memory_equal(&g, &again, sizeof(g));
	}
}

static void test_small_capacities(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (size_t capacity = 1; capacity < 3000; capacity++) {
		struct estate_table_attr attr = good_attr();
		struct geometry g;

		attr.capacity = capacity;
		assert_ok(geometry_init(&g, &attr));
		check_layout(&g, &random);
		/* Full at no more than 0.6 of the home slots. */
		assert_true(capacity * 100 <= g.homes * LAYOUT_SLOTS * GEOMETRY_LOAD_PERCENT);
	}
}

#define DIFFERS(field, value)                                 \
	do {                                                  \
		struct estate_table_attr attr_ = good_attr(); \
		struct geometry other_;                       \
		attr_.field = (value);                        \
		assert_ok(geometry_init(&other_, &attr_));    \
		assert_false(geometry_same(&g, &other_));     \
		assert_false(geometry_same(&other_, &g));     \
	} while (0)

static void test_same(void **state)
{
	struct estate_table_attr attr = good_attr();
	struct geometry g;
	struct geometry same;

	(void)state;
	assert_ok(geometry_init(&g, &attr));
	attr.custom_arg = &attr; /* a matter of each instance's own */
	assert_ok(geometry_init(&same, &attr));
	assert_true(geometry_same(&g, &same));
	DIFFERS(key_size, 15); /* the same room, but not the same */
	DIFFERS(value_count, 1);
	DIFFERS(value_type, ESTATE_I64);
	DIFFERS(merge, ESTATE_MERGE_MAX);
	DIFFERS(capacity, 999); /* even where it makes the same buckets */
	DIFFERS(seed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_types_and_rules),
		cmocka_unit_test(test_element_sizes), cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_random),	      cmocka_unit_test(test_small_capacities),
		cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
