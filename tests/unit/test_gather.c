// SPDX-License-Identifier: BSD-3-Clause
/* Requests whose instances are far: in which order READs come, and when they do not. */
#include "check.h"
#include "fake_transport.h"
#include "slot.h"
#include "store.h"

#include <estate/estate.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWNERS 2
#define KEYS 5

struct fixture {
	struct estate *owners[OWNERS];
	struct estate_table *tables[OWNERS];
	struct estate *observer;
	struct estate_table *table;
	struct estate_view *view;
};

static struct estate *join(unsigned int owner, unsigned int flags)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate *es;
	char listen[32];
	char name[8];

	snprintf(listen, sizeof(listen), "verbs:127.0.0.1:%u", owner);
	snprintf(name, sizeof(name), "o%u", owner);
	attr.group = "gather";
	attr.flags = flags;
	if (!flags) {
		attr.name = name;
		attr.listen = listen;
	}
	attr.registry = flags ? "static:verbs:127.0.0.1:1,verbs:127.0.0.1:2" : "static:";
	assert_ok(estate_open(&attr, &es));
	return es;
}

static struct estate_table *counters(struct estate *es)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = 1;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = 100;
	assert_ok(estate_table_open(es, "t", &attr, &table));
	return table;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	for (unsigned int i = 0; i < OWNERS; i++) {
		f->owners[i] = join(i + 1, 0);
		f->tables[i] = counters(f->owners[i]);
		for (uint64_t key = 0; key < KEYS; key++)
			assert_ok(estate_add(f->tables[i], &key, 8, &(uint64_t){ key + 1 }));
	}
	f->observer = join(0, ESTATE_OBSERVER);
	f->table = counters(f->observer);
	assert_ok(estate_view_open(f->observer, NULL, &f->view));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_hold(0);
	estate_view_close(f->view);
	assert_ok(estate_close(f->observer));
	for (unsigned int i = 0; i < OWNERS; i++)
		assert_ok(estate_close(f->owners[i]));
	free(f);
	return 0;
}

/* All keys in one call; each is the sum of both owners. */
static void read_all(struct fixture *f)
{
	uint64_t keys[KEYS];
	const void *places[KEYS];
	uint64_t sums[KEYS];
	struct estate_answer answers[KEYS];
	int status[KEYS];

	for (uint64_t i = 0; i < KEYS; i++) {
		keys[i] = i;
		places[i] = &keys[i];
	}
	assert_int_equal(estate_query_batch(f->view, f->table, KEYS, places, 8, NULL, sums, 8,
					    status, answers),
			 KEYS);
	for (uint64_t i = 0; i < KEYS; i++) {
		assert_int_equal(answers[i].answered, OWNERS);
		assert_int_equal(sums[i], (i + 1) * OWNERS);
	}
}

/* READs that were given up come just when a request begins that wanted to know of them. */
static void test_late(void **state)
{
	struct fixture *f = *state;
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer;
	uint64_t begun;
	uint64_t key = 1;
	uint64_t sum;

	read_all(f);
	fake_hold(1);
	query.deadline_us = 1;
	assert_int_equal(estate_query_global(f->view, f->table, &key, 8, &query, &sum, 8, &answer),
			 -EHOSTDOWN);
	assert_int_equal(answer.missing, OWNERS);
	assert_int_equal(answer.who[0].why, -ETIMEDOUT);
	/* Nobody waits for those who are stuck. */
	usleep(5000);
	begun = fake_reads();
	assert_int_equal(estate_query_global(f->view, f->table, &key, 8, &query, &sum, 8, &answer),
			 -EHOSTDOWN);
	assert_int_equal(fake_reads(), begun);
	fake_hold(0);
	read_all(f);
	/* One READ of one slot for each key and owner, not one more. */
	assert_int_equal(fake_reads(), begun + OWNERS * KEYS);
	read_all(f);
	assert_int_equal(fake_reads(), begun + OWNERS * KEYS * 2);
}

/* One request learns where the table is while another one has just asked for it. */
static void test_found_meanwhile(void **state)
{
	struct fixture *f = *state;
	uint64_t keys[2] = { 0, 1 };
	const void *places[2] = { &keys[0], &keys[1] };
	uint64_t sums[2];
	int status[2];
	void *tags[2];
	unsigned int told = 0;
	uint64_t begun = fake_reads();

	assert_ok(estate_query_start(f->view, f->table, 1, &places[0], 8, NULL, &sums[0], 8,
				     &status[0], NULL, NULL));
	/* The header comes, the directory is asked for. */
	assert_int_equal(estate_query_poll(f->view, tags, 2), 0);
	assert_ok(estate_query_start(f->view, f->table, 1, &places[1], 8, NULL, &sums[1], 8,
				     &status[1], NULL, NULL));
	while (told < 2)
		told += (unsigned int)estate_query_poll(f->view, tags, 2);
	assert_int_equal(status[0], 0);
	assert_int_equal(status[1], 0);
	assert_int_equal(sums[0], OWNERS);
	assert_int_equal(sums[1], 2 * OWNERS);
	/* Header, directory, key; and header, key. */
	assert_int_equal(fake_reads() - begun, OWNERS * 5);
}

