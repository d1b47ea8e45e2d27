// SPDX-License-Identifier: BSD-3-Clause
/* Reductions, step by step; what comes out of global reads by them is in test_view.c. */
#include "check.h"
#include "reduce.h"

#include <estate/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct geometry geometry_of(enum estate_type type, size_t count, enum estate_merge merge)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct geometry geometry;

	attr.key_size = 8;
	attr.value_type = type;
	attr.value_count = count;
	attr.merge = merge;
	attr.capacity = 10;
	assert_ok(geometry_init(&geometry, &attr));
	return geometry;
}

static int count_values(const struct estate_value *values, unsigned int count, void *out,
			size_t out_size, size_t *out_length, void *arg)
{
	(void)values;
	(void)arg;
	if (out_size < sizeof(count))
		return -EMSGSIZE;
	memcpy(out, &count, sizeof(count));
	*out_length = sizeof(count);
	return 0;
}

/* Which reducers go with which types, and how long their results are. */
static void test_init(void **state)
{
	(void)state;
	for (unsigned int type = ESTATE_OPAQUE; type <= ESTATE_F64; type++) {
		struct geometry geometry =
			geometry_of((enum estate_type)type, 6, ESTATE_MERGE_LATEST);

		for (unsigned int reduce = 0; reduce <= ESTATE_REDUCE_CALL; reduce++) {
			struct estate_query query = ESTATE_QUERY_INIT;
			struct reducer reducer;
			size_t size = type == ESTATE_OPAQUE ? 0 : geometry.value_size;

			query.reduce = (enum estate_reduce)reduce;
			query.call = count_values;
			if (type == ESTATE_OPAQUE && reduce != ESTATE_REDUCE_MERGE &&
			    reduce != ESTATE_REDUCE_LATEST && reduce != ESTATE_REDUCE_COUNT &&
			    reduce != ESTATE_REDUCE_CALL) {
				assert_error(reducer_init(&reducer, &geometry, NULL, NULL, &query),
					     -ENOTSUP, "opaque");
				continue;
			}
			if (type >= ESTATE_I64 && reduce == ESTATE_REDUCE_OR) {
				assert_error(reducer_init(&reducer, &geometry, NULL, NULL, &query),
					     -ENOTSUP, "unsigned");
				continue;
			}
			assert_ok(reducer_init(&reducer, &geometry, NULL, NULL, &query));
			assert_true(reducer.reduce != ESTATE_REDUCE_MERGE);
			if (reduce == ESTATE_REDUCE_AVERAGE)
				size = 6 * sizeof(double);
			if (reduce == ESTATE_REDUCE_COUNT)
				size = 8;
			if (reduce == ESTATE_REDUCE_CALL)
				size = 0;
			assert_int_equal(reducer_result_size(&reducer), size);
		}
	}
}

static void test_merge_rules(void **state)
{
	static const enum estate_reduce expected[] = { ESTATE_REDUCE_LATEST, ESTATE_REDUCE_SUM,
						       ESTATE_REDUCE_MIN,    ESTATE_REDUCE_MAX,
						       ESTATE_REDUCE_OR,     ESTATE_REDUCE_CALL };
	struct estate_query query = ESTATE_QUERY_INIT;
	int arg;

	(void)state;
	for (unsigned int merge = 0; merge <= ESTATE_MERGE_CUSTOM; merge++) {
		struct geometry geometry = geometry_of(ESTATE_U32, 3, (enum estate_merge)merge);
		struct reducer reducer = { 0 };

		/* The same with a query that asks for the rule, and with none. */
		for (int with = 0; with < 2; with++) {
			assert_ok(reducer_init(&reducer, &geometry, count_values, &arg,
					       with ? &query : NULL));
			assert_int_equal(reducer.reduce, expected[merge]);
			if (merge == ESTATE_MERGE_CUSTOM) {
				assert_true(reducer.call == count_values);
				assert_ptr_equal(reducer.arg, &arg);
				assert_error(reducer_init(&reducer, &geometry, NULL, NULL,
							  with ? &query : NULL),
					     -ENOTSUP, "no function");
			}
		}
	}
}

