// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the calls on tables and on the local view refuse, with which errno value
 * and sentence, and that they leave everything alone then. What they do when
 * they succeed is checked against a model in test_model.c.
 */
#include "check.h"
#include "group.h"
#include "region.h"
#include "scratch.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "sixteen bytes !!"
#define KEY_LENGTH 16
#define CAPACITY 10
#define OPAQUE_SIZE 40

struct fixture {
	char *folder;
	struct estate *es;
	struct estate *observer;
	struct estate_table *table; /* 2 u64, sum */
	struct estate_table *opaque;
	struct estate_table *custom;
	struct estate_table *observed; /* @table, as the observer has it */
};

static int first_of(const struct estate_value *values, unsigned int count, void *out,
		    size_t out_size, size_t *out_length, void *arg)
{
	(void)count;
	(void)arg;
	if (values[0].length > out_size)
		return -EMSGSIZE;
	memcpy(out, values[0].data, values[0].length);
	*out_length = values[0].length;
	return 0;
}

static struct estate_table_attr counters_attr(void)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = KEY_LENGTH;
	attr.value_type = ESTATE_U64;
	attr.value_count = 2;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = CAPACITY;
	return attr;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct estate_table_attr attr = counters_attr();

	f->folder = scratch_make();
	f->es = group_open(f->folder, "one", 4 << 20);
	assert_ok(estate_table_open(f->es, "t", &attr, &f->table));
	attr.value_type = ESTATE_OPAQUE;
	attr.value_count = OPAQUE_SIZE;
	attr.merge = ESTATE_MERGE_LATEST;
	assert_ok(estate_table_open(f->es, "opaque", &attr, &f->opaque));
	attr = counters_attr();
	attr.merge = ESTATE_MERGE_CUSTOM;
	attr.custom = first_of;
	assert_ok(estate_table_open(f->es, "custom", &attr, &f->custom));
	f->observer = group_open(f->folder, NULL, 0);
	group_wait(f->observer, 1);
	assert_ok(estate_table_open(f->observer, "t", NULL, &f->observed));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	estate_close(f->observer);
	estate_close(f->es);
	scratch_remove(f->folder);
	free(f);
	return 0;
}

static void test_open_arguments(void **state)
{
	static const char *const bad_names[] = { "",	      ".",   "..",     ".t", "a/b", "a b",
						 "t\xc3\xa4", "a\n", "name:x", "~",  "t*" };
	struct fixture *f = *state;
	struct estate_table_attr attr = counters_attr();
	struct estate_table *const untouched = (struct estate_table *)&attr;
	struct estate_table *table = untouched;
	char name[ESTATE_NAME_MAX + 1];

	assert_error(estate_table_open(NULL, "x", &attr, &table), -EINVAL, "es");
	assert_error(estate_table_open(f->es, NULL, &attr, &table), -EINVAL, "name");
	assert_error(estate_table_open(f->es, "x", &attr, NULL), -EINVAL, "table");
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++)
		assert_error(estate_table_open(f->es, bad_names[i], &attr, &table), -EINVAL,
			     "name");
	memset(name, 'n', sizeof(name));
	name[ESTATE_NAME_MAX] = 0;
	assert_error(estate_table_open(f->es, name, &attr, &table), -EINVAL, "63");
	attr.key_size = 0;
	assert_error(estate_table_open(f->es, "x", &attr, &table), -EINVAL, "key_size");
	attr = counters_attr();
	attr.size = 8;
	assert_error(estate_table_open(f->es, "x", &attr, &table), -EINVAL,
		     "ESTATE_TABLE_ATTR_INIT");
	assert_error(estate_table_open(f->es, "x", NULL, &table), -ENOENT, "x");
	assert_error(estate_table_open(f->observer, "x", NULL, &table), -ENOENT, "x");
	attr = counters_attr();
	attr.durability = ESTATE_DURABILITY_BEFORE_RETURN;
	assert_error(estate_table_open(f->es, "x", &attr, &table), -ENOTSUP, "pool");
	attr = counters_attr();
	attr.merge = ESTATE_MERGE_CUSTOM;
	assert_error(estate_table_open(f->es, "x", &attr, &table), -EINVAL, "custom is NULL");
	assert_ptr_equal(table, untouched);
	/* Nothing of all that is there now. */
	assert_int_equal(f->es->table_count, 3);
	assert_int_equal(region_tables(f->es->region.memory), 3);
	/* The longest name is one. */
	name[ESTATE_NAME_MAX - 1] = 0;
	attr = counters_attr();
	assert_ok(estate_table_open(f->es, name, &attr, &table));
	assert_string_equal(table->name, name);
}

