// SPDX-License-Identifier: BSD-3-Clause
/*
 * A table against a plain reference: random operations on keys out of a small
 * universe, in several geometries, filled to capacity again and again. Every
 * read is made twice: as the owner does, and as somebody else does who has
 * nothing but the region.
 *
 * ESTATE_TEST_SEED repeats a run; ESTATE_TEST_OPERATIONS changes its length.
 */
#include "check.h"
#include "clock.h"
#include "entry.h"
#include "group.h"
#include "merge.h"
#include "remote.h"
#include "scratch.h"
#include "store.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shape {
	const char *name;
	size_t key_size;
	enum estate_type type;
	size_t value_count;
	enum estate_merge merge;
	size_t capacity;
	unsigned int universe; /* different keys */
	unsigned int operations;
};

static const struct shape shapes[] = {
	{ "counters", 16, ESTATE_U64, 4, ESTATE_MERGE_SUM, 1000, 1500, 1000000 },
	{ "tuples", 13, ESTATE_U64, 2, ESTATE_MERGE_SUM, 700, 800, 500000 },
	{ "one", 1, ESTATE_U8, 1, ESTATE_MERGE_MAX, 1, 3, 50000 },
	{ "tiny", 4, ESTATE_U32, 3, ESTATE_MERGE_MIN, 5, 9, 200000 },
	{ "bytes", 40, ESTATE_OPAQUE, 200, ESTATE_MERGE_LATEST, 300, 400, 400000 },
	{ "wide keys", 256, ESTATE_I64, 1, ESTATE_MERGE_SUM, 100, 150, 200000 },
	{ "bloom", 8, ESTATE_U64, 32, ESTATE_MERGE_OR, 200, 250, 200000 },
	{ "reals", 8, ESTATE_F64, 3, ESTATE_MERGE_MAX, 200, 250, 200000 },
	{ "extents", 24, ESTATE_OPAQUE, 3000, ESTATE_MERGE_LATEST, 60, 90, 100000 },
	{ "sketch", 8, ESTATE_U32, 1024, ESTATE_MERGE_SUM, 20, 25, 50000 },
	/* With those above, all that have calls of their own (whole.h). */
	{ "whole 8-8", 8, ESTATE_U64, 1, ESTATE_MERGE_SUM, 200, 250, 200000 },
	{ "whole 8-16", 8, ESTATE_I64, 2, ESTATE_MERGE_SUM, 200, 250, 200000 },
	{ "whole 8-24", 8, ESTATE_OPAQUE, 24, ESTATE_MERGE_LATEST, 200, 250, 200000 },
	{ "whole 8-32", 8, ESTATE_U64, 4, ESTATE_MERGE_SUM, 200, 250, 200000 },
	{ "whole 16-8", 16, ESTATE_U32, 2, ESTATE_MERGE_SUM, 400, 500, 200000 },
	{ "whole 16-16", 16, ESTATE_U64, 2, ESTATE_MERGE_SUM, 400, 500, 200000 },
	{ "whole 16-24", 16, ESTATE_F64, 3, ESTATE_MERGE_SUM, 400, 500, 200000 },
	{ "whole 16-32", 16, ESTATE_OPAQUE, 32, ESTATE_MERGE_LATEST, 400, 500, 200000 },
};

/* What a key should have. */
struct expected {
	int present;
	size_t length;
	unsigned char value[4096];
};

struct model {
	const struct shape *shape;
	struct estate_table *table;
	struct remote_table remote;
	size_t value_size;
	struct expected *keys;
	unsigned int present;
	uint64_t random;
};

static uint64_t draw(struct model *model)
{
	model->random ^= model->random << 13;
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return model->random * 2685821657736338717ull >> 16;
}

/* Keys of all lengths, with zeros in them, prefixes of each other. */
static size_t make_key(const struct model *model, unsigned int id, unsigned char *key)
{
	size_t size = model->shape->key_size;
	size_t least = size < 4 ? 1 : 4;
	size_t length = least + id % (size - least + 1);

	memset(key, 0, size);
	for (size_t i = 0; i < least; i++)
		key[i] = (unsigned char)(id >> (8 * i));
	if (length > 6)
		key[length - 1] = (unsigned char)(id % 3);
	return length;
}