static void test_bad_queries(void **state)
{
	struct geometry geometry = geometry_of(ESTATE_U32, 3, ESTATE_MERGE_SUM);
	struct estate_query query = ESTATE_QUERY_INIT;
	struct reducer reducer;

	(void)state;
	query.size++;
	assert_error(reducer_init(&reducer, &geometry, NULL, NULL, &query), -EINVAL,
		     "ESTATE_QUERY_INIT");
	query.size--;
	query.reduce = (enum estate_reduce)(ESTATE_REDUCE_CALL + 1);
	assert_error(reducer_init(&reducer, &geometry, NULL, NULL, &query), -EINVAL, "reducer 9");
	query.reduce = (enum estate_reduce) - 1;
	assert_error(reducer_init(&reducer, &geometry, NULL, NULL, &query), -EINVAL, "reducer -1");
	query.reduce = ESTATE_REDUCE_CALL;
	assert_error(reducer_init(&reducer, &geometry, count_values, NULL, &query), -EINVAL,
		     "call");
}

/* Reduce these numbers, one from each instance, as @reduce says, in rooms used before. */
static void reduce(struct reduce_room *room, const struct geometry *geometry,
		   enum estate_reduce how, unsigned int instances, const uint32_t (*values)[3],
		   const uint64_t *stamps, void *out, size_t out_size, struct reduction *reduction)
{
	static const uint8_t uuids[4][16] = { { 1 }, { 2 }, { 3 }, { 4 } };
	unsigned char places[4][16];
	struct estate_query query = ESTATE_QUERY_INIT;
	struct reducer reducer;
	size_t length = 4711;

	query.reduce = how;
	query.call = count_values;
	assert_ok(reducer_init(&reducer, geometry, NULL, NULL, &query));
	assert_ok(reduce_room_reserve(room, &reducer, instances, out_size));
	reduction_start(reduction, &reducer, room);
	for (unsigned int i = 0; i < instances; i++) {
		memcpy(places[i], values[i], 12);
		reduction_add(reduction, places[i], 12, stamps[i], "name", uuids[i], i);
	}
	assert_int_equal(reduction->present, instances);
	assert_ok(reduction_finish(reduction, out, out_size, &length));
	assert_true(length <= out_size);
	if (how == ESTATE_REDUCE_CALL)
		assert_int_equal(length, sizeof(unsigned int));
	else
		assert_int_equal(length, reducer_result_size(&reducer));
}

static void test_reductions(void **state)
{
	static const uint32_t values[4][3] = { { 5, 1, 7 }, { 2, 9, 7 }, { 8, 4, 7 }, { 6, 3, 7 } };
	static const uint64_t stamps[4] = { 50, 90, 90, 40 };
	struct geometry geometry = geometry_of(ESTATE_U32, 3, ESTATE_MERGE_SUM);
	struct reduce_room room = { 0 };
	struct reduction r;
	uint32_t out[3];
	double averages[3];
	uint64_t count;
	unsigned int seen;

	(void)state;
	/* Twice, as a view does: in the rooms that the others left behind. */
	for (int round = 0; round < 2; round++) {
		reduce(&room, &geometry, ESTATE_REDUCE_SUM, 4, values, stamps, out, 12, &r);
		assert_memory_equal(out, ((uint32_t[]){ 21, 17, 28 }), 12);
		assert_int_equal(r.oldest, 40);
		assert_int_equal(r.newest, 90);
		reduce(&room, &geometry, ESTATE_REDUCE_MIN, 4, values, stamps, out, 12, &r);
		assert_memory_equal(out, ((uint32_t[]){ 2, 1, 7 }), 12);
		reduce(&room, &geometry, ESTATE_REDUCE_MAX, 4, values, stamps, out, 12, &r);
		assert_memory_equal(out, ((uint32_t[]){ 8, 9, 7 }), 12);
		reduce(&room, &geometry, ESTATE_REDUCE_OR, 4, values, stamps, out, 12, &r);
		assert_memory_equal(out, ((uint32_t[]){ 15, 15, 7 }), 12);
		/* Two of the same stamp: the higher UUID is the latest. */
		reduce(&room, &geometry, ESTATE_REDUCE_LATEST, 4, values, stamps, out, 12, &r);
		assert_memory_equal(out, values[2], 12);
		reduce(&room, &geometry, ESTATE_REDUCE_LATEST, 2, values, stamps, out, 12, &r);
		assert_memory_equal(out, values[1], 12);
		reduce(&room, &geometry, ESTATE_REDUCE_LATEST, 1, values, stamps, out, 12, &r);
		assert_memory_equal(out, values[0], 12);
		assert_int_equal(r.oldest, 50);
		reduce(&room, &geometry, ESTATE_REDUCE_AVERAGE, 4, values, stamps, averages, 24,
		       &r);
		assert_true(averages[0] == 5.25 && averages[1] == 4.25 && averages[2] == 7);
		reduce(&room, &geometry, ESTATE_REDUCE_COUNT, 4, values, stamps, &count, 8, &r);
		assert_int_equal(count, 4);
		reduce(&room, &geometry, ESTATE_REDUCE_CALL, 4, values, stamps, &seen, sizeof(seen),
		       &r);
		assert_int_equal(seen, 4);
	}
	reduce_room_free(&room);
}

