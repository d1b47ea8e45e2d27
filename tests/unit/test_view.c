// SPDX-License-Identifier: BSD-3-Clause
/* The global view, over instances that all live in this process. */
#include "check.h"
#include "group.h"
#include "region.h"
#include "scratch.h"
#include "slot.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCES 3
#define KEY "key"
#define KEY_LENGTH 3
#define LARGE 5000 /* bytes: more than fit into a slot */

static const char *const names[INSTANCES] = { "a", "b", "c" };

struct fixture {
	char *folder;
	struct estate *es[INSTANCES];
	struct estate_table *table[INSTANCES]; /* "t": 2 u64, sum */
	struct estate_view *view; /* of the first one */
};

static struct estate_table_attr table_attr(enum estate_type type, size_t count,
					   enum estate_merge merge)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = 8;
	attr.value_type = type;
	attr.value_count = count;
	attr.merge = merge;
	attr.capacity = 20;
	return attr;
}

static void open_all(struct fixture *f, const char *name, const struct estate_table_attr *attr,
		     struct estate_table **tables)
{
	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_table_open(f->es[i], name, attr, &tables[i]));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct estate_table_attr attr = table_attr(ESTATE_U64, 2, ESTATE_MERGE_SUM);

	f->folder = scratch_make();
	for (int i = 0; i < INSTANCES; i++)
		f->es[i] = group_open(f->folder, names[i], 2 << 20);
	for (int i = 0; i < INSTANCES; i++)
		group_wait(f->es[i], INSTANCES);
	open_all(f, "t", &attr, f->table);
	f->view = group_view(f->es[0]);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	estate_view_close(f->view);
	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_close(f->es[i]));
	scratch_remove(f->folder);
	free(f);
	return 0;
}

/* With a deadline that no loaded machine misses. */
static struct estate_query query_of(enum estate_reduce reduce)
{
	struct estate_query query = ESTATE_QUERY_INIT;

	query.reduce = reduce;
	query.deadline_us = 60000000;
	return query;
}

static int query(struct fixture *f, struct estate_table *table, enum estate_reduce reduce,
		 void *out, size_t out_size, struct estate_answer *answer)
{
	struct estate_query how = query_of(reduce);

	/* What is damaged is read again and again first, over a network not so fast. */
	how.deadline_us = 2000000;
	return estate_query_global(f->view, table, KEY, KEY_LENGTH, &how, out, out_size, answer);
}

/* Why @name gave no answer; 0 if it did. */
static int why(const struct estate_answer *answer, const char *name)
{
	for (unsigned int i = 0; i < answer->missing; i++)
		if (!strcmp(answer->who[i].name, name))
			return answer->who[i].why;
	return 0;
}

static struct slot find_slot(const struct estate_table *table, const void *key, size_t length,
			     struct entry_key *ready)
{
	/* With UBSan, GCC 12 warns that XXH3's loop over long keys reads beyond KEY, if it sees it. */
	const void *volatile unseen = key;
	struct slot slot;

	table_key(table, unseen, length, ready);
	assert_true(slot_find(table, ready, geometry_home(&table->geometry, ready->hash), &slot,
			      table->geometry.key_room / 8));
	return slot;
}

/* Give the entry KEY of a table with inline values a stamp of our choice, above its own. */
static void force_stamp(struct estate_table *table, uint64_t stamp)
{
	struct entry_key ready;
	struct slot slot = find_slot(table, KEY, KEY_LENGTH, &ready);
	uint64_t value[GEOMETRY_INLINE_MAX / 8];

	slot_load(table, &slot, value);
	entry_store(slot_older(table, &slot), slot.number, ready.words, ready.crc, stamp,
		    slot_meta(table, &slot), value, table->geometry.key_room / 8);
	tag_store(slot.tag, tag_load(slot.tag) ^ TAG_CURRENT);
}

/* What is written over KEY by somebody who is not its owner. */
static void damage(const struct estate_table *table)
{
	struct entry_key ready;
	struct slot slot = find_slot(table, KEY, KEY_LENGTH, &ready);

	memset(slot_current(table, &slot) + 1, 0xa5, 8);
	memset(slot_older(table, &slot) + 1, 0x5a, 8);
	slot_current(table, &slot)->stamp ^= 4;
	slot_older(table, &slot)->stamp ^= 4;
	/* So that the words of the key are there, and what is wrong is the rest. */
	memcpy(slot_current(table, &slot) + 1, ready.words, 8);
	memcpy(slot_older(table, &slot) + 1, ready.words, 8);
}

static void test_reducers(void **state)
{
	static const struct {
		enum estate_reduce reduce;
		uint64_t result[2];
	} rules[] = {
		{ ESTATE_REDUCE_MERGE, { 15, 6 } }, /* sum: wraps round in the second */
		{ ESTATE_REDUCE_SUM, { 15, 6 } },
		{ ESTATE_REDUCE_MIN, { 1, 3 } },
		{ ESTATE_REDUCE_MAX, { 9, UINT64_MAX } },
		{ ESTATE_REDUCE_OR, { 1 | 5 | 9, UINT64_MAX } },
		{ ESTATE_REDUCE_LATEST, { 9, 4 } },
	};
	static const uint64_t values[INSTANCES][2] = { { 1, 3 }, { 5, UINT64_MAX }, { 9, 4 } };
	struct fixture *f = *state;
	struct estate_answer answer;
	uint64_t out[2];
	uint64_t count = 99;
	double average[2];

	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(f->table[i], KEY, KEY_LENGTH, values[i], 16));
	/* Each instance has a clock of its own; the third is to be the last. */
	force_stamp(f->table[2], clock_physical() + (1ull << 40));
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		memset(out, 0xa5, sizeof(out));
		assert_ok(query(f, f->table[0], rules[i].reduce, out, sizeof(out), &answer));
		assert_memory_equal(out, rules[i].result, sizeof(out));
		assert_int_equal(answer.length, 16);
		assert_int_equal(answer.present, 3);
	}
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_COUNT, &count, 8, &answer));
	assert_int_equal(count, 3);
	assert_int_equal(answer.length, 8);
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_AVERAGE, average, 16, &answer));
	assert_true(average[0] == 5);
	/* (2^64 - 1 + 7) / 3: the sum is more than 64 bits have. */
	assert_true(average[1] == 18446744073709551622.0 / 3);
	assert_int_equal(answer.length, 16);
	/* Those that do not have the key count neither as zeros nor at all. */
	assert_ok(estate_delete(f->table[2], KEY, KEY_LENGTH));
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_AVERAGE, average, 16, &answer));
	assert_true(average[0] == 3);
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_MIN, out, 16, &answer));
	assert_int_equal(out[0], 1);
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_COUNT, &count, 8, &answer));
	assert_int_equal(count, 2);
	assert_int_equal(answer.answered, 3);
}

