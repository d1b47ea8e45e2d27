// SPDX-License-Identifier: BSD-3-Clause
/* Pools without an instance: what a check finds, and what a salvage keeps. */
#include "check.h"
#include "format.h"
#include "scratch.h"
#include "store.h"

#include <estate/estate.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REGION ((size_t)4 << 20)
#define COUNTERS 1000
#define LARGE 40
#define LARGE_SIZE 5000

/* A pool with three tables: counters, values in extents, and one that is empty. */
struct fixture {
	char *folder;
	char pool[128];
	char saved[128]; /* a second one */
	struct region_table tables[3]; /* as they are in it */
	uint8_t uuid[16];
	uint64_t epoch;
};

static struct estate *begin(const struct fixture *f, const char *pool, const char *name)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char registry[160];
	struct estate *es;

	snprintf(registry, sizeof(registry), "dir:%s/registry", f->folder);
	attr.group = "test";
	attr.name = name;
	attr.registry = registry;
	attr.region_size = REGION;
	attr.pool_size = REGION;
	attr.pool = pool;
	assert_ok(estate_open(&attr, &es));
	return es;
}

static struct estate_table *open_counters(struct estate *es)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = 2;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = COUNTERS;
	attr.durability = ESTATE_DURABILITY_BEFORE_RETURN;
	assert_ok(estate_table_open(es, "counters", &attr, &table));
	return table;
}

static struct estate_table *open_large(struct estate *es, const char *name)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 20;
	attr.value_type = ESTATE_OPAQUE;
	attr.value_count = LARGE_SIZE;
	attr.capacity = LARGE;
	attr.durability = ESTATE_DURABILITY_ON_LEAVE;
	assert_ok(estate_table_open(es, name, &attr, &table));
	return table;
}

static size_t large_value(unsigned int i, unsigned char *value)
{
	size_t length = (i * 977u) % (LARGE_SIZE + 1);

	memset(value, (int)i + 1, length);
	return length;
}

static void read_pool(const char *path, off_t offset, void *bytes, size_t length)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, length, offset), length);
	close(fd);
}

static void poke(const char *path, off_t offset, const void *bytes, size_t length)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, length, offset), length);
	close(fd);
}

