// SPDX-License-Identifier: BSD-3-Clause
/* Regions: made by their owner, and checked field by field by everybody else. */
#include "check.h"
#include "crc.h"
#include "region.h"

#include <estate/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const struct region_identity identity = {
	.uuid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
	.epoch = 0x1122334455667788ull,
	.group = "group",
	.name = "name",
};

static struct geometry geometry_of(size_t capacity)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct geometry geometry;

	attr.key_size = 13;
	attr.value_type = ESTATE_U32;
	attr.value_count = 3;
	attr.merge = ESTATE_MERGE_MAX;
	attr.capacity = capacity;
	attr.seed = 0xdeadbeefcafef00dull;
	assert_ok(geometry_init(&geometry, &attr));
	return geometry;
}

static void publish(struct region *region, const char *name, size_t capacity,
		    struct region_table *table)
{
	struct geometry geometry = geometry_of(capacity);
	uint64_t *entries;

	assert_ok(region_prepare_table(region, name, &geometry, region_salt(&identity, name), table,
				       &entries));
	region_publish_table(region, table);
	*entries = capacity / 2;
}

static struct layout_table *entry_at(const struct region *region, unsigned int i)
{
	return (struct layout_table *)(region->memory + LAYOUT_DIRECTORY) + i;
}

static void seal_header(struct region *region)
{
	struct layout_header *header = region_header(region);
	size_t start = offsetof(struct layout_header, region_size);

	header->crc = crc_bytes(~0u, (const char *)header + start,
				offsetof(struct layout_header, state) - start);
}

static void seal_entry(struct layout_table *entry)
{
	entry->crc = crc_bytes(~0u, entry, offsetof(struct layout_table, crc));
}