/* The merge rule of a table is what a read without a query uses. */
static void test_merge_rules(void **state)
{
	static const struct {
		enum estate_type type;
		enum estate_merge merge;
		int64_t result;
	} rules[] = {
		{ ESTATE_I64, ESTATE_MERGE_SUM, -23 },
		{ ESTATE_I64, ESTATE_MERGE_MIN, -20 },
		{ ESTATE_I64, ESTATE_MERGE_MAX, 5 },
		{ ESTATE_I64, ESTATE_MERGE_LATEST, 5 },
		/* The same bits as numbers without a sign. */
		{ ESTATE_U64, ESTATE_MERGE_MIN, 5 },
		{ ESTATE_U64, ESTATE_MERGE_MAX, -8 },
		{ ESTATE_U64, ESTATE_MERGE_OR, -3 },
	};
	static const int64_t values[INSTANCES] = { -8, -20, 5 };
	struct fixture *f = *state;
	struct estate_answer answer;
	struct estate_table *table[INSTANCES];
	double average;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct estate_table_attr attr = table_attr(rules[i].type, 1, rules[i].merge);
		char name[16];
		int64_t result;

		snprintf(name, sizeof(name), "rule%zu", i);
		open_all(f, name, &attr, table);
		for (int k = 0; k < INSTANCES; k++)
			assert_ok(estate_put(table[k], KEY, KEY_LENGTH, &values[k], 8));
		force_stamp(table[2], clock_physical() + (1ull << 40));
		assert_ok(
			estate_get_global(f->view, table[0], KEY, KEY_LENGTH, &result, 8, &answer));
		assert_int_equal(result, rules[i].result);
		if (rules[i].type == ESTATE_I64) {
			assert_ok(query(f, table[0], ESTATE_REDUCE_AVERAGE, &average, 8, NULL));
			assert_true(average == -23.0 / 3);
			assert_error(query(f, table[0], ESTATE_REDUCE_OR, &result, 8, NULL),
				     -ENOTSUP, "unsigned");
		}
	}
}

static void test_reals(void **state)
{
	static const double values[INSTANCES][2] = { { 0.5, -1 }, { 1.25, 1e300 }, { 4, 3 } };
	struct fixture *f = *state;
	struct estate_table_attr attr = table_attr(ESTATE_F64, 2, ESTATE_MERGE_MAX);
	struct estate_table *table[INSTANCES];
	double out[2];

	open_all(f, "reals", &attr, table);
	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(table[i], KEY, KEY_LENGTH, values[i], 16));
	assert_ok(query(f, table[0], ESTATE_REDUCE_MERGE, out, 16, NULL));
	assert_true(out[0] == 4 && out[1] == 1e300);
	assert_ok(query(f, table[0], ESTATE_REDUCE_MIN, out, 16, NULL));
	assert_true(out[0] == 0.5 && out[1] == -1);
	assert_ok(query(f, table[0], ESTATE_REDUCE_SUM, out, 16, NULL));
	assert_true(out[0] == 5.75);
	assert_ok(query(f, table[0], ESTATE_REDUCE_AVERAGE, out, 16, NULL));
	assert_true(out[0] == 5.75 / 3);
	assert_error(query(f, table[0], ESTATE_REDUCE_OR, out, 16, NULL), -ENOTSUP, "unsigned");
}

/* The instance with the highest UUID, as memcmp() has it. */
static int highest(const struct fixture *f)
{
	int most = 0;

	for (int i = 1; i < INSTANCES; i++)
		if (memcmp(f->es[i]->identity.uuid, f->es[most]->identity.uuid, 16) > 0)
			most = i;
	return most;
}

static void test_latest(void **state)
{
	struct fixture *f = *state;
	const uint64_t base = clock_physical() + (1ull << 40);
	struct estate_answer answer;
	uint64_t out[2];

	for (uint64_t i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(f->table[i], KEY, KEY_LENGTH, (uint64_t[]){ i, i }, 16));
	for (uint64_t last = 0; last < INSTANCES; last++) {
		for (uint64_t i = 0; i < INSTANCES; i++)
			force_stamp(f->table[i], base + last * 10 + (i == last));
		assert_ok(query(f, f->table[0], ESTATE_REDUCE_LATEST, out, 16, &answer));
		assert_int_equal(out[0], last);
		assert_int_equal(out[1], last);
		assert_int_equal(answer.newest, base + last * 10 + 1);
		assert_int_equal(answer.oldest, base + last * 10);
	}
	/* All the same: the UUID decides, for every reader the same way. */
	for (int i = 0; i < INSTANCES; i++)
		force_stamp(f->table[i], base + 100);
	for (int i = 0; i < INSTANCES; i++) {
		struct estate_view *view = group_view(f->es[i]);
		struct estate_query how = query_of(ESTATE_REDUCE_LATEST);

		assert_ok(estate_query_global(view, f->table[i], KEY, KEY_LENGTH, &how, out, 16,
					      &answer));
		assert_int_equal(out[0], highest(f));
		assert_int_equal(answer.newest, answer.oldest);
		estate_view_close(view);
	}
}

