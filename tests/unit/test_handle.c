// SPDX-License-Identifier: BSD-3-Clause
/* Handles: as good as the key, until its entry is deleted. */
#include "check.h"
#include "group.h"
#include "scratch.h"
#include "slot.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY 1000
#define LARGE 700

/* Counters, numbers that are not of 64 bits, short and long bytes, and a sketch. */
enum shape {
	COUNTERS,
	NARROW,
	OPAQUE,
	EXTENT,
	SKETCH,
	SHAPES
};

static const struct {
	const char *name;
	enum estate_type type;
	size_t count;
	enum estate_merge merge;
} shapes[SHAPES] = {
	{ "counters", ESTATE_U64, 4, ESTATE_MERGE_SUM },
	{ "narrow", ESTATE_U16, 5, ESTATE_MERGE_SUM },
	{ "opaque", ESTATE_OPAQUE, 50, ESTATE_MERGE_LATEST },
	{ "extent", ESTATE_OPAQUE, LARGE, ESTATE_MERGE_LATEST },
	{ "sketch", ESTATE_U64, 100, ESTATE_MERGE_SUM },
};

struct fixture {
	char *folder;
	struct estate *es;
	struct estate_table *table[SHAPES];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->folder = scratch_make();
	f->es = group_open(f->folder, "one", 16 << 20);
	for (int i = 0; i < SHAPES; i++) {
		struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

		attr.key_size = 8;
		attr.value_type = shapes[i].type;
		attr.value_count = shapes[i].count;
		attr.merge = shapes[i].merge;
		attr.capacity = CAPACITY;
		assert_ok(estate_table_open(f->es, shapes[i].name, &attr, &f->table[i]));
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	estate_close(f->es);
	scratch_remove(f->folder);
	free(f);
	return 0;
}

static uint64_t home_of(const struct estate_table *table, uint64_t id)
{
	struct entry_key key;

	table_key(table, &id, 8, &key);
	return geometry_home(&table->geometry, key.hash);
}

/* Keys with one home, more of them than its two buckets have slots. */
#define NEIGHBOURS 12

static void find_neighbours(const struct estate_table *table, uint64_t ids[NEIGHBOURS])
{
	uint64_t home = home_of(table, 0);
	int found = 0;

	for (uint64_t id = 0; found < NEIGHBOURS; id++)
		if (home_of(table, id) == home)
			ids[found++] = id;
}

/* A new entry begins with zeros: a number's all, an opaque value's none. */
static void test_new(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < SHAPES; i++) {
		const uint64_t id = 5;
		unsigned char value[1000];
		struct estate_entry entry;
		size_t size = f->table[i]->geometry.value_size;
		size_t length = 4711;

		assert_ok(estate_entry_open(f->table[i], &id, 8, &entry));
		memset(value, 0xa5, sizeof(value));
		assert_ok(estate_entry_get(&entry, value, sizeof(value), &length));
		assert_int_equal(length, shapes[i].type == ESTATE_OPAQUE ? 0 : size);
		for (size_t byte = 0; byte < length; byte++)
			assert_int_equal(value[byte], 0);
		assert_int_equal(value[length], 0xa5);
		/* It is an entry as any other. */
		assert_ok(estate_get(f->table[i], &id, 8, value, sizeof(value), &length));
		assert_int_equal(f->table[i]->entries, 1);
		/* Opened again, it is the same one. */
		assert_ok(estate_entry_open(f->table[i], &id, 8, &entry));
		assert_int_equal(f->table[i]->entries, 1);
		assert_ok(estate_delete(f->table[i], &id, 8));
	}
}

static void test_put_and_get(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < SHAPES; i++) {
		const uint64_t id = 5;
		size_t size = f->table[i]->geometry.value_size;
		unsigned char value[1000];
		unsigned char got[1000];
		struct estate_entry entry;
		struct estate_entry copy;
		size_t length;

		assert_ok(estate_entry_open(f->table[i], &id, 8, &entry));
		for (unsigned int round = 0; round < 50; round++) {
			size_t part = shapes[i].type == ESTATE_OPAQUE ? size * round / 49 : size;

			memset(value, (int)round, sizeof(value));
			copy = entry; /* a copy of it is as good */
			assert_ok(estate_entry_put(round % 2 ? &entry : &copy, value, part));
			assert_ok(estate_entry_get(&entry, got, part, &length));
			assert_int_equal(length, part);
			assert_memory_equal(got, value, part);
			assert_ok(estate_get(f->table[i], &id, 8, got, sizeof(got), &length));
			assert_int_equal(length, part);
			assert_memory_equal(got, value, part);
			/* What the key's calls write, the handle reads. */
			memset(value, (int)round + 100, sizeof(value));
			assert_ok(estate_put(f->table[i], &id, 8, value, size));
			assert_ok(estate_entry_get(&entry, got, size, NULL));
			assert_memory_equal(got, value, size);
		}
		memset(got, 0xa5, sizeof(got));
		length = 4711;
		assert_error(estate_entry_get(&entry, got, size - 1, &length), -EMSGSIZE,
			     "room for");
		assert_int_equal(got[0], 0xa5);
		assert_int_equal(length, 4711);
		assert_error(estate_entry_put(&entry, value, size + 1), -EMSGSIZE, "bytes");
		if (shapes[i].type != ESTATE_OPAQUE)
			assert_error(estate_entry_put(&entry, value, size - 1), -EMSGSIZE, "bytes");
	}
}