static size_t make_value(struct model *model, unsigned char *value)
{
	size_t length = model->value_size;

	if (model->shape->type == ESTATE_OPAQUE)
		length = draw(model) % (model->value_size + 1);
	for (size_t i = 0; i < length; i++)
		value[i] = (unsigned char)draw(model);
	if (model->shape->type == ESTATE_F64)
		for (size_t i = 0; i < model->shape->value_count; i++) {
			double real = (double)(draw(model) % 100000);

			memcpy(value + i * 8, &real, 8);
		}
	return length;
}

static void check_get(struct model *model, unsigned int id)
{
	static unsigned char value[4096] __attribute__((aligned(8)));
	const struct expected *expected = &model->keys[id];
	struct remote_value remote = { .data = value };
	struct entry_key ready;
	unsigned char key[ESTATE_KEY_MAX];
	size_t key_length = make_key(model, id, key);
	size_t length = 12345;
	int error = estate_get(model->table, key, key_length, value, sizeof(value), &length);

	assert_int_equal(error, expected->present ? 0 : -ENOENT);
	if (expected->present) {
		assert_int_equal(length, expected->length);
		assert_memory_equal(value, expected->value, length);
	} else {
		assert_int_equal(length, 12345);
	}
	table_key(model->table, key, key_length, &ready);
	error = remote_get(&model->remote, &ready, UINT64_MAX, &remote);
	assert_int_equal(error, expected->present ? 0 : -ENOENT);
	if (expected->present) {
		assert_int_equal(remote.length, expected->length);
		assert_memory_equal(value, expected->value, remote.length);
	}
}

/* A write of a key that is new fails if the table is full, and then changes nothing. */
static int accept(struct model *model, unsigned int id, int error)
{
	struct expected *expected = &model->keys[id];

	if (!expected->present && model->present == model->shape->capacity) {
		assert_error(error, -ENOSPC, "full");
		return 0;
	}
	assert_ok(error);
	model->present += !expected->present;
	if (!expected->present) {
		memset(expected->value, 0, sizeof(expected->value));
		expected->length = 0;
	}
	expected->present = 1;
	return 1;
}

static void do_put(struct model *model, unsigned int id)
{
	unsigned char key[ESTATE_KEY_MAX];
	unsigned char value[4096];
	size_t length = make_value(model, value);
	struct estate_entry entry;
	int error;

	if (model->keys[id].present && draw(model) % 2) {
		size_t key_length = make_key(model, id, key);

		assert_ok(estate_entry_open(model->table, key, key_length, &entry));
		error = estate_entry_put(&entry, value, length);
	} else {
		error = estate_put(model->table, key, make_key(model, id, key), value, length);
	}
	if (!accept(model, id, error))
		return;
	model->keys[id].length = length;
	memcpy(model->keys[id].value, value, length);
}

static void do_add(struct model *model, unsigned int id)
{
	unsigned char key[ESTATE_KEY_MAX];
	unsigned char deltas[4096] = { 0 };
	size_t count = model->shape->value_count;
	size_t first = draw(model) % count;
	size_t element = model->value_size / count;
	size_t key_length = make_key(model, id, key);

	if (model->shape->type == ESTATE_OPAQUE) {
		assert_error(estate_add(model->table, key, key_length, deltas), -ENOTSUP, "opaque");
		return;
	}
	make_value(model, deltas);
	count = 1 + draw(model) % (count - first);
	if (!accept(model, id,
		    estate_add_fields(model->table, key, key_length, first, count, deltas)))
		return;
	model->keys[id].length = model->value_size;
	merge_add(model->shape->type, model->keys[id].value + first * element, deltas, count);
}

static void do_entry_add(struct model *model, unsigned int id)
{
	unsigned char key[ESTATE_KEY_MAX];
	unsigned char deltas[4096];
	size_t key_length = make_key(model, id, key);
	struct estate_entry entry;

	if (model->shape->type == ESTATE_OPAQUE || !model->keys[id].present)
		return;
	make_value(model, deltas);
	assert_ok(estate_entry_open(model->table, key, key_length, &entry));
	assert_ok(estate_entry_add(&entry, deltas));
	merge_add(model->shape->type, model->keys[id].value, deltas, model->shape->value_count);
}