struct seen {
	const struct fixture *f;
	unsigned int calls;
	unsigned int count;
	int result;
	size_t length; /* to claim, if it is not 0 */
};

static int look(const struct estate_value *values, unsigned int count, void *out, size_t out_size,
		size_t *out_length, void *arg)
{
	struct seen *seen = arg;
	unsigned char *bytes = out;
	uint64_t sum = 0;

	seen->calls++;
	seen->count = count;
	assert_int_equal((uintptr_t)out % 16, 0);
	for (size_t i = 0; i < out_size; i++)
		assert_int_equal(bytes[i], 0);
	for (unsigned int i = 0; i < count; i++) {
		const struct estate_value *v = &values[i];
		const struct estate *es = NULL;
		uint64_t words[2];

		for (int k = 0; k < INSTANCES; k++)
			if (!strcmp(names[k], v->name))
				es = seen->f->es[k];
		assert_non_null(es);
		assert_memory_equal(v->uuid, es->identity.uuid, 16);
		assert_int_equal(v->epoch, es->identity.epoch);
		assert_int_equal(v->length, 16);
		memcpy(words, v->data, 16);
		/* Each wrote its name and its stamp's place in time. */
		assert_int_equal(words[0], (uint64_t)v->name[0]);
		assert_true(v->stamp > 0);
		sum += words[1];
		if (i)
			assert_true(memcmp(values[i - 1].uuid, v->uuid, 16) < 0);
	}
	memset(out, 0xee, out_size);
	if (out_size >= 8)
		memcpy(out, &sum, 8);
	*out_length = seen->length ? seen->length : 8;
	return seen->result;
}

static void test_callers_reducer(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { .f = f };
	struct estate_query how = query_of(ESTATE_REDUCE_CALL);
	struct estate_answer answer;
	uint64_t out[3] = { 1, 1, 1 };

	how.call = look;
	how.arg = &seen;
	assert_error(
		estate_query_global(f->view, f->table[0], KEY, KEY_LENGTH, &how, out, 24, &answer),
		-ENOENT, "no instance");
	assert_int_equal(seen.calls, 0);
	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(f->table[i], KEY, KEY_LENGTH,
				     (uint64_t[]){ (uint64_t)names[i][0], 1ull << i }, 16));
	assert_ok(
		estate_query_global(f->view, f->table[0], KEY, KEY_LENGTH, &how, out, 24, &answer));
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.count, 3);
	assert_int_equal(out[0], 7);
	/* What it wrote beyond its length is not handed on. */
	assert_int_equal(answer.length, 8);
	assert_int_equal(out[1], 1);
	assert_int_equal(out[2], 1);

	/* Its error is the call's, and nothing is written then. */
	answer = (struct estate_answer){ .asked = 12345 };
	seen.result = -EDOM;
	out[0] = 1;
	assert_error(
		estate_query_global(f->view, f->table[0], KEY, KEY_LENGTH, &how, out, 24, &answer),
		-EDOM, "reducer");
	assert_int_equal(out[0], 1);
	assert_int_equal(answer.asked, 12345);
	seen.result = 0;
	seen.length = 25;
	assert_error(
		estate_query_global(f->view, f->table[0], KEY, KEY_LENGTH, &how, out, 24, &answer),
		-EMSGSIZE, "25 bytes, there is room for 24");
	assert_int_equal(out[0], 1);

	assert_ok(estate_delete(f->table[1], KEY, KEY_LENGTH));
	seen.length = 0;
	assert_ok(
		estate_query_global(f->view, f->table[0], KEY, KEY_LENGTH, &how, out, 24, &answer));
	assert_int_equal(seen.count, 2);
	assert_int_equal(out[0], 5);
	how.call = NULL;
	assert_error(
		estate_query_global(f->view, f->table[0], KEY, KEY_LENGTH, &how, out, 24, &answer),
		-EINVAL, "call");
}

static int answer_42(const struct estate_value *values, unsigned int count, void *out,
		     size_t out_size, size_t *out_length, void *arg)
{
	(void)values;
	(void)count;
	if (out_size < 8)
		return -EMSGSIZE;
	memcpy(out, arg, 8);
	*out_length = 8;
	return 0;
}

static void test_custom_rule(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = table_attr(ESTATE_U64, 1, ESTATE_MERGE_CUSTOM);
	struct estate *observer = group_open(f->folder, NULL, 0);
	struct estate_view *view = group_view(observer);
	struct estate_table *table;
	struct estate_table *observed;
	uint64_t numbers[2] = { 42, 43 };
	uint64_t out;

	group_wait(observer, INSTANCES);
	attr.custom = answer_42;
	attr.custom_arg = &numbers[0];
	assert_ok(estate_table_open(f->es[0], "custom", &attr, &table));
	assert_ok(estate_put(table, KEY, KEY_LENGTH, &out, 8));
	assert_ok(query(f, table, ESTATE_REDUCE_MERGE, &out, 8, NULL));
	assert_int_equal(out, 42);
	/* Opened again with another function, or another argument: that one counts. */
	attr.custom_arg = &numbers[1];
	assert_ok(estate_table_open(f->es[0], "custom", &attr, &table));
	assert_ok(query(f, table, ESTATE_REDUCE_MERGE, &out, 8, NULL));
	assert_int_equal(out, 43);
	/* A function is not in the region: who opens by name alone must bring one. */
	assert_ok(estate_table_open(observer, "custom", NULL, &observed));
	assert_error(estate_get_global(view, observed, KEY, KEY_LENGTH, &out, 8, NULL), -ENOTSUP,
		     "no function");
	attr.custom_arg = &numbers[0];
	assert_ok(estate_table_open(observer, "custom", &attr, &observed));
	assert_ok(estate_get_global(view, observed, KEY, KEY_LENGTH, &out, 8, NULL));
	assert_int_equal(out, 42);
	estate_view_close(view);
	estate_close(observer);
}

