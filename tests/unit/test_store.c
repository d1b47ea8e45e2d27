// SPDX-License-Identifier: BSD-3-Clause
/* What an instance says of its group's tables, and what the library says of itself. */
#include "check.h"
#include "group.h"
#include "region.h"
#include "scratch.h"
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCES 3

struct fixture {
	char *folder;
	struct estate *es[INSTANCES];
};

static int setup(void **state)
{
	static const char *const names[INSTANCES] = { "a", "b", "c" };
	struct fixture *f = calloc(1, sizeof(*f));

	f->folder = scratch_make();
	for (int i = 0; i < INSTANCES; i++)
		f->es[i] = group_open(f->folder, names[i], 2 << 20);
	for (int i = 0; i < INSTANCES; i++)
		group_wait(f->es[i], INSTANCES);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < INSTANCES; i++)
		assert_ok(estate_close(f->es[i]));
	scratch_remove(f->folder);
	free(f);
	return 0;
}

static void put_some(struct estate_table *table, uint64_t count)
{
	for (uint64_t id = 0; id < count; id++)
		assert_ok(estate_put(table, &id, 8, &id, 8));
}

static void test_tables(void **state)
{
	struct fixture *f = *state;
	struct estate *observer = group_open(f->folder, NULL, 0);
	struct estate_table_info tables[8];
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	group_wait(observer, INSTANCES);
	assert_int_equal(estate_tables(f->es[0], tables, 8), 0);
	assert_int_equal(estate_tables(f->es[0], NULL, 0), 0);
	assert_int_equal(estate_tables(observer, NULL, 0), 0);

	put_some(group_counters(f->es[0], "shared", 8, 1, 100), 10);
	put_some(group_counters(f->es[1], "shared", 8, 1, 100), 20);
	put_some(group_counters(f->es[2], "shared", 8, 1, 100), 30);
	put_some(group_counters(f->es[1], "b-only", 8, 1, 100), 5);
	attr.key_size = 20;
	attr.value_count = 1000;
	attr.capacity = 7;
	attr.seed = 1234567890123ull;
	assert_ok(estate_table_open(f->es[2], "Zz", &attr, &table));
	for (int i = 0; i <= INSTANCES; i++) {
		struct estate *es = i < INSTANCES ? f->es[i] : observer;

		memset(tables, 0xa5, sizeof(tables));
		assert_int_equal(estate_tables(es, NULL, 0), 3);
		assert_int_equal(estate_tables(es, tables, 8), 3);
		/* Sorted as strcmp() does it. */
		assert_string_equal(tables[0].name, "Zz");
		assert_string_equal(tables[1].name, "b-only");
		assert_string_equal(tables[2].name, "shared");
		assert_int_equal(tables[0].members, 1);
		assert_int_equal(tables[0].entries, 0);
		assert_int_equal(tables[1].members, 1);
		assert_int_equal(tables[1].entries, 5);
		assert_int_equal(tables[2].members, 3);
		assert_int_equal(tables[2].odd, 0);
		assert_int_equal(tables[2].entries, 60);
		assert_int_equal(tables[0].attr.size, sizeof(attr));
		assert_int_equal(tables[0].attr.key_size, 20);
		assert_int_equal(tables[0].attr.value_type, ESTATE_OPAQUE);
		assert_int_equal(tables[0].attr.value_count, 1000);
		assert_int_equal(tables[0].attr.merge, ESTATE_MERGE_LATEST);
		assert_int_equal(tables[0].attr.capacity, 7);
		assert_int_equal(tables[0].attr.seed, 1234567890123ull);
		assert_int_equal(tables[2].attr.value_type, ESTATE_U64);
		assert_int_equal(tables[2].attr.merge, ESTATE_MERGE_SUM);
	}
	/* As they come, they can be given back. */
	assert_ok(estate_table_open(f->es[0], "Zz", &tables[0].attr, &table));
	assert_int_equal(estate_tables(observer, tables, 8), 3);
	assert_int_equal(tables[0].members, 2);
	assert_int_equal(tables[0].odd, 0);
	/* What an observer opens is in nobody's region. */
	group_counters(observer, "observed", 8, 1, 10);
	assert_int_equal(estate_tables(observer, NULL, 0), 3);
	/* Deleted entries are not counted. */
	assert_ok(
		estate_delete(group_counters(f->es[1], "b-only", 8, 1, 100), &(uint64_t){ 3 }, 8));
	assert_int_equal(estate_tables(observer, tables, 8), 3);
	assert_int_equal(tables[1].entries, 4);
	estate_close(observer);
}

static void test_too_little_room(void **state)
{
	struct fixture *f = *state;
	struct estate_table_info tables[3];
	struct estate_table_info untouched;
	char name[16];

	/* More than the first guess of how many there are. */
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "t%02d", 39 - i);
		group_counters(f->es[i % INSTANCES], name, 8, 1, 1);
	}
	memset(tables, 0xa5, sizeof(tables));
	memset(&untouched, 0xa5, sizeof(untouched));
	assert_int_equal(estate_tables(f->es[0], tables, 2), 40);
	assert_string_equal(tables[0].name, "t00");
	assert_string_equal(tables[1].name, "t01");
	assert_memory_equal(&tables[2], &untouched, sizeof(untouched));
	assert_error(estate_tables(NULL, tables, 1), -EINVAL, "es");
	assert_error(estate_tables(f->es[0], NULL, 1), -EINVAL, "tables");
}