static void do_fold(struct model *model, unsigned int id)
{
	unsigned char key[ESTATE_KEY_MAX];
	unsigned char value[4096];
	size_t length = make_value(model, value);
	struct expected *expected = &model->keys[id];
	int was = expected->present;

	if (!accept(model, id,
		    estate_fold(model->table, key, make_key(model, id, key), value, length)))
		return;
	expected->length = length;
	if (!was || model->shape->merge == ESTATE_MERGE_LATEST)
		memcpy(expected->value, value, length);
	else
		merge_fold(model->shape->merge, model->shape->type, expected->value, value,
			   model->shape->value_count);
}

struct update {
	size_t was;
	size_t becomes;
	unsigned char fill;
	int fails;
};

static int update(void *value, size_t *length, size_t size, void *arg)
{
	struct update *update = arg;
	const unsigned char *bytes = value;

	update->was = *length;
	for (size_t i = *length; i < size; i++)
		if (bytes[i])
			return -EIO;
	if (update->fails) {
		memset(value, 0xee, size);
		return -ECANCELED;
	}
	*length = update->becomes;
	memset(value, update->fill, *length);
	return 0;
}

static void do_update(struct model *model, unsigned int id)
{
	unsigned char key[ESTATE_KEY_MAX];
	struct expected *expected = &model->keys[id];
	struct update call = { .becomes = draw(model) % (model->value_size + 1),
			       .fill = (unsigned char)draw(model),
			       .fails = draw(model) % 4 == 0 };
	size_t was = expected->present ? expected->length : 0;
	int error;

	if (model->shape->type != ESTATE_OPAQUE)
		call.becomes = model->value_size;
	error = estate_update(model->table, key, make_key(model, id, key), update, &call);
	assert_int_equal(call.was, was);
	if (call.fails) {
		assert_int_equal(error, -ECANCELED);
		return;
	}
	if (!accept(model, id, error))
		return;
	expected->length = call.becomes;
	memset(expected->value, call.fill, call.becomes);
}

static void do_delete(struct model *model, unsigned int id)
{
	unsigned char key[ESTATE_KEY_MAX];
	size_t key_length = make_key(model, id, key);
	struct estate_entry entry = { 0 };
	int error;

	if (model->keys[id].present)
		assert_ok(estate_entry_open(model->table, key, key_length, &entry));
	error = estate_delete(model->table, key, key_length);
	assert_int_equal(error, model->keys[id].present ? 0 : -ENOENT);
	if (model->keys[id].present) {
		unsigned char value[4096];

		assert_error(estate_entry_get(&entry, value, sizeof(value), NULL), -ESTALE,
			     "deleted");
		model->present--;
	}
	model->keys[id].present = 0;
}

static void do_batch(struct model *model)
{
	static unsigned char values[40][4096];
	unsigned char bytes[40][ESTATE_KEY_MAX];
	const void *keys[40];
	unsigned int ids[40];
	int status[40];
	unsigned int count = 0;
	size_t length = 1 + draw(model) % model->shape->key_size;
	int found = 0;

	/* A batch's keys have one length. */
	for (unsigned int i = 0; i < 400 && count < 40; i++) {
		unsigned int id = (unsigned int)(draw(model) % model->shape->universe);

		if (make_key(model, id, bytes[count]) != length)
			continue;
		keys[count] = bytes[count];
		ids[count++] = id;
	}
	for (unsigned int i = 0; i < count; i++)
		found += model->keys[ids[i]].present;
	assert_int_equal(estate_get_batch(model->table, count, keys, length, values, 4096, status),
			 found);
	for (unsigned int i = 0; i < count; i++) {
		const struct expected *expected = &model->keys[ids[i]];

		assert_int_equal(status[i], expected->present ? (int)expected->length : -ENOENT);
		if (expected->present)
			assert_memory_equal(values[i], expected->value, expected->length);
	}
}