/* Something comes all the time, but not what is waited for. */
static void test_deadline_of_the_restless(void **state)
{
	struct fixture *f = *state;
	struct estate_query query = ESTATE_QUERY_INIT;
	const void *place = &(uint64_t){ 2 };
	struct entry_key ready;
	struct slot slot;
	uint64_t sum;
	int status;
	void *tag;

	read_all(f);
	table_key(f->tables[0], place, 8, &ready);
	assert_true(slot_find(f->tables[0], &ready,
			      geometry_home(&f->tables[0]->geometry, ready.hash), &slot, 1));
	/* Neither copy verifies: it is read again and again. */
	slot_current(f->tables[0], &slot)->stamp ^= 1;
	slot_older(f->tables[0], &slot)->stamp ^= 1;
	query.deadline_us = 1;
	assert_ok(estate_query_start(f->view, f->table, 1, &place, 8, &query, &sum, 8, &status,
				     NULL, f));
	usleep(3000);
	assert_int_equal(estate_query_poll(f->view, &tag, 1), 1);
	assert_ptr_equal(tag, f);
	assert_int_equal(status, 0);
	assert_int_equal(sum, 3);
}

/* One key in one call; how many READs it took. */
static uint64_t read_one(struct fixture *f, uint64_t key, uint64_t sum, unsigned int present,
			 unsigned int missing)
{
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer;
	uint64_t begun = fake_reads();
	uint64_t out = 4711;
	int error;

	query.deadline_us = 2000;
	error = estate_query_global(f->view, f->table, &key, 8, &query, &out, 8, &answer);
	assert_int_equal(error, present ? 0 : missing ? -EHOSTDOWN : -ENOENT);
	assert_int_equal(out, present ? sum : 4711);
	assert_int_equal(answer.present, present);
	assert_int_equal(answer.missing, missing);
	assert_int_equal(answer.asked, OWNERS);
	assert_int_equal(answer.answered, OWNERS - missing);
	return fake_reads() - begun;
}

/* What a call for one key keeps from the last one must not be seen, whatever that was. */
static void test_one_after_the_other(void **state)
{
	struct fixture *f = *state;
	uint64_t key = 3;
	struct slot slot;
	struct entry_key ready;

	read_all(f);
	assert_int_equal(read_one(f, 3, 8, 2, 0), OWNERS);
	assert_int_equal(read_one(f, 1, 4, 2, 0), OWNERS);
	/* Not there: two buckets of each, after which a slot is read again. */
	assert_int_equal(read_one(f, 99, 0, 0, 0), OWNERS);
	assert_int_equal(read_one(f, 3, 8, 2, 0), OWNERS);
	/* At one owner it is not where it was, which takes it a second READ. */
	assert_ok(estate_delete(f->tables[0], &key, 8));
	assert_int_equal(read_one(f, 3, 4, 1, 0), OWNERS + 1);
	assert_int_equal(read_one(f, 2, 6, 2, 0), OWNERS);
	assert_ok(estate_add(f->tables[0], &key, 8, &(uint64_t){ 10 }));
	read_one(f, 3, 14, 2, 0);
	assert_int_equal(read_one(f, 3, 14, 2, 0), OWNERS);
	/* Batches in between have ops of their own. */
	assert_ok(estate_add(f->tables[0], &key, 8, &(uint64_t){ -6ull }));
	read_all(f);
	assert_int_equal(read_one(f, 4, 10, 2, 0), OWNERS);
	/* Neither copy verifies, until the deadline: missing, and whole again afterwards. */
	table_key(f->tables[1], &key, 8, &ready);
	assert_true(slot_find(f->tables[1], &ready,
			      geometry_home(&f->tables[1]->geometry, ready.hash), &slot, 1));
	slot_current(f->tables[1], &slot)->stamp ^= 1;
	slot_older(f->tables[1], &slot)->stamp ^= 1;
	assert_true(read_one(f, 3, 4, 1, 1) > OWNERS);
	slot_current(f->tables[1], &slot)->stamp ^= 1;
	slot_older(f->tables[1], &slot)->stamp ^= 1;
	assert_int_equal(read_one(f, 3, 8, 2, 0), OWNERS);
}

/* The READs of a call that gave up come while others are waited for. */
static void test_one_late(void **state)
{
	struct fixture *f = *state;

	read_all(f);
	read_one(f, 1, 4, 2, 0);
	fake_hold(1);
	assert_int_equal(read_one(f, 1, 0, 0, 2), OWNERS);
	fake_hold(0);
	for (uint64_t key = 0; key < KEYS; key++)
		assert_int_equal(read_one(f, key, (key + 1) * 2, 2, 0), OWNERS);
}

/* A request that does not wait has its READs come while one key is waited for. */
static void test_one_among_others(void **state)
{
	struct fixture *f = *state;
	const void *place = &(uint64_t){ 2 };
	uint64_t sum = 0;
	int status = -1;
	void *tag;

	read_all(f);
	read_one(f, 1, 4, 2, 0);
	assert_ok(estate_query_start(f->view, f->table, 1, &place, 8, NULL, &sum, 8, &status, NULL,
				     f));
	assert_int_equal(read_one(f, 1, 4, 2, 0), OWNERS);
	assert_int_equal(estate_query_poll(f->view, &tag, 1), 1);
	assert_ptr_equal(tag, f);
	assert_int_equal(status, 0);
	assert_int_equal(sum, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_found_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline_of_the_restless, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_among_others, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