/* The latest in every order in which stamps can come. */
static void test_latest_in_any_order(void **state)
{
	static const uint32_t values[4][3] = { { 0, 0, 0 }, { 1, 1, 1 }, { 2, 2, 2 }, { 3, 3, 3 } };
	struct geometry geometry = geometry_of(ESTATE_U32, 3, ESTATE_MERGE_LATEST);
	struct reduce_room room = { 0 };
	struct reduction r;

	(void)state;
	for (uint64_t code = 0; code < 256; code++) {
		uint64_t stamps[4];
		uint32_t expected = 0;
		uint32_t out[3];

		for (uint32_t i = 0; i < 4; i++) {
			stamps[i] = code >> (2 * i) & 3;
			if (stamps[i] >= stamps[expected])
				expected = i;
		}
		reduce(&room, &geometry, ESTATE_REDUCE_MERGE, 4, values, stamps, out, 12, &r);
		assert_memory_equal(out, values[expected], 12);
		assert_int_equal(r.newest, stamps[expected]);
	}
	reduce_room_free(&room);
}

static void test_lengths_of_opaque(void **state)
{
	static const uint8_t uuids[2][16] = { { 1 }, { 2 } };
	struct geometry geometry = geometry_of(ESTATE_OPAQUE, 100, ESTATE_MERGE_LATEST);
	struct reduce_room room = { 0 };
	struct reducer reducer;
	struct reduction r;
	unsigned char values[2][100];
	char out[100];
	size_t length;

	(void)state;
	assert_ok(reducer_init(&reducer, &geometry, NULL, NULL, NULL));
	assert_ok(reduce_room_reserve(&room, &reducer, 2, 100));
	for (int later = 0; later < 2; later++) {
		reduction_start(&r, &reducer, &room);
		memcpy(values[0], "short", 5);
		reduction_add(&r, values[0], 5, later ? 10 : 20, "a", uuids[0], 1);
		memcpy(values[1], "a longer one", 12);
		reduction_add(&r, values[1], 12, 15, "b", uuids[1], 1);
		memset(out, 'x', sizeof(out));
		length = 4711;
		assert_error(reduction_finish(&r, out, 4, &length), -EMSGSIZE, "room for 4");
		assert_int_equal(out[0], 'x');
		assert_int_equal(length, 4711);
		assert_ok(reduction_finish(&r, out, 100, &length));
		assert_int_equal(length, later ? 12 : 5);
		assert_memory_equal(out, later ? "a longer onex" : "shortx", length + 1);
	}
	reduce_room_free(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_merge_rules),
		cmocka_unit_test(test_bad_queries),
		cmocka_unit_test(test_reductions),
		cmocka_unit_test(test_latest_in_any_order),
		cmocka_unit_test(test_lengths_of_opaque),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