/* Opaque values, short ones and those that live in extents, of many lengths. */
static void test_opaque(void **state)
{
	static const size_t sizes[] = { 100, LARGE };
	struct fixture *f = *state;
	unsigned char *value = malloc(LARGE);
	unsigned char *out = malloc(LARGE + 1);
	struct estate_answer answer;
	struct estate_table *table[INSTANCES];
	uint64_t count;

	for (int shape = 0; shape < 2; shape++) {
		const size_t size = sizes[shape];
		struct estate_table_attr attr =
			table_attr(ESTATE_OPAQUE, size, ESTATE_MERGE_LATEST);

		open_all(f, shape ? "large" : "small", &attr, table);
		for (size_t round = 0; round < 60; round++) {
			/* Whoever writes after having read is the latest. */
			int writer = (int)(round % INSTANCES);
			size_t length = round == 0 ? 0 : round == 1 ? size : round * 997 % size;
			struct estate_view *view = group_view(f->es[writer]);

			memset(value, (int)round + 1, size);
			estate_get_global(view, table[writer], KEY, KEY_LENGTH, out, size, NULL);
			estate_view_close(view);
			assert_ok(estate_put(table[writer], KEY, KEY_LENGTH, value, length));
			memset(out, 0xa5, LARGE + 1);
			assert_ok(query(f, table[0], ESTATE_REDUCE_MERGE, out, length, &answer));
			assert_int_equal(answer.length, length);
			assert_memory_equal(out, value, length);
			assert_int_equal(out[length], 0xa5);
			assert_int_equal(answer.present, round < 2 ? round + 1 : 3);
			if (!length)
				continue;
			memset(out, 0xa5, LARGE);
			answer.asked = 12345;
			assert_error(
				query(f, table[0], ESTATE_REDUCE_LATEST, out, length - 1, &answer),
				-EMSGSIZE, "room for");
			assert_int_equal(out[0], 0xa5);
			assert_int_equal(answer.asked, 12345);
		}
		assert_ok(query(f, table[0], ESTATE_REDUCE_COUNT, &count, 8, &answer));
		assert_int_equal(count, 3);
		assert_error(query(f, table[0], ESTATE_REDUCE_SUM, out, size, NULL), -ENOTSUP,
			     "opaque");
		assert_error(query(f, table[0], ESTATE_REDUCE_AVERAGE, out, size, NULL), -ENOTSUP,
			     "opaque");
		assert_error(query(f, table[0], ESTATE_REDUCE_OR, out, size, NULL), -ENOTSUP,
			     "opaque");
	}
	free(value);
	free(out);
}

/* Sketches: values that are too long for slots, and merged element by element. */
static void test_large_sums(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = table_attr(ESTATE_U32, 1024, ESTATE_MERGE_SUM);
	struct estate_table *table[INSTANCES];
	uint32_t value[1024];
	double average[1024];
	uint32_t out[1024];

	open_all(f, "sketch", &attr, table);
	for (uint32_t i = 0; i < INSTANCES; i++) {
		for (uint32_t k = 0; k < 1024; k++)
			value[k] = k * (i + 1) + (i == 2 ? UINT32_MAX : 0);
		assert_ok(estate_put(table[i], KEY, KEY_LENGTH, value, sizeof(value)));
	}
	assert_ok(query(f, table[0], ESTATE_REDUCE_MERGE, out, sizeof(out), NULL));
	for (uint32_t k = 0; k < 1024; k++)
		assert_int_equal(out[k], (uint32_t)(k * 6 - 1));
	assert_ok(query(f, table[0], ESTATE_REDUCE_AVERAGE, average, sizeof(average), NULL));
	assert_true(average[0] == UINT32_MAX / 3.0);
	assert_error(query(f, table[0], ESTATE_REDUCE_AVERAGE, average, sizeof(average) - 1, NULL),
		     -EMSGSIZE, "8192 bytes");
}

static void test_answer(void **state)
{
	struct fixture *f = *state;
	struct estate_answer answer;
	uint64_t out[2] = { 77, 77 };
	uint64_t before;

	memset(&answer, 0xa5, sizeof(answer));
	assert_error(estate_get_global(f->view, f->table[0], KEY, KEY_LENGTH, out, 16, &answer),
		     -ENOENT, "no instance");
	assert_int_equal(answer.asked, 3);
	assert_int_equal(answer.answered, 3);
	assert_int_equal(answer.present, 0);
	assert_int_equal(answer.stale, 0);
	assert_int_equal(answer.missing, 0);
	assert_int_equal(answer.oldest, 0);
	assert_int_equal(answer.newest, 0);
	assert_int_equal(answer.length, 0);
	assert_int_equal(out[0], 77);

	before = clock_physical();
	assert_ok(estate_put(f->table[1], KEY, KEY_LENGTH, (uint64_t[]){ 1, 2 }, 16));
	assert_ok(estate_get_global(f->view, f->table[0], KEY, KEY_LENGTH, out, 16, &answer));
	assert_int_equal(answer.asked, 3);
	assert_int_equal(answer.answered, 3);
	assert_int_equal(answer.present, 1);
	assert_int_equal(answer.length, 16);
	assert_int_equal(answer.oldest, answer.newest);
	assert_true(answer.newest > 0);
	/* About now: an hour is far more than two clocks of one machine are apart. */
	assert_true(estate_stamp_ns(answer.newest) / 1000000000 + 3600 >
		    estate_stamp_ns(before) / 1000000000);
	assert_ok(estate_put(f->table[0], KEY, KEY_LENGTH, (uint64_t[]){ 1, 2 }, 16));
	assert_ok(estate_get_global(f->view, f->table[0], KEY, KEY_LENGTH, out, 16, &answer));
	assert_int_equal(answer.present, 2);
	assert_true(answer.newest > answer.oldest);
	/* No answer wanted. */
	assert_ok(estate_get_global(f->view, f->table[0], KEY, KEY_LENGTH, out, 16, NULL));
	assert_int_equal(out[0], 2);
	assert_int_equal(out[1], 4);
}