static void test_add(void **state)
{
	struct fixture *f = *state;
	const uint64_t id = 5;
	struct estate_entry entry;
	uint64_t words[100];
	uint64_t got[100];
	uint16_t narrow[5];

	for (uint64_t i = 0; i < 100; i++)
		words[i] = i - 3; /* with negative ones: two's complements */
	assert_ok(estate_entry_open(f->table[COUNTERS], &id, 8, &entry));
	for (int times = 0; times < 5; times++)
		assert_ok(estate_entry_add(&entry, words));
	assert_ok(estate_add(f->table[COUNTERS], &id, 8, words));
	assert_ok(estate_entry_get(&entry, got, 32, NULL));
	for (uint64_t i = 0; i < 4; i++)
		assert_true(got[i] == (i - 3) * 6);

	assert_ok(estate_entry_open(f->table[SKETCH], &id, 8, &entry));
	for (int times = 0; times < 5; times++)
		assert_ok(estate_entry_add(&entry, words));
	assert_ok(estate_add(f->table[SKETCH], &id, 8, words));
	assert_ok(estate_entry_get(&entry, got, sizeof(got), NULL));
	for (uint64_t i = 0; i < 100; i++)
		assert_true(got[i] == (i - 3) * 6);

	assert_ok(estate_entry_open(f->table[NARROW], &id, 8, &entry));
	for (int times = 0; times < 5; times++)
		assert_ok(estate_entry_add(&entry, (uint16_t[]){ 1, 2, 20000, 65535, 5 }));
	assert_ok(estate_entry_get(&entry, narrow, sizeof(narrow), NULL));
	assert_int_equal(narrow[0], 5);
	assert_int_equal(narrow[2], 100000 % 65536);
	assert_int_equal(narrow[3], 65531);

	assert_ok(estate_entry_open(f->table[OPAQUE], &id, 8, &entry));
	assert_error(estate_entry_add(&entry, words), -ENOTSUP, "opaque");
	assert_ok(estate_entry_open(f->table[EXTENT], &id, 8, &entry));
	assert_error(estate_entry_add(&entry, words), -ENOTSUP, "opaque");
	assert_error(estate_entry_add(&entry, NULL), -EINVAL, "NULL");
	assert_error(estate_entry_put(&entry, NULL, 8), -EINVAL, "NULL");
	assert_error(estate_entry_get(&entry, NULL, 8, NULL), -EINVAL, "NULL");
}

static int use(struct estate_entry *entry, int number, void *value, size_t size)
{
	switch (number) {
	case 0:
		return estate_entry_get(entry, value, size, NULL);
	case 1:
		return estate_entry_put(entry, value, size);
	default:
		return estate_entry_add(entry, value);
	}
}

/*
 * All keys of one home, some of them in other buckets; one after the other is
 * deleted: the handles on the others hold, those on it say so.
 */
static void test_neighbours(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < SHAPES; i++) {
		struct estate_table *table = f->table[i];
		size_t size = table->geometry.value_size;
		struct estate_entry entries[NEIGHBOURS];
		uint64_t ids[NEIGHBOURS];
		unsigned char value[1000];
		unsigned char got[1000];

		find_neighbours(table, ids);
		for (int n = 0; n < NEIGHBOURS; n++) {
			memset(value, n + 1, sizeof(value));
			assert_ok(estate_entry_open(table, &ids[n], 8, &entries[n]));
			assert_ok(estate_entry_put(&entries[n], value, size));
		}
		assert_true(table->overflowed > 0);
		for (int gone = 0; gone < NEIGHBOURS; gone++) {
			assert_ok(estate_delete(table, &ids[gone], 8));
			for (int call = 0; call < (shapes[i].type == ESTATE_OPAQUE ? 2 : 3);
			     call++) {
				memset(got, 0xa5, sizeof(got));
				assert_error(use(&entries[gone], call, got, size), -ESTALE,
					     "deleted");
				assert_int_equal(got[0], 0xa5);
			}
			for (int n = gone + 1; n < NEIGHBOURS; n++) {
				memset(value, n + 1 + gone, sizeof(value));
				/* Both ways to be the first after the deletion. */
				if (n % 2) {
					assert_ok(estate_entry_get(&entries[n], got, size, NULL));
					assert_memory_equal(got, value, size);
				}
				memset(value, n + 2 + gone, sizeof(value));
				assert_ok(estate_entry_put(&entries[n], value, size));
				assert_ok(estate_get(table, &ids[n], 8, got, size, NULL));
				assert_memory_equal(got, value, size);
			}
		}
		assert_int_equal(table->entries, 0);
	}
}