static void test_names(void **state)
{
	static const char *const good[] = { "a", "A-z_0.9", "-", "_", "9", "a." };
	static const char *const bad[] = { "",	  ".",	 "..",	 ".a", "a b", "a/b", "a\n", "\xff",
					   "a:b", "a,b", "a\\b", "@",  "[",   "`",   "{" };
	char name[ESTATE_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(region_name_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(region_name_valid(bad[i]));
	for (size_t length = 1; length < sizeof(name); length++) {
		memset(name, 'x', length);
		name[length] = 0;
		assert_int_equal(region_name_valid(name), length < ESTATE_NAME_MAX);
	}
}

static void test_create(void **state)
{
	struct region region = { 0 };
	struct region_identity read = { 0 };
	unsigned int index = 0;
	struct region_table table;

	(void)state;
	assert_error(region_create(&region, &identity, 0), -EINVAL, "region_size is 0");
	assert_error(region_create(&region, &identity, LAYOUT_TABLES - LAYOUT_PAGE), -EINVAL,
		     "16384");
	assert_null(region.memory);
	/* The least there is; and what is no whole page becomes one. */
	assert_ok(region_create(&region, &identity, LAYOUT_TABLES));
	assert_int_equal(region.size, LAYOUT_TABLES);
	region_destroy(&region);
	assert_null(region.memory);
	region_destroy(&region);
	assert_ok(region_create(&region, &identity, (1 << 20) + 1));
	assert_int_equal(region.size, (1 << 20) + 4096);

	assert_ok(region_check(region.memory, region.size, &read));
	assert_memory_equal(read.uuid, identity.uuid, 16);
	assert_int_equal(read.epoch, identity.epoch);
	assert_string_equal(read.group, "group");
	assert_string_equal(read.name, "name");
	assert_int_equal(region_tables(region.memory), 0);
	assert_int_equal(region_next_table(region.memory, region.size, &index, &table), -ENOENT);
	assert_int_equal(region_state(region.memory), LAYOUT_JOINED);
	region_header(&region)->state = LAYOUT_LEFT;
	assert_int_equal(region_state(region.memory), LAYOUT_LEFT);
	assert_int_equal(region_heartbeat(region.memory), 0);
	region_header(&region)->heartbeat = 77;
	assert_int_equal(region_heartbeat(region.memory), 77);
	/* What changes all the time is not what the header's check is over. */
	assert_ok(region_check(region.memory, region.size, &read));
	region_destroy(&region);
}

static void test_seals(void **state)
{
	struct region region;
	int seals;

	(void)state;
	assert_ok(region_create(&region, &identity, 1 << 20));
	seals = fcntl(region.fd, F_GET_SEALS);
	assert_true(seals >= 0);
	assert_true(seals & F_SEAL_SHRINK);
	assert_true(seals & F_SEAL_GROW);
	assert_true(seals & F_SEAL_SEAL);
	assert_int_equal(fcntl(region.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	region_destroy(&region);
}

static void test_tables(void **state)
{
	struct region region;
	struct region_table made[3];
	struct region_table found;
	struct geometry geometry = geometry_of(100);
	uint64_t *entries;
	unsigned int index = 0;

	(void)state;
	assert_ok(region_create(&region, &identity, 1 << 20));
	assert_int_equal(region_find_table(region.memory, region.size, "a", &found), -ENOENT);
	/* Prepared and not published: nobody sees it, and the next one takes its place. */
	assert_ok(region_prepare_table(&region, "lost", &geometry, region_salt(&identity, "lost"),
				       &found, &entries));
	assert_int_equal(region_tables(region.memory), 0);
	assert_int_equal(region_find_table(region.memory, region.size, "lost", &found), -ENOENT);
	publish(&region, "a", 100, &made[0]);
	publish(&region, "ab", 200, &made[1]);
	publish(&region, "b", 300, &made[2]);
	assert_int_equal(region_tables(region.memory), 3);
	for (int i = 0; i < 3; i++) {
		assert_ok(region_next_table(region.memory, region.size, &index, &found));
		assert_int_equal(index, i + 1);
		assert_string_equal(found.name, made[i].name);
		assert_true(geometry_same(&found.geometry, &made[i].geometry));
		assert_int_equal(found.geometry.length, made[i].geometry.length);
		assert_int_equal(found.offset, made[i].offset);
		assert_int_equal(found.offset % LAYOUT_PAGE, 0);
		assert_int_equal(found.salt, made[i].salt);
		assert_int_equal(found.entries, found.geometry.capacity / 2);
		assert_ok(region_find_table(region.memory, region.size, made[i].name, &found));
		assert_int_equal(found.offset, made[i].offset);
		/* Behind the one before it, and all of it zeros. */
		assert_true(found.offset >=
			    (i ? made[i - 1].offset + made[i - 1].geometry.length : LAYOUT_TABLES));
		for (uint64_t byte = 0; byte < found.geometry.length; byte++)
			assert_int_equal(region.memory[found.offset + byte], 0);
	}
	assert_int_equal(region_next_table(region.memory, region.size, &index, &found), -ENOENT);
	assert_int_equal(region_find_table(region.memory, region.size, "c", &found), -ENOENT);
	assert_int_equal(region_find_table(region.memory, region.size, "", &found), -ENOENT);
	/* Every table's checks start elsewhere. */
	assert_int_not_equal(made[0].salt, made[1].salt);
	assert_int_not_equal(made[0].salt, made[2].salt);
	assert_int_not_equal(made[1].salt, made[2].salt);
	region_destroy(&region);
}

/* The same table in another life of the instance, or in another instance, has another salt. */
static void test_salts(void **state)
{
	struct region_identity others[2] = { identity, identity };
	struct geometry geometry = geometry_of(10);
	struct region_table table;
	struct region_table other;
	struct region region;
	uint64_t *entries;

	(void)state;
	others[0].epoch++;
	others[1].uuid[15]++;
	assert_ok(region_create(&region, &identity, 1 << 20));
	assert_ok(region_prepare_table(&region, "t", &geometry, region_salt(&identity, "t"), &table,
				       &entries));
	for (int i = 0; i < 2; i++) {
		assert_ok(region_prepare_table(&region, "t", &geometry,
					       region_salt(&others[i], "t"), &other, &entries));
		assert_int_not_equal(table.salt, other.salt);
	}
	region_destroy(&region);
}

static void test_full(void **state)
{
	struct geometry geometry = geometry_of(1000);
	struct region_table table = { .offset = 4711 };
	struct region region;
	uint64_t *entries = NULL;
	char figure[32];

	(void)state;
	assert_ok(region_create(&region, &identity, LAYOUT_TABLES + geometry.length));
	geometry = geometry_of(2000);
	snprintf(figure, sizeof(figure), "at least %llu",
		 (unsigned long long)(LAYOUT_TABLES + geometry.length));
	assert_error(region_prepare_table(&region, "t", &geometry, region_salt(&identity, "t"),
					  &table, &entries),
		     -ENOSPC, figure);
	assert_int_equal(table.offset, 4711);
	assert_null(entries);
	publish(&region, "t", 1000, &table);
	geometry = geometry_of(1);
	snprintf(figure, sizeof(figure), "at least %llu",
		 (unsigned long long)(region.size + geometry.length));
	assert_error(region_prepare_table(&region, "u", &geometry, region_salt(&identity, "u"),
					  &table, &entries),
		     -ENOSPC, figure);
	region_destroy(&region);
}

static void test_too_many(void **state)
{
	struct geometry geometry = geometry_of(1);
	struct region_table table;
	struct region region;
	uint64_t *entries;
	unsigned int index = 0;
	unsigned int count = 0;
	char name[16];

	(void)state;
	assert_ok(region_create(&region, &identity, 2 << 20));
	for (int i = 0; i < ESTATE_TABLES_MAX; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		publish(&region, name, 1, &table);
	}
	assert_error(region_prepare_table(&region, "u", &geometry, region_salt(&identity, "u"),
					  &table, &entries),
		     -ENOSPC, "64 tables");
	while (!region_next_table(region.memory, region.size, &index, &table))
		count++;
	assert_int_equal(count, ESTATE_TABLES_MAX);
	/* A count that cannot be is cut down to what can. */
	region_header(&region)->tables = UINT32_MAX;
	assert_int_equal(region_tables(region.memory), ESTATE_TABLES_MAX);
	assert_int_equal(region_find_table(region.memory, region.size, "none", &table), -ENOENT);
	region_destroy(&region);
}

static void test_damaged_header(void **state)
{
	struct region_identity read;
	struct region_identity untouched;
	struct region region;
	struct layout_header saved;
	struct layout_header *header;

	(void)state;
	memset(&read, 0xa5, sizeof(read));
	memset(&untouched, 0xa5, sizeof(untouched));
	assert_ok(region_create(&region, &identity, 1 << 20));
	header = region_header(&region);
	saved = *header;
	/* Every bit of what is written once, but that of the version, is damage. */
	for (size_t bit = 0; bit < 8 * offsetof(struct layout_header, state); bit++) {
		int is_version = bit / 32 == offsetof(struct layout_header, version) / 4;

		region.memory[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_int_equal(region_check(region.memory, region.size, &read),
				 is_version ? -EPROTO : -EBADMSG);
		*header = saved;
	}
	header->magic++;
	assert_error(region_check(region.memory, region.size, &read), -EBADMSG, "begin");
	*header = saved;
	header->version = 3;
	assert_error(region_check(region.memory, region.size, &read), -EPROTO, "version 3");
	*header = saved;
	header->epoch++;
	assert_error(region_check(region.memory, region.size, &read), -EBADMSG, "damaged");

	/* From here on the check is right, and what it is over is not. */
	*header = saved;
	header->region_size += 4096;
	seal_header(&region);
	assert_error(region_check(region.memory, region.size, &read), -EBADMSG, "says");
	*header = saved;
	assert_error(region_check(region.memory, region.size - 4096, &read), -EBADMSG, "says");
	assert_error(region_check(region.memory, LAYOUT_TABLES - 1, &read), -EBADMSG, "too few");
	for (int field = 0; field < 2; field++) {
		char *name = field ? header->name : header->group;

		*header = saved;
		memset(name, 'x', ESTATE_NAME_MAX); /* no end */
		seal_header(&region);
		assert_error(region_check(region.memory, region.size, &read), -EBADMSG, "damaged");
		*header = saved;
		strcpy(name, "../x");
		seal_header(&region);
		assert_error(region_check(region.memory, region.size, &read), -EBADMSG, "damaged");
		*header = saved;
		name[0] = 0;
		seal_header(&region);
		assert_error(region_check(region.memory, region.size, &read), -EBADMSG, "damaged");
	}
	assert_memory_equal(&read, &untouched, sizeof(read));
	*header = saved;
	assert_ok(region_check(region.memory, region.size, &read));
	region_destroy(&region);
}

static void expect_bad_entry(const struct region *region, const char *word)
{
	struct region_table table = { .offset = 4711 };
	unsigned int index = 1;

	assert_error(region_next_table(region->memory, region->size, &index, &table), -EBADMSG,
		     word);
	assert_int_equal(index, 2);
	assert_int_equal(table.offset, 4711);
	/* The others are found all the same; what is not found may be what is damaged. */
	assert_ok(region_find_table(region->memory, region->size, "a", &table));
	assert_ok(region_find_table(region->memory, region->size, "c", &table));
	assert_int_equal(region_find_table(region->memory, region->size, "b", &table), -EBADMSG);
	assert_int_equal(region_find_table(region->memory, region->size, "x", &table), -EBADMSG);
}

static void test_damaged_directory(void **state)
{
	struct region_table table;
	struct region region;
	struct layout_table saved;
	struct layout_table *entry;
	unsigned int index;

	(void)state;
	assert_ok(region_create(&region, &identity, 1 << 20));
	publish(&region, "a", 100, &table);
	publish(&region, "b", 100, &table);
	publish(&region, "c", 100, &table);
	entry = entry_at(&region, 1);
	saved = *entry;
	for (size_t bit = 0; bit < 8 * offsetof(struct layout_table, entries); bit++) {
		((unsigned char *)entry)[bit / 8] ^= (unsigned char)(1u << bit % 8);
		expect_bad_entry(&region, "entry 1");
		*entry = saved;
	}
	/* How many entries there are is for people only: nothing is checked, nothing breaks. */
	entry->entries = UINT64_MAX;
	index = 1;
	assert_ok(region_next_table(region.memory, region.size, &index, &table));
	assert_true(table.entries == UINT64_MAX);

#define EXPECT_BAD(field, value, word)           \
	do {                                     \
		*entry = saved;                  \
		entry->field = (value);          \
		seal_entry(entry);               \
		expect_bad_entry(&region, word); \
	} while (0)

	/* From here on the check is right, and what it is over is not. */
	EXPECT_BAD(offset, saved.offset + 8, "fit");
	EXPECT_BAD(offset, 0, "fit");
	EXPECT_BAD(offset, LAYOUT_DIRECTORY, "fit");
	EXPECT_BAD(offset, LAYOUT_TABLES - LAYOUT_PAGE, "fit");
	EXPECT_BAD(offset, region.size, "fit");
	EXPECT_BAD(offset, region.size - saved.length + LAYOUT_PAGE, "fit");
	EXPECT_BAD(offset, UINT64_MAX - LAYOUT_PAGE + 1, "fit");
	EXPECT_BAD(offset, 1ull << 63, "fit");
	EXPECT_BAD(length, saved.length + LAYOUT_PAGE, "fit");
	EXPECT_BAD(length, saved.length - LAYOUT_PAGE, "fit");
	EXPECT_BAD(length, 0, "fit");
	EXPECT_BAD(length, UINT64_MAX, "fit");
	EXPECT_BAD(capacity, 0, "fit");
	EXPECT_BAD(capacity, 100000, "fit");
	EXPECT_BAD(capacity, UINT64_MAX, "fit");
	EXPECT_BAD(key_size, 0, "fit");
	EXPECT_BAD(key_size, 257, "fit");
	EXPECT_BAD(key_size, UINT32_MAX, "fit");
	EXPECT_BAD(value_type, 7, "fit");
	EXPECT_BAD(value_type, UINT32_MAX, "fit");
	EXPECT_BAD(value_type, ESTATE_OPAQUE, "fit"); /* which has no maximum */
	EXPECT_BAD(value_count, 0, "fit");
	EXPECT_BAD(value_count, UINT32_MAX, "fit");
	EXPECT_BAD(merge, 6, "fit");
	EXPECT_BAD(merge, UINT32_MAX, "fit");
	EXPECT_BAD(durability, 4, "fit");
	EXPECT_BAD(name[0], 0, "damaged");
	EXPECT_BAD(name[0], '.', "damaged");
	EXPECT_BAD(name[0], '/', "damaged");
	*entry = saved;
	memset(entry->name, 'b', sizeof(entry->name));
	seal_entry(entry);
	expect_bad_entry(&region, "damaged");
	*entry = saved;
	index = 1;
	assert_ok(region_next_table(region.memory, region.size, &index, &table));
	region_destroy(&region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_seals),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_salts),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_damaged_header),
		cmocka_unit_test(test_damaged_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