/* What was written after reading a value is later than that value, whatever the clocks say. */
static void test_written_after_read(void **state)
{
	struct fixture *f = *state;
	const uint64_t ahead = clock_physical() + (1800ull * 1000000 << CLOCK_COUNTER_BITS);
	const uint64_t absurd = clock_physical() + (1ull << 62);
	struct estate_query how = query_of(ESTATE_REDUCE_LATEST);
	struct estate_answer answer;
	uint64_t out[2];

	/* The clock of the second one is half an hour ahead. */
	clock_observe(&f->es[1]->clock, ahead);
	assert_ok(estate_put(f->table[1], KEY, KEY_LENGTH, (uint64_t[]){ 1, 1 }, 16));
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_LATEST, out, 16, &answer));
	assert_true(answer.newest > ahead);
	assert_ok(estate_put(f->table[0], KEY, KEY_LENGTH, (uint64_t[]){ 2, 2 }, 16));
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_LATEST, out, 16, &answer));
	assert_int_equal(out[0], 2);
	/* A read of a batch passes on what it saw, too. */
	{
		struct estate_view *view = group_view(f->es[2]);
		const void *const keys[] = { KEY };
		int status;

		assert_int_equal(estate_query_batch(view, f->table[2], 1, keys, KEY_LENGTH, &how,
						    out, 16, &status, NULL),
				 1);
		estate_view_close(view);
	}
	assert_ok(estate_put(f->table[2], KEY, KEY_LENGTH, (uint64_t[]){ 3, 3 }, 16));
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_LATEST, out, 16, &answer));
	assert_int_equal(out[0], 3);

	/* One that claims to be from the far future is read, and drags nobody along. */
	force_stamp(f->table[1], absurd);
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_LATEST, out, 16, &answer));
	assert_int_equal(answer.newest, absurd);
	assert_ok(estate_put(f->table[0], "else", 4, (uint64_t[]){ 4, 4 }, 16));
	assert_ok(estate_query_global(f->view, f->table[0], "else", 4, &how, out, 16, &answer));
	assert_true(answer.newest < absurd);
}

static void test_other_geometry(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = table_attr(ESTATE_U64, 2, ESTATE_MERGE_SUM);
	struct estate_table *table[INSTANCES];
	struct estate_answer answer;
	uint64_t out[3];

	for (int i = 0; i < INSTANCES; i++) {
		attr.value_count = i == 1 ? 3 : 2;
		assert_ok(estate_table_open(f->es[i], "odd", &attr, &table[i]));
	}
	/* Not one of those that match has the key: whether the odd one has, nobody can tell. */
	assert_error(query(f, table[0], ESTATE_REDUCE_MERGE, out, 16, &answer), -EHOSTDOWN, "b");
	assert_int_equal(answer.missing, 1);
	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(table[i], KEY, KEY_LENGTH, (uint64_t[]){ 1, 2, 3 },
				     i == 1 ? 24 : 16));
	assert_ok(query(f, table[0], ESTATE_REDUCE_MERGE, out, 16, &answer));
	assert_int_equal(out[0], 2);
	assert_int_equal(out[1], 4);
	assert_int_equal(answer.asked, 3);
	assert_int_equal(answer.answered, 2);
	assert_int_equal(answer.present, 2);
	assert_int_equal(answer.missing, 1);
	assert_string_equal(answer.who[0].name, "b");
	assert_memory_equal(answer.who[0].uuid, f->es[1]->identity.uuid, 16);
	assert_int_equal(answer.who[0].why, -EPROTO);
	/* To the odd one, the others are. */
	{
		struct estate_view *view = group_view(f->es[1]);

		assert_ok(estate_get_global(view, table[1], KEY, KEY_LENGTH, out, 24, &answer));
		assert_int_equal(out[2], 3);
		assert_int_equal(answer.answered, 1);
		assert_int_equal(answer.missing, 2);
		assert_int_equal(why(&answer, "a"), -EPROTO);
		assert_int_equal(why(&answer, "c"), -EPROTO);
		estate_view_close(view);
	}
}

/* A table that a peer opens after it was looked for and not found. */
static void test_late_table(void **state)
{
	struct fixture *f = *state;
	struct estate_table *table[INSTANCES];
	struct estate_answer answer;
	uint64_t out;

	table[0] = group_counters(f->es[0], "late", 8, 1, 10);
	assert_ok(estate_add(table[0], KEY, KEY_LENGTH, (uint64_t[]){ 1 }));
	for (int i = 1; i < INSTANCES; i++) {
		/* Who does not have the table does not have the key: that is an answer. */
		assert_ok(query(f, table[0], ESTATE_REDUCE_MERGE, &out, 8, &answer));
		assert_int_equal(out, i);
		assert_int_equal(answer.answered, 3);
		assert_int_equal(answer.present, i);
		/* Another table before it: a change of the directory that does not help. */
		group_counters(f->es[i], "unrelated", 8, 1, 10);
		assert_ok(query(f, table[0], ESTATE_REDUCE_MERGE, &out, 8, &answer));
		assert_int_equal(answer.present, i);
		table[i] = group_counters(f->es[i], "late", 8, 1, 10);
		assert_ok(estate_add(table[i], KEY, KEY_LENGTH, (uint64_t[]){ 1 }));
	}
	assert_ok(query(f, table[0], ESTATE_REDUCE_MERGE, &out, 8, &answer));
	assert_int_equal(out, 3);
}