static void test_open_again(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = counters_attr();
	struct estate_table *const untouched = (struct estate_table *)&attr;
	struct estate_table *table = NULL;

	assert_ok(estate_table_open(f->es, "t", &attr, &table));
	assert_ptr_equal(table, f->table);
	table = NULL;
	assert_ok(estate_table_open(f->es, "t", NULL, &table));
	assert_ptr_equal(table, f->table);
	table = untouched;
	for (int field = 0; field < 6; field++) {
		attr = counters_attr();
		attr.key_size += field == 0;
		attr.value_count += field == 1;
		attr.capacity += field == 2;
		attr.seed += field == 3;
		if (field == 4)
			attr.value_type = ESTATE_I64;
		if (field == 5)
			attr.merge = ESTATE_MERGE_MAX;
		assert_error(estate_table_open(f->es, "t", &attr, &table), -EEXIST, "geometry");
		assert_ptr_equal(table, untouched);
	}
	/* An observer's table has a geometry, too. */
	assert_error(estate_table_open(f->observer, "t", &attr, &table), -EEXIST, "geometry");
	attr = counters_attr();
	assert_ok(estate_table_open(f->observer, "t", &attr, &table));
	assert_ptr_equal(table, f->observed);
}

static void test_open_as_in_group(void **state)
{
	struct fixture *f = *state;
	struct estate *other = group_open(f->folder, "other", 1 << 20);
	struct estate_table *table;
	struct estate_table *odd;
	struct estate_table_attr attr = counters_attr();

	group_wait(other, 2);
	assert_ok(estate_table_open(other, "t", NULL, &table));
	assert_true(geometry_same(&table->geometry, &f->table->geometry));
	assert_ok(estate_put(table, KEY, KEY_LENGTH, (uint64_t[]){ 1, 2 }, 16));
	/* Another instance may have another geometry; that is for global reads to say. */
	attr.capacity++;
	assert_ok(estate_table_open(other, "custom", &attr, &odd));
	estate_close(other);
}

static void test_directory_full(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = counters_attr();
	struct estate_table *table;
	struct estate_table *again;
	char name[16];

	for (int i = 3; i < ESTATE_TABLES_MAX; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		assert_ok(estate_table_open(f->es, name, &attr, &table));
	}
	again = table;
	assert_error(estate_table_open(f->es, "one-more", &attr, &table), -ENOSPC, "64");
	assert_ptr_equal(table, again);
	/* Those that are there can be opened, and used. */
	assert_ok(estate_table_open(f->es, name, &attr, &again));
	assert_ptr_equal(table, again);
	assert_ok(estate_put(table, KEY, KEY_LENGTH, (uint64_t[]){ 1, 2 }, 16));
}

/* The sentence says which region_size would do; it does, and a page less does not. */
static void test_region_full(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = counters_attr();
	struct estate_table *table = NULL;
	struct estate *small = group_open(f->folder, "small", 64 << 10);
	unsigned long long needed;
	const char *figure;

	attr.capacity = 3000;
	assert_error(estate_table_open(small, "big", &attr, &table), -ENOSPC, "region_size");
	assert_null(table);
	assert_int_equal(small->table_count, 0);
	figure = strstr(estate_errormsg(), "at least ");
	assert_non_null(figure);
	needed = strtoull(figure + strlen("at least "), NULL, 10);
	assert_true(needed > estate_table_bytes(&attr));
	estate_close(small);
	small = group_open(f->folder, "small", needed - 4096);
	assert_int_equal(estate_table_open(small, "big", &attr, &table), -ENOSPC);
	estate_close(small);
	small = group_open(f->folder, "small", needed);
	assert_ok(estate_table_open(small, "big", &attr, &table));
	/* Not another byte is left; the next one is refused, and this one works. */
	attr.capacity = 1;
	assert_error(estate_table_open(small, "more", &attr, &table), -ENOSPC, " 0 left");
	for (uint32_t i = 0; i < 3000; i++)
		assert_ok(estate_put(table, &i, sizeof(i), (uint64_t[]){ i, i }, 16));
	estate_close(small);
}

