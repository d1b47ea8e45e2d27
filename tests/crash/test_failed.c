// SPDX-License-Identifier: BSD-3-Clause
/*
 * Each drain of a script of calls fails, one at a time, and those after it would succeed, as they
 * do with a kernel that says once that a page could not be written. The call says so, and so do
 * all that would have to be durable from then on; what had been promised is there, in this life, in
 * the next one, and after a loss of power.
 */
#include "check.h"
#include "workload.h"

#include "format.h"

#include <estate/estate.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POOL ((size_t)LAYOUT_TABLES + 8 * LAYOUT_PAGE)

#define LIMIT 8 /* images of a point, if it has more */

enum {
	BEFORE,
	LARGE,
	LEAVE,
};

static struct estate_table_attr attr_of(unsigned int table)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = 8;
	attr.value_type = table == BEFORE ? ESTATE_U64 : ESTATE_OPAQUE;
	attr.value_count = table == BEFORE ? 2 : 300;
	attr.merge = table == BEFORE ? ESTATE_MERGE_SUM : ESTATE_MERGE_LATEST;
	attr.capacity = 7;
	attr.durability =
		table == LEAVE ? ESTATE_DURABILITY_ON_LEAVE : ESTATE_DURABILITY_BEFORE_RETURN;
	return attr;
}

static void make_table(struct workload *workload, unsigned int table, const char *name)
{
	struct estate_table_attr attr = attr_of(table);

	workload_table(workload, name, &attr, 8);
}

static void write_before(struct workload *workload)
{
	const unsigned int batch[] = { 0, 2, 4, 5 };

	for (unsigned int key = 0; key < 5; key++)
		workload_put(workload, BEFORE, key);
	workload_delete(workload, BEFORE, 1);
	workload_put_batch(workload, BEFORE, 4, batch);
	workload_add(workload, BEFORE, 3);
	workload_entry_add(workload, BEFORE, 0);
}

static void write_large(struct workload *workload, unsigned int table)
{
	for (unsigned int key = 0; key < 4; key++)
		workload_put(workload, table, key);
	workload_put(workload, table, 0);
	workload_delete(workload, table, 1);
	workload_put(workload, table, 6);
}

/* Nothing that has to be durable is taken on any more. */
static void check_refusal(struct workload *workload)
{
	struct estate_table *table = workload->tables[BEFORE];
	uint64_t value[2];

	assert_int_equal(estate_sync(&workload->instance.es), -EIO);
	assert_non_null(strstr(estate_errormsg(), "could not be written before"));
	if (!table)
		return;
	assert_int_equal(estate_put(table, "a key..", 8, (uint64_t[]){ 1, 1 }, 16), -EIO);
	assert_non_null(strstr(estate_errormsg(), "could not be written before"));
	assert_int_equal(estate_get(table, "a key..", 8, value, sizeof(value), NULL), -ENOENT);
}

static void write_first_life(struct workload *workload)
{
	make_table(workload, BEFORE, "before");
	make_table(workload, LARGE, "large");
	make_table(workload, LEAVE, "leave");
	write_before(workload);
	write_large(workload, LARGE);
	write_large(workload, LEAVE);
	workload_sync(workload);
	write_large(workload, LEAVE);
}

static void write_second_life(struct workload *workload)
{
	for (unsigned int table = BEFORE; table <= LEAVE; table++)
		for (unsigned int key = 0; key < 3; key++)
			workload_put(workload, table, key);
	workload_sync(workload);
}

/* Up to the end of the life in which a drain fails. Whether that one went on. */
static int run(struct workload *workload)
{
	for (int life = 0; life < 2; life++) {
		int refused;

		workload_open(workload);
		if (!workload->instance.es.pool)
			return 0;
		if (life)
			write_second_life(workload);
		else
			write_first_life(workload);
		workload_check(workload);
		refused = workload_failed(workload);
		if (refused)
			check_refusal(workload);
		workload_close(workload);
		if (workload_failed(workload))
			return refused;
	}
	return 0;
}

/* How many drains there were. */
static uint64_t run_and_look(uint64_t fail, unsigned int unit, unsigned int *refused,
			     uint64_t *images)
{
	struct workload_result result;
	struct workload workload;
	char message[512];
	uint64_t drains;

	workload_init(&workload, POOL);
	workload.recorder.fail = fail;
	*refused += (unsigned int)run(&workload);
	assert_true(!fail || workload_failed(&workload));
	if (workload_verify(&workload, unit, LIMIT, &result, message, sizeof(message)))
		fail_msg("drain %llu fails, units of %u bytes, image %llu: %s",
			 (unsigned long long)fail, unit, (unsigned long long)result.images,
			 message);
	*images += result.images + result.second;
	drains = workload.recorder.drains;
	workload_free(&workload);
	return drains;
}

static void test_each(void **state)
{
	(void)state;
	for (unsigned int unit = 64; unit >= 8; unit /= 8) {
		unsigned int refused = 0;
		uint64_t images = 0;
		uint64_t drains = run_and_look(0, unit, &refused, &images);

		assert_int_equal(refused, 0);
		for (uint64_t fail = 1; fail <= drains; fail++)
			run_and_look(fail, unit, &refused, &images);
		printf("%2u bytes: each of %llu drains failed, %u in a life that went on, %llu "
		       "images\n",
		       unit, (unsigned long long)drains, refused, (unsigned long long)images);
		assert_true(refused > drains / 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