/* The slot is another key's by now: the old handle must not touch it. */
static void test_slot_reused(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < SHAPES; i++) {
		struct estate_table *table = f->table[i];
		size_t size = table->geometry.value_size;
		struct estate_entry old;
		struct estate_entry new;
		uint64_t ids[NEIGHBOURS];
		unsigned char value[1000];
		unsigned char got[1000];

		find_neighbours(table, ids);
		for (int n = 0; n < 8; n++) /* both buckets full */
			assert_ok(estate_entry_open(table, &ids[n], 8, n ? &new : &old));
		assert_ok(estate_delete(table, &ids[0], 8));
		assert_ok(estate_entry_open(table, &ids[8], 8, &new));
		assert_ptr_equal(new.slot, old.slot);
		memset(value, 0x77, sizeof(value));
		assert_ok(estate_entry_put(&new, value, size));
		memset(got, 0x11, sizeof(got));
		assert_int_equal(estate_entry_put(&old, got, size), -ESTALE);
		assert_int_equal(estate_entry_get(&old, got, size, NULL), -ESTALE);
		if (shapes[i].type != ESTATE_OPAQUE)
			assert_int_equal(estate_entry_add(&old, got), -ESTALE);
		assert_ok(estate_entry_get(&new, got, size, NULL));
		assert_memory_equal(got, value, size);
		/* The key comes back, elsewhere: the old handle stays stale. */
		assert_ok(estate_put(table, &ids[0], 8, value, size));
		assert_int_equal(estate_entry_get(&old, got, size, NULL), -ESTALE);
		assert_int_equal(estate_entry_put(&old, got, size), -ESTALE);
		/* Opened anew it is good again. */
		assert_ok(estate_entry_open(table, &ids[0], 8, &old));
		assert_ok(estate_entry_get(&old, got, size, NULL));
		assert_memory_equal(got, value, size);
	}
}

/* The key comes back to the very slot: the handle may be used, and is on the new entry. */
static void test_created_again(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < SHAPES; i++) {
		struct estate_table *table = f->table[i];
		size_t size = table->geometry.value_size;
		const uint64_t id = 5;
		unsigned char value[1000];
		unsigned char got[1000];
		struct estate_entry old;
		struct estate_entry new;

		assert_ok(estate_entry_open(table, &id, 8, &old));
		memset(value, 1, sizeof(value));
		assert_ok(estate_entry_put(&old, value, size));
		assert_ok(estate_delete(table, &id, 8));
		assert_int_equal(estate_entry_get(&old, got, size, NULL), -ESTALE);
		assert_ok(estate_entry_open(table, &id, 8, &new));
		assert_ptr_equal(new.slot, old.slot);
		memset(value, 2, sizeof(value));
		assert_ok(estate_entry_put(&new, value, size));
		assert_ok(estate_entry_get(&old, got, size, NULL));
		assert_memory_equal(got, value, size);
		memset(value, 3, sizeof(value));
		assert_ok(estate_entry_put(&old, value, size));
		assert_ok(estate_entry_get(&new, got, size, NULL));
		assert_memory_equal(got, value, size);
		assert_ok(estate_delete(table, &id, 8));
		assert_int_equal(estate_entry_put(&old, value, size), -ESTALE);
		assert_int_equal(estate_entry_put(&new, value, size), -ESTALE);
	}
}

/* What a handle writes is what the group reads. */
static void test_seen_by_others(void **state)
{
	struct fixture *f = *state;
	struct estate *observer = group_open(f->folder, NULL, 0);
	struct estate_view *view = group_view(observer);
	const uint64_t id = 5;

	group_wait(observer, 1);
	for (int i = 0; i < SHAPES; i++) {
		size_t size = f->table[i]->geometry.value_size;
		struct estate_table *table;
		struct estate_answer answer;
		struct estate_entry entry;
		unsigned char value[1000];
		unsigned char got[1000];
		uint64_t newest = 0;

		assert_ok(estate_table_open(observer, shapes[i].name, NULL, &table));
		assert_ok(estate_entry_open(f->table[i], &id, 8, &entry));
		for (int round = 0; round < 20; round++) {
			memset(value, round, sizeof(value));
			assert_ok(estate_entry_put(&entry, value, size));
			assert_ok(
				estate_get_global(view, table, &id, 8, got, sizeof(got), &answer));
			assert_int_equal(answer.length, size);
			assert_memory_equal(got, value, size);
			assert_true(answer.newest > newest);
			newest = answer.newest;
			if (shapes[i].type == ESTATE_OPAQUE)
				continue;
			memset(value, 0, sizeof(value));
			assert_ok(estate_entry_add(&entry, value));
			assert_ok(
				estate_get_global(view, table, &id, 8, got, sizeof(got), &answer));
			assert_true(answer.newest > newest);
			newest = answer.newest;
		}
	}
	estate_view_close(view);
	estate_close(observer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new, setup, teardown),
		cmocka_unit_test_setup_teardown(test_put_and_get, setup, teardown),
		cmocka_unit_test_setup_teardown(test_add, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot_reused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_created_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seen_by_others, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