static void make(struct fixture *f)
{
	static unsigned char value[LARGE_SIZE];
	struct estate *es = begin(f, f->pool, "one");
	struct estate_table *counters = open_counters(es);
	struct estate_table *large = open_large(es, "large");
	struct layout_table raw[3];

	/* Every other one twice, so that both of its copies are there. */
	for (uint64_t key = 0; key < COUNTERS; key++)
		for (uint64_t times = 0; times <= key % 2; times++)
			assert_ok(estate_put(counters, &key, 8, (uint64_t[]){ key, times }, 16));
	for (uint64_t key = 0; key < COUNTERS; key += 10)
		assert_ok(estate_delete(counters, &key, 8));
	for (unsigned int i = 0; i < LARGE; i++)
		assert_ok(estate_put(large, &i, sizeof(i), value, large_value(i, value)));
	open_large(es, "none");
	memcpy(f->uuid, es->identity.uuid, sizeof(f->uuid));
	f->epoch = es->identity.epoch;
	assert_ok(estate_close(es));
	read_pool(f->pool, LAYOUT_DIRECTORY, raw, sizeof(raw));
	for (unsigned int i = 0; i < 3; i++)
		assert_ok(region_parse_table(&raw[i], i, REGION, &f->tables[i]));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->folder = scratch_make();
	snprintf(f->pool, sizeof(f->pool), "%s/pool", f->folder);
	snprintf(f->saved, sizeof(f->saved), "%s/saved", f->folder);
	make(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	scratch_remove(f->folder);
	free(f);
	return 0;
}

struct seen {
	unsigned int count;
	struct estate_pool_table tables[8];
};

static int see(const struct estate_pool_table *table, void *arg)
{
	struct seen *seen = arg;

	assert_true(seen->count < 8);
	seen->tables[seen->count++] = *table;
	return 0;
}

static int end_at_once(const struct estate_pool_table *table, void *arg)
{
	(void)table;
	++*(int *)arg;
	return -ECANCELED;
}

static void check(const char *path, struct estate_pool_info *info, struct seen *seen)
{
	seen->count = 0;
	assert_ok(estate_pool_check(path, see, seen, info));
	assert_int_equal(seen->count, info->tables);
}

/* Of tables that are whole. */
static void expect_tables(const struct seen *seen)
{
	assert_int_equal(seen->count, 3);
	assert_string_equal(seen->tables[0].name, "counters");
	assert_int_equal(seen->tables[0].live, COUNTERS - COUNTERS / 10);
	assert_int_equal(seen->tables[0].deleted, COUNTERS / 10);
	assert_int_equal(seen->tables[0].attr.value_count, 2);
	assert_int_equal(seen->tables[0].attr.value_type, ESTATE_U64);
	assert_int_equal(seen->tables[0].attr.capacity, COUNTERS);
	assert_int_equal(seen->tables[0].attr.durability, ESTATE_DURABILITY_BEFORE_RETURN);
	assert_string_equal(seen->tables[1].name, "large");
	assert_int_equal(seen->tables[1].live, LARGE);
	assert_int_equal(seen->tables[1].bytes, estate_table_bytes(&seen->tables[1].attr));
	assert_string_equal(seen->tables[2].name, "none");
	assert_int_equal(seen->tables[2].live, 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(seen->tables[i].damaged, 0);
		assert_int_equal(seen->tables[i].missing, 0);
	}
}

static void test_intact(void **state)
{
	struct fixture *f = *state;
	struct estate_pool_info info;
	struct seen seen;
	struct estate *es;
	int times = 0;

	check(f->pool, &info, &seen);
	expect_tables(&seen);
	assert_string_equal(info.group, "test");
	assert_string_equal(info.name, "one");
	assert_memory_equal(info.uuid, f->uuid, sizeof(f->uuid));
	assert_int_equal(info.epoch, f->epoch);
	assert_int_equal(info.size, REGION);
	assert_int_equal(info.found, REGION);
	assert_int_equal(info.used, f->tables[2].offset + format_length(&f->tables[2].geometry));
	assert_int_equal(info.tables_lost, 0);
	assert_int_equal(info.live, COUNTERS - COUNTERS / 10 + LARGE);
	assert_int_equal(info.closed, 1);
	assert_int_equal(info.damage, 0);
	assert_ok(estate_pool_check(f->pool, NULL, NULL, NULL));
	assert_int_equal(estate_pool_check(f->pool, end_at_once, &times, NULL), -ECANCELED);
	assert_int_equal(times, 1);

	/* In use; then of a life that did not end in order. */
	es = begin(f, f->pool, "one");
	assert_error(estate_pool_check(f->pool, NULL, NULL, &info), -EBUSY, "has it open");
	assert_error(estate_pool_salvage(f->pool, f->saved, NULL, NULL, NULL, &info), -EBUSY, "");
	es->pool->operations->close(es->pool);
	es->pool = NULL;
	check(f->pool, &info, &seen);
	expect_tables(&seen);
	assert_int_equal(info.closed, 0);
	assert_true(info.epoch > f->epoch);
	assert_int_equal(info.damage, 0);
	assert_ok(estate_close(es));
}

static void test_no_pool(void **state)
{
	struct fixture *f = *state;
	static char page[LAYOUT_TABLES];
	int fd;

	assert_error(estate_pool_check(NULL, NULL, NULL, NULL), -EINVAL, "path");
	assert_error(estate_pool_check(f->saved, NULL, NULL, NULL), -ENOENT, f->saved);
	assert_error(estate_pool_check(f->folder, NULL, NULL, NULL), -EINVAL, "neither a file");
	assert_error(estate_pool_check("/dev/null", NULL, NULL, NULL), -EINVAL, "/dev/null");
	fd = open(f->saved, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_error(estate_pool_check(f->saved, NULL, NULL, NULL), -EBADMSG, "is empty");
	assert_int_equal(write(fd, page, 100), 100);
	assert_error(estate_pool_check(f->saved, NULL, NULL, NULL), -EBADMSG, "has 100 bytes");
	assert_int_equal(pwrite(fd, page, sizeof(page), 0), sizeof(page));
	assert_error(estate_pool_check(f->saved, NULL, NULL, NULL), -EBADMSG, "no pool in it");
	memset(page, 'x', 200);
	assert_int_equal(pwrite(fd, page, sizeof(page), 0), sizeof(page));
	assert_error(estate_pool_check(f->saved, NULL, NULL, NULL), -EBADMSG, "does not begin");
	close(fd);
}

/* All that is in the new pool is as it was; @lost: keys of counters that need not be there. */
static void expect_entries(const struct fixture *f, const char *pool, const char *name,
			   unsigned int lost_counters, unsigned int lost_large)
{
	static unsigned char value[LARGE_SIZE];
	static unsigned char read[LARGE_SIZE];
	struct estate *es = begin(f, pool, name);
	struct estate_table *counters = open_counters(es);
	struct estate_table *large = open_large(es, "large");
	size_t length;

	for (uint64_t key = 0; key < COUNTERS; key++) {
		uint64_t count[2];
		int error = estate_get(counters, &key, 8, count, sizeof(count), NULL);

		if (key % 10 == 0) {
			assert_int_equal(error, -ENOENT);
			continue;
		}
		if (error) {
			assert_int_equal(error, -ENOENT);
			assert_true(lost_counters-- > 0);
			continue;
		}
		assert_int_equal(count[0], key);
		assert_int_equal(count[1], key % 2);
	}
	assert_int_equal(lost_counters, 0);
	for (unsigned int i = 0; i < LARGE; i++) {
		int error = estate_get(large, &i, sizeof(i), read, sizeof(read), &length);

		if (error) {
			assert_int_equal(error, -ENOENT);
			assert_true(lost_large-- > 0);
			continue;
		}
		assert_int_equal(length, large_value(i, value));
		assert_memory_equal(read, value, length);
	}
	assert_int_equal(lost_large, 0);
	/* It can be written, values in extents, too. */
	for (unsigned int i = 0; i < LARGE; i++)
		assert_ok(estate_put(large, &i, sizeof(i), value, large_value(i, value)));
	assert_ok(estate_put(counters, &(uint64_t){ 1 }, 8, (uint64_t[]){ 1, 1 }, 16));
	assert_ok(estate_close(es));
}

static void test_salvage_whole(void **state)
{
	struct fixture *f = *state;
	struct estate_salvage_attr attr = ESTATE_SALVAGE_ATTR_INIT;
	struct estate_pool_info info;
	struct seen seen = { 0 };

	attr.pool_size = REGION * 2;
	assert_ok(estate_pool_salvage(f->pool, f->saved, &attr, see, &seen, &info));
	expect_tables(&seen);
	assert_int_equal(info.damage, 0);
	check(f->saved, &info, &seen);
	expect_tables(&seen);
	assert_int_equal(info.size, REGION * 2);
	assert_memory_equal(info.uuid, f->uuid, sizeof(f->uuid));
	assert_int_equal(info.epoch, f->epoch);
	assert_string_equal(info.group, "test");
	assert_string_equal(info.name, "one");
	assert_int_equal(info.closed, 1);
	assert_int_equal(info.damage, 0);
	expect_entries(f, f->saved, "one", 0, 0);
	/* The old one is as it was. */
	expect_entries(f, f->pool, "one", 0, 0);
}

static void test_salvage_refused(void **state)
{
	struct fixture *f = *state;
	struct estate_salvage_attr attr = ESTATE_SALVAGE_ATTR_INIT;
	int times = 0;

	assert_error(estate_pool_salvage(NULL, f->saved, NULL, NULL, NULL, NULL), -EINVAL, "from");
	assert_error(estate_pool_salvage(f->pool, NULL, NULL, NULL, NULL, NULL), -EINVAL, "to");
	assert_error(estate_pool_salvage(f->saved, f->pool, NULL, NULL, NULL, NULL), -ENOENT, "");
	assert_error(estate_pool_salvage(f->pool, f->pool, NULL, NULL, NULL, NULL), -EEXIST,
		     "there already");
	assert_error(estate_pool_salvage(f->pool, "/nonexistent/p", NULL, NULL, NULL, NULL),
		     -ENOENT, "/nonexistent/p");
	attr.size = 3;
	assert_error(estate_pool_salvage(f->pool, f->saved, &attr, NULL, NULL, NULL), -EINVAL,
		     "size is 3");
	attr = (struct estate_salvage_attr)ESTATE_SALVAGE_ATTR_INIT;
	attr.name = "../x";
	assert_error(estate_pool_salvage(f->pool, f->saved, &attr, NULL, NULL, NULL), -EINVAL,
		     "name \"../x\"");
	attr.name = "two";
	assert_error(estate_pool_salvage(f->pool, f->saved, &attr, NULL, NULL, NULL), -EPERM,
		     "instance one of group test");
	attr.name = NULL;
	attr.pool_size = 65536;
	assert_error(estate_pool_salvage(f->pool, f->saved, &attr, NULL, NULL, NULL), -ENOSPC,
		     "65536");
	attr.pool_size = (size_t)1 << 60;
	assert_true(estate_pool_salvage(f->pool, f->saved, &attr, NULL, NULL, NULL) < 0);
	assert_int_equal(estate_pool_salvage(f->pool, f->saved, NULL, end_at_once, &times, NULL),
			 -ECANCELED);
	/* Of none of these anything is left. */
	assert_int_equal(access(f->saved, F_OK), -1);
}

static void test_damaged_head(void **state)
{
	struct fixture *f = *state;
	struct estate_salvage_attr attr = ESTATE_SALVAGE_ATTR_INIT;
	struct estate_pool_info info;
	struct format_header header;
	unsigned char page[LAYOUT_PAGE];
	struct seen seen;

	read_pool(f->pool, 0, &header, sizeof(header));
	header.version = 9;
	poke(f->pool, 0, &header, sizeof(header));
	assert_error(estate_pool_check(f->pool, NULL, NULL, NULL), -EPROTO, "version 9");
	assert_error(estate_pool_salvage(f->pool, f->saved, NULL, NULL, NULL, NULL), -EPROTO, "");
	header.version = FORMAT_VERSION;
	header.uuid[0] ^= 1;
	poke(f->pool, 0, &header, sizeof(header));
	check(f->pool, &info, &seen);
	expect_tables(&seen);
	assert_int_equal(info.damage, ESTATE_POOL_HEADER);
	assert_int_equal(info.epoch, f->epoch);
	assert_string_equal(info.name, "");

	/* Nothing of the first page is left. */
	memset(page, 'x', sizeof(page));
	poke(f->pool, 0, page, sizeof(page));
	check(f->pool, &info, &seen);
	expect_tables(&seen);
	assert_int_equal(info.damage, ESTATE_POOL_HEADER | ESTATE_POOL_LIFE);
	assert_error(estate_pool_salvage(f->pool, f->saved, NULL, NULL, NULL, NULL), -EBADMSG,
		     "give the instance's group and name");
	attr.group = "test";
	assert_error(estate_pool_salvage(f->pool, f->saved, &attr, NULL, NULL, NULL), -EBADMSG,
		     "give the instance's group and name");
	attr.name = "two";
	assert_ok(estate_pool_salvage(f->pool, f->saved, &attr, NULL, NULL, NULL));
	check(f->saved, &info, &seen);
	expect_tables(&seen);
	assert_int_equal(info.damage, 0);
	assert_string_equal(info.name, "two");
	assert_memory_not_equal(info.uuid, f->uuid, sizeof(f->uuid));
	assert_int_equal(info.uuid[6] >> 4, 4);
	assert_true(info.epoch > f->epoch);
	expect_entries(f, f->saved, "two", 0, 0);
	unlink(f->saved);

	/* Zeros, and what only looks like another version. */
	memset(page, 0, sizeof(page));
	poke(f->pool, 0, page, sizeof(page));
	check(f->pool, &info, &seen);
	expect_tables(&seen);
	header.version = 200;
	poke(f->pool, 0, &header, sizeof(header));
	assert_ok(estate_pool_salvage(f->pool, f->saved, &attr, NULL, NULL, NULL));
	expect_entries(f, f->saved, "two", 0, 0);
}

static void test_damaged_directory(void **state)
{
	static const size_t places[] = { 0, 3, 70, 150 }; /* the first word, the name, the rest */
	struct fixture *f = *state;
	unsigned char page[LAYOUT_PAGE];
	struct estate_pool_info info;
	struct seen seen;

	read_pool(f->pool, LAYOUT_DIRECTORY, page, sizeof(page));
	for (size_t i = 0; i < 4; i++) {
		poke(f->pool, LAYOUT_DIRECTORY + (off_t)places[i], i ? "y" : "\0\0\0\0\0\0\0\0",
		     i ? 1 : 8);
		check(f->pool, &info, &seen);
		assert_int_equal(info.damage, ESTATE_POOL_DIRECTORY);
		assert_int_equal(info.tables, 2);
		assert_int_equal(info.tables_lost, 1);
		assert_string_equal(seen.tables[0].name, "large");
		seen.count = 0;
		assert_ok(estate_pool_salvage(f->pool, f->saved, NULL, see, &seen, &info));
		assert_int_equal(seen.count, 2);
		check(f->saved, &info, &seen);
		assert_int_equal(info.damage, 0);
		assert_int_equal(info.tables, 2);
		expect_entries(f, f->saved, "one", COUNTERS - COUNTERS / 10, 0);
		unlink(f->saved);
		poke(f->pool, LAYOUT_DIRECTORY, page, sizeof(page));
	}
	check(f->pool, &info, &seen);
	expect_tables(&seen);
}

/* Where a slot's copy is in the pool. */
static off_t copy_place(const struct region_table *table, uint64_t slot, unsigned int copy)
{
	return (off_t)(table->offset + format_copy_offset(&table->geometry, slot, copy));
}

static void test_damaged_entries(void **state)
{
	struct fixture *f = *state;
	const struct region_table *counters = &f->tables[0];
	const struct region_table *large = &f->tables[1];
	const size_t size = counters->geometry.copy_size;
	unsigned char copies[2][256];
	struct estate_pool_info info;
	struct seen seen;
	unsigned int damaged = 0;
	unsigned int lost = 0;
	uint64_t slot = 0;

	/* Ten slots that have a key that is not deleted: all that either copy has of it. */
	for (; damaged < 10; slot++) {
		const struct layout_copy *copy = (struct layout_copy *)copies[0];

		read_pool(f->pool, copy_place(counters, slot, 0), copies[0], size);
		read_pool(f->pool, copy_place(counters, slot, 1), copies[1], size);
		if (!copy->stamp || !(copy->meta & META_LIVE))
			continue;
		if (((struct layout_copy *)copies[1])->stamp &&
		    !(((struct layout_copy *)copies[1])->meta & META_LIVE))
			continue;
		copies[0][size - 1] ^= 1;
		copies[1][size - 1] ^= 1;
		poke(f->pool, copy_place(counters, slot, 0), copies[0], size);
		if (((struct layout_copy *)copies[1])->stamp)
			poke(f->pool, copy_place(counters, slot, 1), copies[1], size);
		check(f->pool, &info, &seen);
		/* Where the other one was never written, nothing has been, for all that is known. */
		if (((struct layout_copy *)copies[1])->stamp)
			damaged++;
		lost++;
		assert_int_equal(seen.tables[0].damaged, damaged);
		assert_int_equal(info.damaged, damaged);
		assert_int_equal(info.damage, damaged ? ESTATE_POOL_ENTRIES : 0);
		assert_int_equal(info.live, COUNTERS - COUNTERS / 10 + LARGE - lost);
	}
	/* Some of the values. */
	for (unsigned int block = 0; block < 5; block++)
		poke(f->pool,
		     (off_t)(large->offset + format_block_offset(&large->geometry, block * 3 + 2)) +
			     700,
		     "damage", 6);
	check(f->pool, &info, &seen);
	assert_in_range(seen.tables[1].damaged, 3, 5);
	assert_int_equal(seen.tables[1].live, LARGE - seen.tables[1].damaged);
	lost += (unsigned int)seen.tables[1].damaged;
	assert_ok(estate_pool_salvage(f->pool, f->saved, NULL, NULL, NULL, &info));
	assert_int_equal(info.damaged, damaged + seen.tables[1].damaged);
	lost -= (unsigned int)seen.tables[1].damaged;
	expect_entries(f, f->saved, "one", lost, (unsigned int)seen.tables[1].damaged);
	check(f->saved, &info, &seen);
	assert_int_equal(info.damage, 0);
}

/* Of two entries with one block, the second is none. */
static void test_shared_block(void **state)
{
	struct fixture *f = *state;
	const struct region_table *large = &f->tables[1];
	const struct geometry *geometry = &large->geometry;
	struct layout_extent first = { 0 };
	struct estate_pool_info info;
	unsigned int done = 0;
	struct seen seen;

	for (uint64_t slot = 0; slot < geometry->slots && done < 2; slot++) {
		uint64_t words[32] = { 0 };
		struct layout_copy *copy = (struct layout_copy *)words;
		struct layout_extent *extent =
			(struct layout_extent *)((char *)(copy + 1) + geometry->key_room);
		uint64_t crc = large->salt;

		for (unsigned int which = 0; which < 2 && !copy->stamp; which++)
			read_pool(f->pool, copy_place(large, slot, which), words,
				  geometry->copy_size);
		if (!copy->stamp || extent->length < 100)
			continue;
		if (!done++) {
			first = *extent;
			continue;
		}
		*extent = first;
		for (uint32_t i = 0; i < geometry->key_room / 8; i++)
			crc = crc_word(crc, words[2 + i]);
		crc = entry_crc_header(crc, (uint32_t)slot, copy->meta, copy->stamp);
		for (uint32_t i = 0; i < 2; i++)
			crc = crc_word(crc, words[2 + geometry->key_room / 8 + i]);
		copy->crc = (uint32_t)crc;
		poke(f->pool, copy_place(large, slot, 0), words, geometry->copy_size);
		poke(f->pool, copy_place(large, slot, 1), words, geometry->copy_size);
	}
	assert_int_equal(done, 2);
	check(f->pool, &info, &seen);
	assert_int_equal(info.damaged, 1);
	assert_int_equal(seen.tables[1].damaged, 1);
}

/* Cut off anywhere: what lies within is counted and saved. */
static void test_cut_off(void **state)
{
	struct fixture *f = *state;
	uint64_t live = COUNTERS - COUNTERS / 10 + LARGE;
	int fd = open(f->pool, O_RDWR);

	assert_int_equal(ftruncate(fd, REGION + 4096), 0);
	for (off_t size = REGION + 4096; size >= LAYOUT_TABLES - 4096; size -= 37 * 1000) {
		struct estate_salvage_attr attr = ESTATE_SALVAGE_ATTR_INIT;
		struct estate_pool_info info;
		struct seen seen;
		uint64_t used;

		assert_int_equal(ftruncate(fd, size), 0);
		if (size < LAYOUT_TABLES) {
			assert_error(estate_pool_check(f->pool, NULL, NULL, NULL), -EBADMSG,
				     "the least is");
			break;
		}
		check(f->pool, &info, &seen);
		assert_true(info.damage & ESTATE_POOL_SIZE);
		assert_int_equal(info.tables, 3);
		assert_int_equal(info.size, REGION);
		assert_int_equal(info.found, size);
		assert_true(info.live <= live);
		live = info.live;
		used = 0;
		for (unsigned int i = 0; i < 3; i++)
			used += seen.tables[i].missing;
		assert_int_equal(used, (uint64_t)size < info.used ? info.used - (uint64_t)size : 0);
		seen.count = 0;
		assert_ok(estate_pool_salvage(f->pool, f->saved, &attr, see, &seen, NULL));
		check(f->saved, &info, &seen);
		assert_int_equal(info.size, REGION);
		assert_int_equal(info.live, live);
		assert_int_equal(info.damage, 0);
		assert_int_equal(seen.count, 3);
		if (seen.tables[0].live < 500 && seen.tables[0].live > 100)
			expect_entries(f, f->saved, "one",
				       COUNTERS - COUNTERS / 10 - (unsigned int)seen.tables[0].live,
				       LARGE);
		unlink(f->saved);
	}
	close(fd);
	assert_in_range(live, 0, 50);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_intact),	    test(test_no_pool),	     test(test_salvage_whole),
		test(test_salvage_refused), test(test_damaged_head), test(test_damaged_directory),
		test(test_damaged_entries), test(test_shared_block), test(test_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
