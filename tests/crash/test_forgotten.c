// SPDX-License-Identifier: BSD-3-Clause
/* The judge of test_states.c, judged: a drain that is left out must show, each kind of them. */
#include "check.h"
#include "workload.h"

#include "format.h"

#include <stdio.h>
#include <string.h>

#define POOL ((size_t)LAYOUT_TABLES + 4 * LAYOUT_PAGE)

/* Of a table's values, as they follow its buckets; it is the pool's first. */
static uint64_t values_from;

static int none(uint64_t number, uint64_t last)
{
	(void)number;
	(void)last;
	return 0;
}

static int every_third(uint64_t number, uint64_t last)
{
	(void)last;
	return number % 3 == 0;
}

static int header(uint64_t number, uint64_t last)
{
	(void)number;
	return last == sizeof(uint64_t);
}

static int life(uint64_t number, uint64_t last)
{
	(void)number;
	return last >= FORMAT_LIFE && last < LAYOUT_DIRECTORY;
}

/* All of an entry but the first word of its name. */
static int directory(uint64_t number, uint64_t last)
{
	(void)number;
	return last >= LAYOUT_DIRECTORY && last < LAYOUT_TABLES &&
	       (last - LAYOUT_DIRECTORY) % sizeof(struct layout_table) == 8;
}

static int name(uint64_t number, uint64_t last)
{
	(void)number;
	return last >= LAYOUT_DIRECTORY && last < LAYOUT_TABLES &&
	       (last - LAYOUT_DIRECTORY) % sizeof(struct layout_table) == 0;
}

static int slots(uint64_t number, uint64_t last)
{
	(void)number;
	return last >= LAYOUT_TABLES && last < values_from;
}

/* A value's block, before the descriptor that leads to it. */
static int blocks(uint64_t number, uint64_t last)
{
	(void)number;
	return last >= values_from;
}

/* A little of everything, with drains forgotten. Whether something was found wrong. */
static int run(recorder_forget_fn *forget, enum estate_durability durability)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct workload_result result;
	struct workload workload;
	struct geometry geometry;
	char message[512] = "nothing";
	int wrong;

	attr.key_size = 8;
	attr.value_type = ESTATE_OPAQUE;
	attr.value_count = 300;
	attr.capacity = 4;
	attr.durability = durability;
	assert_ok(geometry_init(&geometry, &attr));
	values_from = LAYOUT_TABLES + format_extents(&geometry);

	workload_init(&workload, POOL);
	workload.recorder.forget = forget;
	workload_open(&workload);
	workload_table(&workload, "t", &attr, 6);
	for (unsigned int i = 0; i < 6; i++) {
		workload_any(&workload, 0, 2);
		workload_sync(&workload);
	}
	workload_close(&workload);
	workload_open(&workload);
	wrong = workload_verify(&workload, 64, 256, &result, message, sizeof(message));
	printf("%llu drains forgotten of %llu: after %llu images: %s\n",
	       (unsigned long long)workload.recorder.forgotten,
	       (unsigned long long)workload.recorder.drains,
	       (unsigned long long)(result.images + result.second), message);
	if (forget != none)
		assert_true(workload.recorder.forgotten > 0);
	workload_free(&workload);
	return wrong;
}

static void test_none(void **state)
{
	(void)state;
	assert_false(run(none, ESTATE_DURABILITY_BEFORE_RETURN));
	assert_false(run(none, ESTATE_DURABILITY_ON_LEAVE));
}

static void test_each(void **state)
{
	static recorder_forget_fn *const kinds[] = { every_third, header, life,	 directory,
						     name,	  slots,  blocks };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!run(kinds[i], ESTATE_DURABILITY_BEFORE_RETURN) ||
		    !run(kinds[i], ESTATE_DURABILITY_ON_LEAVE))
			fail_msg("drains of kind %zu may be left out", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