struct visited {
	struct model *model;
	unsigned char *seen;
	unsigned int count;
};

static int visit(const void *key, size_t key_length, const void *value, size_t value_length,
		 uint64_t stamp, void *arg)
{
	struct visited *visited = arg;
	const struct model *model = visited->model;

	assert_true(stamp > 0);
	for (unsigned int id = 0; id < model->shape->universe; id++) {
		unsigned char bytes[ESTATE_KEY_MAX];

		if (visited->seen[id] || make_key(model, id, bytes) != key_length ||
		    memcmp(bytes, key, key_length))
			continue;
		assert_true(model->keys[id].present);
		assert_int_equal(model->keys[id].length, value_length);
		assert_memory_equal(model->keys[id].value, value, value_length);
		visited->seen[id] = 1;
		visited->count++;
		return 0;
	}
	fail_msg("a key that should not be there");
	return 0;
}

static void check_all(struct model *model)
{
	struct visited visited = { model, calloc(model->shape->universe, 1), 0 };
	struct estate_table_stats stats;

	assert_ok(estate_iterate(model->table, visit, &visited));
	assert_int_equal(visited.count, model->present);
	assert_ok(estate_table_stats(model->table, &stats));
	assert_int_equal(stats.entries, model->present);
	for (unsigned int id = 0; id < model->shape->universe; id++)
		check_get(model, id);
	free(visited.seen);
}

static void fill_and_empty(struct model *model)
{
	for (unsigned int id = 0; id < model->shape->universe; id++)
		do_put(model, id);
	assert_int_equal(model->present, model->shape->capacity);
	check_all(model);
	for (unsigned int id = 0; id < model->shape->universe; id++)
		do_delete(model, id);
	assert_int_equal(model->present, 0);
	check_all(model);
}

static void run(struct model *model, unsigned int operations)
{
	for (unsigned int i = 0; i < operations; i++) {
		unsigned int id = (unsigned int)(draw(model) % model->shape->universe);

		/* Now more writes than deletions, now fewer: full and empty again and again. */
		unsigned int deletions = i / 20000 % 2 ? 40 : 5;
		unsigned int what = (unsigned int)(draw(model) % 100);

		if (what < deletions)
			do_delete(model, id);
		else if (what < 50)
			do_put(model, id);
		else if (what < 60)
			do_add(model, id);
		else if (what < 65)
			do_entry_add(model, id);
		else if (what < 72)
			do_fold(model, id);
		else if (what < 80)
			do_update(model, id);
		else if (what < 81)
			do_batch(model);
		else
			check_get(model, id);
	}
	check_all(model);
}

static void test_shape(void **state)
{
	const struct shape *shape = *state;
	const char *seed = getenv("ESTATE_TEST_SEED");
	const char *operations = getenv("ESTATE_TEST_OPERATIONS");
	char *folder = scratch_make();
	struct estate *es = group_open(folder, "one", 64 << 20);
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct model model = { .shape = shape,
			       .random = seed ? strtoull(seed, NULL, 0) : clock_physical() | 1 };

	print_message("%s: ESTATE_TEST_SEED=%" PRIu64 "\n", shape->name, model.random);
	attr.key_size = shape->key_size;
	attr.value_type = shape->type;
	attr.value_count = shape->value_count;
	attr.merge = shape->merge;
	attr.capacity = shape->capacity;
	assert_ok(estate_table_open(es, "model", &attr, &model.table));
	model.value_size = model.table->geometry.value_size;
	model.remote = (struct remote_table){ &model.table->geometry, model.table->buckets,
					      model.table->salt };
	model.keys = calloc(shape->universe, sizeof(*model.keys));

	fill_and_empty(&model);
	run(&model, operations ? (unsigned int)strtoul(operations, NULL, 0) : shape->operations);
	fill_and_empty(&model);

	free(model.keys);
	assert_ok(estate_close(es));
	scratch_remove(folder);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(shapes) / sizeof(shapes[0])];

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tests[i] = (struct CMUnitTest){ shapes[i].name, test_shape, NULL, NULL,
						(void *)(uintptr_t)&shapes[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