static int never_called(void *value, size_t *length, size_t size, void *arg)
{
	(void)value;
	(void)length;
	(void)size;
	(void)arg;
	fail_msg("called, although the arguments are bad");
	return 0;
}

static int never_visited(const void *key, size_t key_length, const void *value, size_t value_length,
			 uint64_t stamp, void *arg)
{
	(void)key;
	(void)key_length;
	(void)value;
	(void)value_length;
	(void)stamp;
	(void)arg;
	fail_msg("visited, although there is nothing to visit");
	return 0;
}

#define CALLS 11

static const char *const call_names[CALLS] = { "put",	 "get",	       "get_batch",  "put_batch",
					       "delete", "add",	       "add_fields", "fold",
					       "update", "entry_open", "iterate" };

/* Make call number @call with good arguments but for these. */
static int call(unsigned int number, struct estate_table *table, const void *key, size_t key_length)
{
	const void *const keys[] = { key ? key : KEY };
	const void *const *const all_keys = key ? keys : NULL;
	struct estate_entry entry;
	uint64_t value[2] = { 0 };
	size_t length;
	int status;

	switch (number) {
	case 0:
		return estate_put(table, key, key_length, value, sizeof(value));
	case 1:
		return estate_get(table, key, key_length, value, sizeof(value), &length);
	case 2:
		return estate_get_batch(table, 1, all_keys, key_length, value, sizeof(value),
					&status);
	case 3:
		return estate_put_batch(table, 1, all_keys, key_length, value, sizeof(value),
					&status);
	case 4:
		return estate_delete(table, key, key_length);
	case 5:
		return estate_add(table, key, key_length, value);
	case 6:
		return estate_add_fields(table, key, key_length, 0, 1, value);
	case 7:
		return estate_fold(table, key, key_length, value, sizeof(value));
	case 8:
		return estate_update(table, key, key_length, never_called, NULL);
	case 9:
		return estate_entry_open(table, key, key_length, &entry);
	default:
		return estate_iterate(table, never_visited, NULL);
	}
}

static void expect(unsigned int number, int result, int expected, const char *word)
{
	if (result != expected || !strstr(estate_errormsg(), word))
		fail_msg("estate_%s: %d, \"%s\": not %d, \"...%s...\"", call_names[number], result,
			 estate_errormsg(), expected, word);
}

static void test_keys(void **state)
{
	struct fixture *f = *state;
	struct estate_table_stats stats;

	for (unsigned int i = 0; i < CALLS; i++) {
		expect(i, call(i, NULL, KEY, KEY_LENGTH), -EINVAL, "table is NULL");
		expect(i, call(i, f->observed, KEY, KEY_LENGTH), -EROFS, "observer");
		if (i == CALLS - 1)
			break; /* iterate takes no key */
		expect(i, call(i, f->table, NULL, KEY_LENGTH), -EINVAL, "key is NULL");
		expect(i, call(i, f->table, KEY, 0), -EINVAL, "0 bytes");
		expect(i, call(i, f->table, KEY, KEY_LENGTH + 1), -EINVAL, "17 bytes");
		expect(i, call(i, f->table, KEY, SIZE_MAX), -EINVAL, "1 to 16");
		/* That a key is bad is what an observer hears first. */
		expect(i, call(i, f->observed, KEY, 0), -EINVAL, "0 bytes");
	}
	assert_ok(estate_table_stats(f->table, &stats));
	assert_int_equal(stats.entries, 0);
}