/* One name, two geometries: each member sees its own first, and the others as odd. */
static void test_odd(void **state)
{
	struct fixture *f = *state;
	struct estate_table_info info;
	struct estate_table *table;
	struct estate *observer;

	put_some(group_counters(f->es[0], "t", 8, 1, 100), 1);
	put_some(group_counters(f->es[1], "t", 8, 1, 100), 2);
	put_some(group_counters(f->es[2], "t", 8, 1, 101), 4);
	for (int i = 0; i < INSTANCES; i++) {
		assert_int_equal(estate_tables(f->es[i], &info, 1), 1);
		assert_string_equal(info.name, "t");
		assert_int_equal(info.attr.capacity, i == 2 ? 101 : 100);
		assert_int_equal(info.members, i == 2 ? 1 : 2);
		assert_int_equal(info.odd, i == 2 ? 2 : 1);
		assert_int_equal(info.entries, i == 2 ? 4 : 3);
	}
	/* Who does not say which one takes the one that most members have. */
	observer = group_open(f->folder, NULL, 0);
	group_wait(observer, INSTANCES);
	assert_ok(estate_table_open(observer, "t", NULL, &table));
	assert_int_equal(table->geometry.capacity, 100);
	/* And that is the one it is shown. */
	assert_int_equal(estate_tables(observer, &info, 1), 1);
	assert_int_equal(info.attr.capacity, 100);
	assert_int_equal(info.members, 2);
	assert_int_equal(info.odd, 1);
	assert_ok(estate_close(observer));
}

/* A damaged entry of a directory hides one table of one member, nothing else. */
static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct layout_table *entry =
		(struct layout_table *)(f->es[1]->region.memory + LAYOUT_DIRECTORY);
	struct estate_table_info tables[4];

	for (int i = 0; i < INSTANCES; i++) {
		put_some(group_counters(f->es[i], "x", 8, 1, 100), 1);
		put_some(group_counters(f->es[i], "y", 8, 1, 100), 1);
	}
	entry[0].capacity ^= 1;
	assert_int_equal(estate_tables(f->es[0], tables, 4), 2);
	assert_int_equal(tables[0].members, 2);
	assert_int_equal(tables[0].entries, 2);
	assert_int_equal(tables[1].members, 3);
	assert_int_equal(tables[1].entries, 3);
	entry[0].capacity ^= 1;
}

static void test_members(void **state)
{
	struct fixture *f = *state;
	struct estate_member members[4];

	assert_error(estate_members(NULL, members, 4), -EINVAL, "es");
	assert_error(estate_members(f->es[0], NULL, 1), -EINVAL, "members");
	assert_int_equal(estate_members(f->es[0], NULL, 0), 3);
	memset(members, 0xa5, sizeof(members));
	assert_int_equal(estate_members(f->es[1], members, 4), 3);
	for (int i = 0; i < INSTANCES; i++) {
		assert_string_equal(members[i].name, f->es[i]->identity.name);
		assert_memory_equal(members[i].uuid, f->es[i]->identity.uuid, 16);
		assert_int_equal(members[i].self, i == 1);
		assert_int_equal(members[i].state, ESTATE_MEMBER_LIVE);
		assert_string_equal(members[i].reason, "");
		assert_non_null(strstr(members[i].address,
				       getenv("ESTATE_TEST_LISTEN") ? "verbs:" : "unix:/"));
	}
	assert_int_equal((unsigned char)members[3].name[0], 0xa5);
	assert_int_equal(estate_members(f->es[1], members, 2), 3);
}

static void test_identities(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < INSTANCES; i++) {
		/* Version 4, variant 1 (RFC 4122). */
		assert_int_equal(f->es[i]->identity.uuid[6] >> 4, 4);
		assert_int_equal(f->es[i]->identity.uuid[8] >> 6, 2);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(f->es[i]->identity.uuid, f->es[k]->identity.uuid,
						16);
	}
}

/* A name's next life is another instance, and a later one. */
static void test_restart(void **state)
{
	struct fixture *f = *state;
	struct region_identity before = f->es[2]->identity;

	assert_ok(estate_close(f->es[2]));
	f->es[2] = group_open(f->folder, "c", 2 << 20);
	assert_true(f->es[2]->identity.epoch > before.epoch);
	assert_memory_not_equal(f->es[2]->identity.uuid, before.uuid, 16);
}

static void *fail_elsewhere(void *arg)
{
	const char **complaint = arg;

	/* Nothing failed in this thread, whatever did in others. */
	if (*estate_errormsg())
		*complaint = "there is a message before anything failed";
	estate_table_bytes(NULL);
	if (!strstr(estate_errormsg(), "estate_table_bytes"))
		*complaint = "the message is not this thread's";
	return NULL;
}

static void test_messages(void **state)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	pthread_t thread;
	const char *complaint = NULL;
	const char *message;

	(void)state;
	assert_string_equal(estate_version(), ESTATE_VERSION);
	assert_error(estate_members(NULL, NULL, 0), -EINVAL, "estate_members");
	message = estate_errormsg();
	assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &complaint), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (complaint)
		fail_msg("%s", complaint);
	assert_ptr_equal(estate_errormsg(), message);
	assert_non_null(strstr(message, "estate_members"));
	/* It stays until the next failure. */
	attr.key_size = 8;
	attr.value_count = 8;
	attr.capacity = 8;
	assert_int_not_equal(estate_table_bytes(&attr), 0);
	assert_non_null(strstr(estate_errormsg(), "estate_members"));
	attr.key_size = 0;
	assert_int_equal(estate_table_bytes(&attr), 0);
	assert_non_null(strstr(estate_errormsg(), "key_size"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_little_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_members, setup, teardown),
		cmocka_unit_test_setup_teardown(test_identities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