static void test_too_small(void **state)
{
	struct fixture *f = *state;
	unsigned char out[16];
	unsigned char before[16];

	assert_ok(estate_put(f->table[1], KEY, KEY_LENGTH, (uint64_t[]){ 1, 2 }, 16));
	memset(out, 0xa5, sizeof(out));
	memset(before, 0xa5, sizeof(before));
	for (unsigned int reduce = ESTATE_REDUCE_MERGE; reduce < ESTATE_REDUCE_CALL; reduce++) {
		size_t size = reduce == ESTATE_REDUCE_COUNT ? 8 : 16;
		struct estate_answer answer = { .asked = 12345 };

		assert_error(
			query(f, f->table[0], (enum estate_reduce)reduce, out, size - 1, &answer),
			-EMSGSIZE, "room for");
		assert_memory_equal(out, before, 16);
		assert_int_equal(answer.asked, 12345);
		assert_ok(query(f, f->table[0], (enum estate_reduce)reduce, out, size, NULL));
		memset(out, 0xa5, sizeof(out));
	}
	assert_error(query(f, f->table[0], ESTATE_REDUCE_MERGE, out, 0, NULL), -EMSGSIZE, "for 0");
}

static void test_batch(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = table_attr(ESTATE_OPAQUE, 64, ESTATE_MERGE_LATEST);
	struct estate_query how = query_of(ESTATE_REDUCE_MERGE);
	struct estate_table *table[INSTANCES];
	struct estate_answer answers[5];
	const void *const keys[5] = { "k0", "k1", "k2", "k3", "k4" };
	const void *const with_null[2] = { "k0", NULL };
	char out[5][10];
	int status[5];

	attr.capacity = 21;
	assert_ok(estate_table_open(f->es[2], "mixed", &attr, &table[2]));
	attr.capacity = 20;
	assert_ok(estate_table_open(f->es[0], "mixed", &attr, &table[0]));
	assert_ok(estate_table_open(f->es[1], "mixed", &attr, &table[1]));
	assert_ok(estate_put(table[0], "k0", 2, "mine", 4));
	assert_ok(estate_put(table[1], "k1", 2, "too long for ten", 16));
	assert_ok(estate_put(table[1], "k3", 2, "0123456789", 10));
	assert_ok(estate_put(table[0], "k4", 2, "", 0));
	memset(out, 'x', sizeof(out));
	memset(answers, 0, sizeof(answers));
	assert_int_equal(
		estate_query_batch(f->view, table[0], 5, keys, 2, &how, out, 10, status, answers),
		3);
	assert_int_equal(status[0], 0);
	assert_memory_equal(out[0], "minexxxxxx", 10);
	assert_int_equal(answers[0].length, 4);
	assert_int_equal(status[1], -EMSGSIZE);
	assert_memory_equal(out[1], "xxxxxxxxxx", 10);
	assert_int_equal(answers[1].asked, 0);
	assert_int_equal(status[2], -EHOSTDOWN);
	assert_memory_equal(out[2], "xxxxxxxxxx", 10);
	assert_int_equal(status[3], 0);
	assert_memory_equal(out[3], "0123456789", 10);
	assert_int_equal(answers[3].length, 10);
	assert_int_equal(status[4], 0);
	assert_int_equal(answers[4].length, 0);
	/* Each of the answers has its own list of who is missing, all valid at once. */
	for (int i = 0; i < 5; i++) {
		if (i == 1)
			continue;
		assert_int_equal(answers[i].asked, 3);
		assert_int_equal(answers[i].missing, 1);
		assert_int_equal(why(&answers[i], "c"), -EPROTO);
	}

	/* Without answers, and without a query. */
	assert_ok(estate_put(f->table[0], "k0", 2, (uint64_t[]){ 1, 2 }, 16));
	assert_ok(estate_put(f->table[1], "k0", 2, (uint64_t[]){ 1, 2 }, 16));
	{
		uint64_t sums[5][2];

		assert_int_equal(estate_query_batch(f->view, f->table[0], 5, keys, 2, NULL, sums,
						    16, status, NULL),
				 1);
		assert_int_equal(sums[0][1], 4);
		for (int i = 1; i < 5; i++)
			assert_int_equal(status[i], -ENOENT);
		assert_int_equal(estate_query_batch(f->view, f->table[0], 0, keys, 2, NULL, sums,
						    16, status, NULL),
				 0);
		status[0] = 7;
		assert_error(estate_query_batch(f->view, f->table[0], 2, with_null, 2, NULL, sums,
						16, status, NULL),
			     -EINVAL, "key 1");
		assert_error(estate_query_batch(f->view, f->table[0], 1, keys, 2, NULL, sums, 15,
						status, NULL),
			     -EMSGSIZE, "room for 15");
		assert_error(estate_query_batch(f->view, f->table[0], 1, keys, 9, NULL, sums, 16,
						status, NULL),
			     -EINVAL, "9 bytes");
		assert_error(estate_query_batch(f->view, f->table[0], 1, NULL, 2, NULL, sums, 16,
						status, NULL),
			     -EINVAL, "key");
		assert_int_equal(status[0], 7);
		assert_error(estate_query_batch(f->view, f->table[0], 1, keys, 2, NULL, sums, 16,
						NULL, NULL),
			     -EINVAL, "status");
	}
}