static void test_other_arguments(void **state)
{
	struct fixture *f = *state;
	const void *const keys[] = { KEY, NULL, KEY };
	struct estate_entry entry = { 0 };
	struct estate_table_stats stats;
	uint64_t values[6] = { 1, 2, 3, 4, 5, 6 };
	int status[3] = { 7, 7, 7 };
	size_t length;

	assert_error(estate_put(f->table, KEY, KEY_LENGTH, NULL, 16), -EINVAL, "value");
	assert_error(estate_get(f->table, KEY, KEY_LENGTH, NULL, 16, &length), -EINVAL, "value");
	assert_error(estate_get_batch(f->table, 1, keys, KEY_LENGTH, NULL, 16, status), -EINVAL,
		     "values");
	assert_error(estate_get_batch(f->table, 1, keys, KEY_LENGTH, values, 16, NULL), -EINVAL,
		     "status");
	assert_error(estate_get_batch(f->table, 3, keys, KEY_LENGTH, values, 16, status), -EINVAL,
		     "key 1");
	assert_error(estate_put_batch(f->table, 1, keys, KEY_LENGTH, NULL, 16, status), -EINVAL,
		     "values");
	assert_error(estate_put_batch(f->table, 1, keys, KEY_LENGTH, values, 16, NULL), -EINVAL,
		     "status");
	assert_error(estate_put_batch(f->table, 3, keys, KEY_LENGTH, values, 16, status), -EINVAL,
		     "key 1");
	assert_error(estate_add(f->table, KEY, KEY_LENGTH, NULL), -EINVAL, "deltas");
	assert_error(estate_add_fields(f->table, KEY, KEY_LENGTH, 0, 1, NULL), -EINVAL, "deltas");
	assert_error(estate_fold(f->table, KEY, KEY_LENGTH, NULL, 16), -EINVAL, "value");
	assert_error(estate_update(f->table, KEY, KEY_LENGTH, NULL, NULL), -EINVAL, "update");
	assert_error(estate_iterate(f->table, NULL, NULL), -EINVAL, "visit");
	assert_error(estate_entry_open(f->table, KEY, KEY_LENGTH, NULL), -EINVAL, "entry");
	assert_error(estate_table_stats(NULL, &stats), -EINVAL, "table");
	assert_error(estate_table_stats(f->table, NULL), -EINVAL, "stats");
	assert_error(estate_table_stats(f->observed, &stats), -EROFS, "observer");
	assert_error(estate_entry_add(NULL, values), -EINVAL, "handle");
	assert_error(estate_entry_add(&entry, values), -EINVAL, "never opened");
	assert_error(estate_entry_put(NULL, values, 16), -EINVAL, "handle");
	assert_error(estate_entry_put(&entry, values, 16), -EINVAL, "never opened");
	assert_error(estate_entry_get(NULL, values, 16, NULL), -EINVAL, "handle");
	assert_error(estate_entry_get(&entry, values, 16, NULL), -EINVAL, "never opened");
	/* None of them left anything behind. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(status[i], 7);
	assert_int_equal(values[0], 1);
	assert_ok(estate_table_stats(f->table, &stats));
	assert_int_equal(stats.entries, 0);
}

static void test_value_lengths(void **state)
{
	struct fixture *f = *state;
	const void *const keys[] = { KEY };
	unsigned char value[OPAQUE_SIZE + 8] = "value";
	struct estate_entry entry;
	size_t length = 99;
	int status = 7;

	for (size_t bytes = 0; bytes < sizeof(value); bytes++) {
		int fits = bytes == 16;

		if (!fits) {
			assert_error(estate_put(f->table, KEY, KEY_LENGTH, value, bytes), -EMSGSIZE,
				     "2 elements: 16 bytes");
			assert_error(estate_fold(f->table, KEY, KEY_LENGTH, value, bytes),
				     -EMSGSIZE, "16 bytes");
			assert_error(estate_put_batch(f->table, 1, keys, KEY_LENGTH, value, bytes,
						      &status),
				     -EMSGSIZE, "16 bytes");
		}
		if (bytes > OPAQUE_SIZE) {
			assert_error(estate_put(f->opaque, KEY, KEY_LENGTH, value, bytes),
				     -EMSGSIZE, "at most 40");
			assert_error(estate_fold(f->opaque, KEY, KEY_LENGTH, value, bytes),
				     -EMSGSIZE, "at most 40");
			assert_error(estate_put_batch(f->opaque, 1, keys, KEY_LENGTH, value, bytes,
						      &status),
				     -EMSGSIZE, "at most 40");
			continue;
		}
		assert_ok(estate_put(f->opaque, KEY, KEY_LENGTH, value, bytes));
		assert_ok(estate_get(f->opaque, KEY, KEY_LENGTH, value, bytes, &length));
		assert_int_equal(length, bytes);
	}
	assert_int_equal(status, 7);
	assert_error(estate_get(f->table, KEY, KEY_LENGTH, value, 16, NULL), -ENOENT, "no value");
	assert_ok(estate_entry_open(f->table, KEY, KEY_LENGTH, &entry));
	assert_error(estate_entry_put(&entry, value, 8), -EMSGSIZE, "16 bytes");
	assert_ok(estate_entry_open(f->opaque, KEY, KEY_LENGTH, &entry));
	assert_error(estate_entry_put(&entry, value, OPAQUE_SIZE + 1), -EMSGSIZE, "at most 40");
	assert_error(estate_entry_get(&entry, value, OPAQUE_SIZE - 1, NULL), -EMSGSIZE, "40 bytes");
}

/* Too little room, or no such key: nothing is written. */
static void test_get_leaves_alone(void **state)
{
	struct fixture *f = *state;
	unsigned char room[OPAQUE_SIZE];
	unsigned char before[OPAQUE_SIZE];
	size_t length = 1234;

	memset(room, 0xa5, sizeof(room));
	memset(before, 0xa5, sizeof(before));
	assert_error(estate_get(f->table, KEY, KEY_LENGTH, room, sizeof(room), &length), -ENOENT,
		     "no value");
	assert_ok(estate_put(f->table, KEY, KEY_LENGTH, (uint64_t[]){ 1, 2 }, 16));
	assert_error(estate_get(f->table, KEY, KEY_LENGTH, room, 15, &length), -EMSGSIZE,
		     "16 bytes, there is room for 15");
	assert_ok(estate_put(f->opaque, KEY, KEY_LENGTH, "0123456789", 10));
	assert_error(estate_get(f->opaque, KEY, KEY_LENGTH, room, 9, &length), -EMSGSIZE,
		     "room for 9");
	assert_memory_equal(room, before, sizeof(room));
	assert_int_equal(length, 1234);
	/* As much room as there is value: not a byte beyond. */
	assert_ok(estate_get(f->opaque, KEY, KEY_LENGTH, room, 10, NULL));
	assert_memory_equal(room, "0123456789", 10);
	assert_memory_equal(room + 10, before, sizeof(room) - 10);
	assert_error(estate_delete(f->table, "other", 5), -ENOENT, "no value");
}

static int set_one(void *value, size_t *length, size_t size, void *arg)
{
	(void)arg;
	memset(value, 1, size);
	*length = size;
	return 0;
}

static void test_capacity(void **state)
{
	struct fixture *f = *state;
	const void *const keys[] = { "k0", "x0", "k1", "x1" };
	const uint64_t value[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct estate_entry entry;
	struct estate_table_stats stats;
	uint64_t got[2];
	int status[4];
	char key[8];

	for (int i = 0; i < CAPACITY; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_ok(estate_put(f->table, key, 2, value, 16));
	}
	assert_error(estate_put(f->table, "x0", 2, value, 16), -ENOSPC, "capacity of 10");
	assert_error(estate_add(f->table, "x0", 2, value), -ENOSPC, "full");
	assert_error(estate_add_fields(f->table, "x0", 2, 0, 1, value), -ENOSPC, "full");
	assert_error(estate_fold(f->table, "x0", 2, value, 16), -ENOSPC, "full");
	assert_error(estate_update(f->table, "x0", 2, set_one, NULL), -ENOSPC, "full");
	assert_error(estate_entry_open(f->table, "x0", 2, &entry), -ENOSPC, "full");
	assert_int_equal(estate_put_batch(f->table, 4, keys, 2, value, 16, status), 2);
	assert_int_equal(status[0], 0);
	assert_int_equal(status[1], -ENOSPC);
	assert_int_equal(status[2], 0);
	assert_int_equal(status[3], -ENOSPC);
	assert_error(estate_get(f->table, "x0", 2, got, 16, NULL), -ENOENT, "no value");
	assert_ok(estate_table_stats(f->table, &stats));
	assert_int_equal(stats.entries, CAPACITY);
	/* Those that are there can be changed; and one that goes makes room for one. */
	assert_ok(estate_add(f->table, "k1", 2, value));
	assert_ok(estate_get(f->table, "k1", 2, got, 16, NULL));
	assert_int_equal(got[0], 5 + 1);
	assert_ok(estate_delete(f->table, "k1", 2));
	assert_ok(estate_put(f->table, "x0", 2, value, 16));
	assert_error(estate_put(f->table, "k1", 2, value, 16), -ENOSPC, "full");
}

static void test_fields(void **state)
{
	struct fixture *f = *state;
	const uint64_t deltas[2] = { 10, UINT64_MAX };
	uint64_t got[2];

	assert_error(estate_add_fields(f->table, KEY, KEY_LENGTH, 0, 3, deltas), -ERANGE, "has 2");
	assert_error(estate_add_fields(f->table, KEY, KEY_LENGTH, 1, 2, deltas), -ERANGE, "has 2");
	assert_error(estate_add_fields(f->table, KEY, KEY_LENGTH, 2, 1, deltas), -ERANGE, "has 2");
	assert_error(estate_add_fields(f->table, KEY, KEY_LENGTH, 3, 0, deltas), -ERANGE, "has 2");
	assert_error(estate_add_fields(f->table, KEY, KEY_LENGTH, 1, SIZE_MAX, deltas), -ERANGE,
		     "element");
	assert_error(estate_add_fields(f->table, KEY, KEY_LENGTH, SIZE_MAX, 2, deltas), -ERANGE,
		     "element");
	assert_error(estate_get(f->table, KEY, KEY_LENGTH, got, 16, NULL), -ENOENT, "no value");
	assert_error(estate_add(f->opaque, KEY, KEY_LENGTH, deltas), -ENOTSUP, "opaque");
	assert_error(estate_add_fields(f->opaque, KEY, KEY_LENGTH, 0, 1, deltas), -ENOTSUP,
		     "opaque");
	assert_ok(estate_add_fields(f->table, KEY, KEY_LENGTH, 1, 1, deltas));
	assert_ok(estate_add_fields(f->table, KEY, KEY_LENGTH, 1, 1, deltas));
	assert_ok(estate_add_fields(f->table, KEY, KEY_LENGTH, 2, 0, deltas));
	assert_ok(estate_get(f->table, KEY, KEY_LENGTH, got, 16, NULL));
	assert_int_equal(got[0], 0);
	assert_int_equal(got[1], 20);
	/* To subtract one: the two's complement. */
	assert_ok(estate_add(f->table, KEY, KEY_LENGTH, deltas));
	assert_ok(estate_get(f->table, KEY, KEY_LENGTH, got, 16, NULL));
	assert_int_equal(got[0], 10);
	assert_int_equal(got[1], 19);
}

static void test_fold(void **state)
{
	static const struct {
		enum estate_merge merge;
		uint64_t result[2];
	} rules[] = {
		{ ESTATE_MERGE_LATEST, { 5, 9 } },     { ESTATE_MERGE_SUM, { 11, 12 } },
		{ ESTATE_MERGE_MIN, { 5, 3 } },	       { ESTATE_MERGE_MAX, { 6, 9 } },
		{ ESTATE_MERGE_OR, { 5 | 6, 9 | 3 } },
	};
	struct fixture *f = *state;
	const uint64_t first[2] = { 6, 3 };
	const uint64_t second[2] = { 5, 9 };
	struct estate_table *table;
	uint64_t got[2];

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct estate_table_attr attr = counters_attr();
		char name[16];

		attr.merge = rules[i].merge;
		snprintf(name, sizeof(name), "fold%zu", i);
		assert_ok(estate_table_open(f->es, name, &attr, &table));
		/* A new key takes the value as it is: no minimum with zeros. */
		assert_ok(estate_fold(table, KEY, KEY_LENGTH, first, 16));
		assert_ok(estate_get(table, KEY, KEY_LENGTH, got, 16, NULL));
		assert_memory_equal(got, first, 16);
		assert_ok(estate_fold(table, KEY, KEY_LENGTH, second, 16));
		assert_ok(estate_get(table, KEY, KEY_LENGTH, got, 16, NULL));
		assert_memory_equal(got, rules[i].result, 16);
	}
	assert_error(estate_fold(f->custom, KEY, KEY_LENGTH, first, 16), -ENOTSUP, "estate_update");
}

struct change {
	const char *text; /* to append; NULL: change nothing */
	size_t set; /* the length to claim, 0 for the right one */
	int result;
	size_t seen; /* length on entry */
	int zeros; /* beyond that length there were only zeros */
};

static int append(void *value, size_t *length, size_t size, void *arg)
{
	struct change *change = arg;
	unsigned char *bytes = value;

	change->seen = *length;
	change->zeros = 1;
	for (size_t i = *length; i < size; i++)
		change->zeros &= !bytes[i];
	if (change->text) {
		memcpy(bytes + *length, change->text, strlen(change->text));
		*length += strlen(change->text);
	}
	if (change->set)
		*length = change->set;
	return change->result;
}

static void test_update(void **state)
{
	struct fixture *f = *state;
	struct change change = { .text = "abc" };
	unsigned char got[OPAQUE_SIZE];
	uint64_t counters[2];
	size_t length;

	/* A failing function leaves no entry behind, and changes none. */
	change.result = -EPERM;
	assert_int_equal(estate_update(f->opaque, KEY, KEY_LENGTH, append, &change), -EPERM);
	assert_int_equal(change.seen, 0);
	assert_true(change.zeros);
	assert_int_equal(estate_get(f->opaque, KEY, KEY_LENGTH, got, sizeof(got), NULL), -ENOENT);
	change.result = 0;
	assert_ok(estate_update(f->opaque, KEY, KEY_LENGTH, append, &change));
	change.text = "defghijkl";
	assert_ok(estate_update(f->opaque, KEY, KEY_LENGTH, append, &change));
	assert_int_equal(change.seen, 3);
	assert_ok(estate_get(f->opaque, KEY, KEY_LENGTH, got, sizeof(got), &length));
	assert_int_equal(length, 12);
	assert_memory_equal(got, "abcdefghijkl", 12);

	change.set = OPAQUE_SIZE + 1;
	assert_error(estate_update(f->opaque, KEY, KEY_LENGTH, append, &change), -EMSGSIZE,
		     "at most 40");
	change.set = 0;
	change.result = -7777;
	assert_int_equal(estate_update(f->opaque, KEY, KEY_LENGTH, append, &change), -7777);
	change.result = 0;
	assert_ok(estate_get(f->opaque, KEY, KEY_LENGTH, got, sizeof(got), &length));
	assert_int_equal(length, 12);

	/* Made shorter, what was beyond is zeros for the next one. */
	change.text = NULL;
	change.set = 2;
	assert_ok(estate_update(f->opaque, KEY, KEY_LENGTH, append, &change));
	change.text = "X";
	change.set = 0;
	assert_ok(estate_update(f->opaque, KEY, KEY_LENGTH, append, &change));
	assert_int_equal(change.seen, 2);
	assert_true(change.zeros);
	assert_ok(estate_get(f->opaque, KEY, KEY_LENGTH, got, sizeof(got), &length));
	assert_int_equal(length, 3);
	assert_memory_equal(got, "abX", 3);

	/* A numeric value has its full length, whatever the function says of it. */
	change = (struct change){ .set = 3 };
	assert_ok(estate_update(f->table, KEY, KEY_LENGTH, append, &change));
	assert_int_equal(change.seen, 0);
	assert_true(change.zeros);
	assert_ok(estate_update(f->table, KEY, KEY_LENGTH, append, &change));
	assert_int_equal(change.seen, 16);
	assert_ok(estate_get(f->table, KEY, KEY_LENGTH, counters, 16, &length));
	assert_int_equal(length, 16);
	assert_int_equal(counters[0], 0);
	assert_int_equal(counters[1], 0);
}

#define BATCH 40 /* more than two times as many as are in flight */

static void test_batches(void **state)
{
	struct fixture *f = *state;
	struct estate_table *table = group_counters(f->es, "batch", 8, 1, 2 * BATCH);
	uint64_t key[2 * BATCH];
	const void *keys[2 * BATCH];
	uint64_t values[2 * BATCH];
	unsigned char narrow[2 * BATCH];
	int status[2 * BATCH];

	for (uint64_t i = 0; i < 2 * BATCH; i++) {
		key[i] = i * 7919;
		keys[i] = &key[i];
		values[i] = i * i;
	}
	assert_int_equal(estate_put_batch(table, 0, keys, 8, values, 8, status), 0);
	assert_int_equal(estate_get_batch(table, 0, keys, 8, values, 8, status), 0);
	assert_int_equal(estate_put_batch(table, BATCH, keys, 8, values, 8, status), BATCH);
	for (int i = 0; i < BATCH; i++)
		assert_int_equal(status[i], 0);
	memset(values, 0xff, sizeof(values));
	assert_int_equal(estate_get_batch(table, 2 * BATCH, keys, 8, values, 8, status), BATCH);
	for (uint64_t i = 0; i < 2 * BATCH; i++) {
		assert_int_equal(status[i], i < BATCH ? 8 : -ENOENT);
		assert_int_equal(values[i], i < BATCH ? i * i : UINT64_MAX);
	}
	/* One key twice in a batch: in order. */
	keys[1] = keys[0];
	values[0] = 100;
	values[1] = 200;
	assert_int_equal(estate_put_batch(table, 2, keys, 8, values, 8, status), 2);
	assert_int_equal(estate_get_batch(table, 1, keys, 8, values, 8, status), 1);
	assert_int_equal(values[0], 200);
	/* Too little room for each. */
	memset(narrow, 0xa5, sizeof(narrow));
	assert_int_equal(estate_get_batch(table, BATCH, keys, 8, narrow, 1, status), 0);
	for (int i = 0; i < BATCH; i++) {
		assert_int_equal(status[i], -EMSGSIZE);
		assert_int_equal(narrow[i], 0xa5);
	}
}

static void test_stats(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = counters_attr();
	struct estate_table_stats stats;
	struct estate_table *table;
	const uint64_t value[2] = { 0 };

	attr.capacity = 2000;
	assert_ok(estate_table_open(f->es, "stats", &attr, &table));
	assert_ok(estate_table_stats(table, &stats));
	assert_int_equal(stats.capacity, 2000);
	assert_int_equal(stats.entries, 0);
	assert_int_equal(stats.overflowed, 0);
	assert_true(stats.slots > stats.capacity);
	assert_int_equal(stats.bytes, estate_table_bytes(&attr));
	assert_true(stats.sidecar_bytes >= stats.slots);
	for (uint64_t i = 0; i < 2000; i++)
		assert_ok(estate_put(table, &i, sizeof(i), value, 16));
	assert_ok(estate_table_stats(table, &stats));
	assert_int_equal(stats.entries, 2000);
	/* At full capacity, a key in a hundred or so. */
	assert_in_range(stats.overflowed, 1, 200);
	for (uint64_t i = 0; i < 2000; i++)
		assert_ok(estate_delete(table, &i, sizeof(i)));
	assert_ok(estate_table_stats(table, &stats));
	assert_int_equal(stats.entries, 0);
	assert_int_equal(stats.overflowed, 0);
	assert_int_equal(stats.capacity, 2000);
}

struct walk {
	struct estate_table *table;
	unsigned int visits;
	unsigned int stop_at;
	uint64_t stamp;
};

static int visit(const void *key, size_t key_length, const void *value, size_t value_length,
		 uint64_t stamp, void *arg)
{
	struct walk *walk = arg;
	uint64_t got[2];

	assert_int_equal(key_length, 4);
	assert_int_equal(value_length, 16);
	assert_int_equal((uintptr_t)value % 8, 0);
	/* No lock is held: the library may be called. */
	assert_ok(estate_get(walk->table, key, key_length, got, sizeof(got), NULL));
	assert_memory_equal(got, value, 16);
	walk->stamp = stamp;
	return ++walk->visits == walk->stop_at ? -12345 : 0;
}

static void test_iterate(void **state)
{
	struct fixture *f = *state;
	struct walk walk = { .table = f->table };
	uint64_t before;

	assert_ok(estate_iterate(f->table, never_visited, NULL));
	for (uint32_t i = 0; i < 5; i++)
		assert_ok(estate_put(f->table, &i, 4, (uint64_t[]){ i, i }, 16));
	assert_ok(estate_iterate(f->table, visit, &walk));
	assert_int_equal(walk.visits, 5);
	walk = (struct walk){ .table = f->table, .stop_at = 2 };
	assert_int_equal(estate_iterate(f->table, visit, &walk), -12345);
	assert_int_equal(walk.visits, 2);
	for (uint32_t i = 1; i < 5; i++)
		assert_ok(estate_delete(f->table, &i, 4));
	walk = (struct walk){ .table = f->table };
	assert_ok(estate_iterate(f->table, visit, &walk));
	assert_int_equal(walk.visits, 1);
	/* Each write has a later stamp than the one before it, of the same tick too. */
	for (uint64_t i = 0; i < 100; i++) {
		before = walk.stamp;
		assert_ok(estate_put(f->table, &(uint32_t){ 0 }, 4, (uint64_t[]){ i, i }, 16));
		assert_ok(estate_iterate(f->table, visit, &walk));
		assert_true(walk.stamp > before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_as_in_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_region_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_value_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_get_leaves_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capacity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_update, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iterate, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