static void test_join_and_leave(void **state)
{
	struct fixture *f = *state;
	struct estate_answer answer;
	struct estate *late;
	uint64_t out[2];

	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(f->table[i], KEY, KEY_LENGTH, (uint64_t[]){ 1, 1 }, 16));
	for (int round = 0; round < 3; round++) {
		assert_ok(query(f, f->table[0], ESTATE_REDUCE_SUM, out, 16, &answer));
		assert_int_equal(out[0], 3);
		assert_int_equal(answer.asked, 3);
		late = group_open(f->folder, "late", 1 << 20);
		assert_ok(estate_put(group_counters(late, "unused", 8, 2, 20), KEY, KEY_LENGTH,
				     (uint64_t[]){ 9, 9 }, 16));
		assert_ok(estate_put(group_counters(late, "t", 8, 2, 20), KEY, KEY_LENGTH,
				     (uint64_t[]){ 10, 10 }, 16));
		group_wait(f->es[0], 4);
		assert_ok(query(f, f->table[0], ESTATE_REDUCE_SUM, out, 16, &answer));
		assert_int_equal(out[0], 13);
		assert_int_equal(answer.asked, 4);
		assert_int_equal(answer.present, 4);
		assert_ok(estate_close(late));
		group_wait(f->es[0], 3);
	}
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_SUM, out, 16, &answer));
	assert_int_equal(out[0], 3);
	assert_int_equal(answer.missing, 0);
}

static void test_observer(void **state)
{
	struct fixture *f = *state;
	struct estate *observer = group_open(f->folder, NULL, 0);
	struct estate_view *view = group_view(observer);
	struct estate_answer answer;
	struct estate_table *table;
	uint64_t out[2];

	group_wait(observer, INSTANCES);
	assert_ok(estate_table_open(observer, "t", NULL, &table));
	assert_error(estate_get_global(view, table, KEY, KEY_LENGTH, out, 16, &answer), -ENOENT,
		     "no instance");
	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(f->table[i], KEY, KEY_LENGTH, (uint64_t[]){ 1, 2 }, 16));
	assert_ok(estate_get_global(view, table, KEY, KEY_LENGTH, out, 16, &answer));
	assert_int_equal(out[0], 3);
	assert_int_equal(out[1], 6);
	/* It is none of the instances: neither for itself nor for the others. */
	assert_int_equal(answer.asked, 3);
	assert_int_equal(answer.present, 3);
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_SUM, out, 16, &answer));
	assert_int_equal(answer.asked, 3);
	estate_view_close(view);
	assert_ok(estate_close(observer));
}

static void test_observer_alone(void **state)
{
	char *folder = scratch_make();
	struct estate *observer = group_open(folder, NULL, 0);
	struct estate_view *view = group_view(observer);
	struct estate_answer answer = { .asked = 12345 };
	struct estate_table *table = group_counters(observer, "t", 8, 2, 20);
	uint64_t out[2];

	(void)state;
	assert_error(estate_get_global(view, table, KEY, KEY_LENGTH, out, 16, &answer), -ENOENT,
		     "no instance");
	assert_int_equal(answer.asked, 0);
	assert_int_equal(answer.missing, 0);
	estate_view_close(view);
	assert_ok(estate_close(observer));
	scratch_remove(folder);
}

/* Who is on a fixed list and not there may have the key, for all one knows. */
static void test_nobody_there(void **state)
{
	char *folder = scratch_make();
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate_answer answer;
	struct estate_table *table;
	struct estate_view *view;
	struct estate *es;
	static const uint8_t nobody[16];
	char list[300];
	char listen[100];
	uint64_t out[2];

	(void)state;
	snprintf(list, sizeof(list), "static:unix:%s/nobody,unix:%s/no-one", folder, folder);
	snprintf(listen, sizeof(listen), "unix:%s/me", folder);
	attr.group = "test";
	attr.name = "me";
	attr.registry = list;
	attr.listen = listen;
	attr.region_size = 1 << 20;
	assert_ok(estate_open(&attr, &es));
	table = group_counters(es, "t", 8, 2, 20);
	view = group_view(es);
	memset(&answer, 0xa5, sizeof(answer));
	assert_error(estate_get_global(view, table, KEY, KEY_LENGTH, out, 16, &answer), -EHOSTDOWN,
		     "did not answer");
	assert_int_equal(answer.asked, 3);
	assert_int_equal(answer.answered, 1);
	assert_int_equal(answer.present, 0);
	assert_int_equal(answer.missing, 2);
	for (int i = 0; i < 2; i++) {
		assert_non_null(strstr(answer.who[i].name, "unix:"));
		assert_memory_equal(answer.who[i].uuid, nobody, 16);
		assert_int_equal(answer.who[i].why, -EHOSTDOWN);
	}
	/* A part of the group is enough for a result, which says what it is. */
	assert_ok(estate_put(table, KEY, KEY_LENGTH, (uint64_t[]){ 1, 2 }, 16));
	assert_ok(estate_get_global(view, table, KEY, KEY_LENGTH, out, 16, &answer));
	assert_int_equal(out[1], 2);
	assert_int_equal(answer.answered, 1);
	assert_int_equal(answer.present, 1);
	assert_int_equal(answer.missing, 2);
	estate_view_close(view);
	estate_close(es);
	scratch_remove(folder);
}

static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct estate_query how = query_of(ESTATE_REDUCE_SUM);
	struct estate_answer answer;
	uint64_t out[2];

	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(f->table[i], KEY, KEY_LENGTH, (uint64_t[]){ 1, 1 }, 16));
	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(f->table[i], KEY, KEY_LENGTH, (uint64_t[]){ 1, 1 }, 16));
	damage(f->table[1]);
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_SUM, out, 16, &answer));
	assert_int_equal(out[0], 2);
	assert_int_equal(answer.present, 2);
	assert_int_equal(answer.missing, 1);
	assert_int_equal(why(&answer, "b"), -EBADMSG);
	/* The same, but somebody is in a hurry. */
	how.deadline_us = 1;
	assert_ok(
		estate_query_global(f->view, f->table[0], KEY, KEY_LENGTH, &how, out, 16, &answer));
	assert_int_equal(out[0], 2);
	assert_int_equal(why(&answer, "b"), -ETIMEDOUT);
	/* This instance's own region is no better than another's. */
	damage(f->table[0]);
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_SUM, out, 16, &answer));
	assert_int_equal(out[0], 1);
	assert_int_equal(answer.missing, 2);
	assert_int_equal(why(&answer, "a"), -EBADMSG);
	assert_int_equal(why(&answer, "b"), -EBADMSG);
	damage(f->table[2]);
	assert_error(query(f, f->table[0], ESTATE_REDUCE_SUM, out, 16, &answer), -EHOSTDOWN,
		     "did not answer");
	assert_int_equal(answer.missing, 3);
	assert_int_equal(answer.answered, 0);
}

static void test_damaged_directory(void **state)
{
	struct fixture *f = *state;
	struct layout_table *entry =
		(struct layout_table *)(f->es[1]->region.memory + LAYOUT_DIRECTORY);
	struct estate_answer answer;
	uint64_t out[2];

	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_put(f->table[i], KEY, KEY_LENGTH, (uint64_t[]){ 1, 1 }, 16));
	entry->salt ^= 1;
	assert_ok(query(f, f->table[0], ESTATE_REDUCE_SUM, out, 16, &answer));
	assert_int_equal(out[0], 2);
	assert_int_equal(answer.missing, 1);
	assert_int_equal(why(&answer, "b"), -EBADMSG);
	/* A damaged entry may have been the table's: so the same for one that is not there. */
	assert_error(query(f, group_counters(f->es[0], "none", 8, 2, 20), ESTATE_REDUCE_SUM, out,
			   16, &answer),
		     -EHOSTDOWN, "b");
	assert_int_equal(why(&answer, "b"), -EBADMSG);
	entry->salt ^= 1;
}

static void test_arguments(void **state)
{
	struct fixture *f = *state;
	struct estate_view_attr view_attr = ESTATE_VIEW_ATTR_INIT;
	struct estate_view *const untouched = (struct estate_view *)&view_attr;
	struct estate_view *view = untouched;
	struct estate_query how = ESTATE_QUERY_INIT;
	uint64_t out[2];

	assert_error(estate_view_open(NULL, NULL, &view), -EINVAL, "es");
	assert_error(estate_view_open(f->es[0], NULL, NULL), -EINVAL, "view");
	view_attr.size = 4;
	assert_error(estate_view_open(f->es[0], &view_attr, &view), -EINVAL,
		     "ESTATE_VIEW_ATTR_INIT");
	assert_ptr_equal(view, untouched);
	estate_view_close(NULL);
	view_attr = (struct estate_view_attr)ESTATE_VIEW_ATTR_INIT;
	view_attr.deadline_us = 5000000;
	assert_ok(estate_view_open(f->es[0], &view_attr, &view));
	assert_ok(estate_put(f->table[0], KEY, KEY_LENGTH, (uint64_t[]){ 1, 1 }, 16));
	assert_ok(estate_get_global(view, f->table[0], KEY, KEY_LENGTH, out, 16, NULL));
	estate_view_close(view);

	view = f->view;
	assert_error(estate_get_global(NULL, f->table[0], KEY, 3, out, 16, NULL), -EINVAL, "view");
	assert_error(estate_get_global(view, NULL, KEY, 3, out, 16, NULL), -EINVAL, "table");
	assert_error(estate_get_global(view, f->table[0], NULL, 3, out, 16, NULL), -EINVAL, "key");
	assert_error(estate_get_global(view, f->table[0], KEY, 3, NULL, 16, NULL), -EINVAL, "out");
	assert_error(estate_get_global(view, f->table[0], KEY, 0, out, 16, NULL), -EINVAL,
		     "0 bytes");
	assert_error(estate_get_global(view, f->table[0], "ninebytes", 9, out, 16, NULL), -EINVAL,
		     "9 bytes");
	assert_error(estate_get_global(view, f->table[1], KEY, 3, out, 16, NULL), -EINVAL,
		     "another instance");
	how.size = 8;
	assert_error(estate_query_global(view, f->table[0], KEY, 3, &how, out, 16, NULL), -EINVAL,
		     "ESTATE_QUERY_INIT");
	how = (struct estate_query)ESTATE_QUERY_INIT;
	how.reduce = (enum estate_reduce)99;
	assert_error(estate_query_global(view, f->table[0], KEY, 3, &how, out, 16, NULL), -EINVAL,
		     "reducer 99");
}

/* A view that has read many tables, and several views of one instance beside each other. */
static void test_many_tables_and_views(void **state)
{
	struct fixture *f = *state;
	struct estate_view *views[4];
	struct estate_table *table[INSTANCES];
	uint64_t out[2];
	char name[16];

	for (int i = 0; i < 4; i++)
		views[i] = group_view(f->es[i % INSTANCES]);
	for (uint64_t t = 0; t < 30; t++) {
		snprintf(name, sizeof(name), "many%d", (int)t);
		/* In another order on each, so that their numbers differ. */
		for (int i = 0; i < INSTANCES; i++)
			table[(i + t) % INSTANCES] =
				group_counters(f->es[(i + t) % INSTANCES], name, 8, 1 + t % 2, 5);
		for (int i = 0; i < INSTANCES; i++)
			assert_ok(estate_add(table[i], KEY, KEY_LENGTH, (uint64_t[]){ t, t }));
		for (int i = 0; i < 4; i++) {
			assert_ok(estate_get_global(views[i], table[i % INSTANCES], KEY, KEY_LENGTH,
						    out, 16, NULL));
			assert_int_equal(out[0], 3 * t);
		}
	}
	for (int i = 0; i < 4; i++)
		estate_view_close(views[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reducers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merge_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_latest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_callers_reducer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_custom_rule, setup, teardown),
		cmocka_unit_test_setup_teardown(test_opaque, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_sums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_written_after_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_geometry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_small, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_join_and_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_observer, setup, teardown),
		cmocka_unit_test(test_observer_alone),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_tables_and_views, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
