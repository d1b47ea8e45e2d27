// SPDX-License-Identifier: BSD-3-Clause
/* The prototype's interface in one process: what is stored, what is returned, who owns it. */
#include "folder.h"

#include <estatepp.h>

#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SUM 1
#define AVERAGE 2

static int open_instance(void **state)
{
	(void)state;
	es_init("127.0.0.1", 9000);
	return 0;
}

static int close_instance(void **state)
{
	(void)state;
	es_close();
	return 0;
}

static void test_set_get_del(void **state)
{
	(void)state;
	assert_string_equal(es_get("k"), "ES_NONE");
	es_set("k", "v1");
	assert_string_equal(es_get("k"), "v1");
	es_set("k", "a longer value");
	assert_string_equal(es_get("k"), "a longer value");
	es_set("k", "");
	assert_string_equal(es_get("k"), "");
	es_del("k");
	assert_string_equal(es_get("k"), "ES_NONE");
	es_del("k");
	assert_string_equal(es_get("k"), "ES_NONE");
}

static void test_empty_key(void **state)
{
	(void)state;
	es_set("", "nameless");
	assert_string_equal(es_get(""), "nameless");
	assert_string_equal(es_get(" "), "ES_NONE");
	es_del("");
	assert_string_equal(es_get(""), "ES_NONE");
}

static void test_limits(void **state)
{
	char key[258], value[4098];

	(void)state;
	memset(key, 'k', sizeof(key));
	memset(value, 'v', sizeof(value));
	value[4096] = 0;
	key[256] = 0;
	es_set(key, value);
	assert_string_equal(es_get(key), value);

	/* One byte more: no effect. */
	value[4096] = 'v';
	value[4097] = 0;
	es_set(key, value);
	assert_int_equal(strlen(es_get(key)), 4096);
	es_set("short", value);
	assert_string_equal(es_get("short"), "ES_NONE");
	key[256] = 'k';
	key[257] = 0;
	es_set(key, "v");
	assert_string_equal(es_get(key), "ES_NONE");
	key[256] = 0;
	es_del(key);
}

static void test_null_arguments(void **state)
{
	(void)state;
	es_set("k", "v");
	es_set(NULL, "v");
	es_set("k", NULL);
	es_del(NULL);
	assert_string_equal(es_get(NULL), "ES_NONE");
	assert_string_equal(es_get_global(NULL, NULL), "ES_NONE");
	assert_string_equal(es_get_global("k", NULL), "ES_NONE");
	assert_string_equal(es_get_global_predefined_reduce(NULL, SUM), "ES_NONE");
	es_register_get_global_callback(NULL);
	assert_string_equal(es_get("k"), "v");
	es_del("k");
}

static void test_results_stay(void **state)
{
	const char *results[ES_STRINGS_KEPT];
	char value[32];

	(void)state;
	for (int i = 0; i < ES_STRINGS_KEPT; i++) {
		snprintf(value, sizeof(value), "value %d", i);
		es_set("k", value);
		results[i] = i % 2 ? es_get("k") : es_get_global_predefined_reduce("k", 0);
	}
	es_del("k");
	es_close();
	for (int i = 0; i < ES_STRINGS_KEPT; i++) {
		snprintf(value, sizeof(value), "value %d", i);
		assert_string_equal(results[i], value);
	}
	es_init("127.0.0.1", 9000);
}

static void *read_in_thread(void *arg)
{
	const char *first = es_get("k");

	(void)arg;
	for (int i = 1; i < ES_STRINGS_KEPT; i++)
		es_get("other");
	return (void *)(intptr_t)!strcmp(first, "v");
}

/* One thread's results do not push those of another out. */
static void test_results_of_threads(void **state)
{
	const char *mine;
	pthread_t threads[4];
	void *same;

	(void)state;
	es_set("k", "v");
	es_set("other", "o");
	mine = es_get("k");
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(threads + i, NULL, read_in_thread, NULL), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &same), 0);
		assert_true((intptr_t)same);
	}
	assert_string_equal(mine, "v");
	es_del("k");
	es_del("other");
}

static char *reduce_first(state_item_t *items, int length)
{
	assert_int_equal(length, 1);
	assert_string_equal(items[0].node_identifier, "127.0.0.1:9000");
	assert_true(items[0].timestamp > 0);
	return (char *)(uintptr_t)items[0].data;
}

static char *reduce_to_own(state_item_t *items, int length)
{
	char *own = malloc(64);

	(void)items;
	assert_non_null(own);
	snprintf(own, 64, "%d of my own", length);
	return own;
}

/* Far more calls of the library than it keeps strings, while its items are in use. */
static char *reduce_with_calls(state_item_t *items, int length)
{
	(void)length;
	for (int i = 0; i < 3 * ES_STRINGS_KEPT; i++)
		assert_string_equal(es_get_global("inner", reduce_first), "i");
	return (char *)(uintptr_t)items[0].data;
}

static void test_reduce(void **state)
{
	const char *result;

	(void)state;
	assert_string_equal(es_get_global("k", reduce_first), "ES_NONE");
	assert_int_equal(es_missing(), 0);
	es_set("k", "v");
	es_set("inner", "i");
	assert_string_equal(es_get_global("k", reduce_first), "v");
	assert_int_equal(es_missing(), 0);
	assert_string_equal(es_get_global("k", reduce_with_calls), "v");

	result = es_get_global("k", reduce_to_own);
	assert_string_equal(result, "1 of my own");
	free((void *)(uintptr_t)result);
	es_del("k");
	es_del("inner");
}

static void check_sum(const char *value, const char *sum)
{
	es_set("n", value);
	assert_string_equal(es_get_global_predefined_reduce("n", SUM), sum);
	assert_string_equal(es_get_global_predefined_reduce("n", AVERAGE), sum);
	assert_string_equal(es_get_global_predefined_reduce("n", 0), value);
	assert_string_equal(es_get_global_predefined_reduce("n", 17), value);
}

static void test_numbers(void **state)
{
	(void)state;
	check_sum("0", "0");
	check_sum("-1", "-1");
	check_sum(" +42 ", "42");
	check_sum("1000001", "1000001");
	check_sum("9007199254740993", "9007199254740993");
	check_sum("9223372036854775807", "9223372036854775807");
	check_sum("-9223372036854775808", "-9223372036854775808");
	check_sum("18446744073709551616", "1.8446744073709552e+19");
	check_sum("0.1", "0.1");
	check_sum("1234567.25", "1234567.25");
	check_sum("1e300", "1e+300");
	check_sum("-2.5e-3x", "-0.0025");
	check_sum("7 dwarfs", "7");
	check_sum("no number", "0");
	check_sum("", "0");
	es_del("n");
}

/* Skipped where the machine has no locale with a decimal comma. */
static void test_locale(void **state)
{
	(void)state;
	if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
		skip();
	check_sum("0.5", "0.5");
	setlocale(LC_NUMERIC, "C");
	es_del("n");
}

static void test_without_instance(void **state)
{
	(void)state;
	es_close();
	es_set("k", "v");
	es_del("k");
	assert_string_equal(es_get("k"), "ES_NONE");
	assert_string_equal(es_get_global("k", reduce_first), "ES_NONE");
	assert_int_equal(es_missing(), -1);
	es_close();

	es_init(NULL, 9000);
	assert_string_equal(es_get("k"), "ES_NONE");
	es_init("an-address-that-is-much-too-long-for-a-name-of-an-instance.example.org", 9000);
	es_set("k", "v");
	assert_string_equal(es_get("k"), "ES_NONE");

	es_init("127.0.0.1", 9000);
	es_set("k", "v");
	assert_string_equal(es_get("k"), "v");
	/* Once more: anew, without its values. */
	es_init("127.0.0.1", 9000);
	assert_string_equal(es_get("k"), "ES_NONE");
}

static void test_environment(void **state)
{
	char key[16];

	(void)state;
	es_close();
	setenv("ESTATE_COMPAT_CAPACITY", "many", 1);
	es_init("127.0.0.1", 9000);
	es_set("k", "v");
	assert_string_equal(es_get("k"), "ES_NONE");

	setenv("ESTATE_COMPAT_CAPACITY", "3", 1);
	setenv("ESTATE_COMPAT_VALUE_SIZE", "5", 1);
	es_init("127.0.0.1", 9000);
	for (int i = 0; i < 4; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		es_set(key, "12345");
		assert_string_equal(es_get(key), i < 3 ? "12345" : "ES_NONE");
	}
	es_set("key 0", "123456");
	assert_string_equal(es_get("key 0"), "12345");
	unsetenv("ESTATE_COMPAT_CAPACITY");
	unsetenv("ESTATE_COMPAT_VALUE_SIZE");
}

static void test_linked(void **state)
{
	(void)state;
	assert_string_equal(testpp(), "abcd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_set_get_del, open_instance, close_instance),
		cmocka_unit_test_setup_teardown(test_empty_key, open_instance, close_instance),
		cmocka_unit_test_setup_teardown(test_limits, open_instance, close_instance),
		cmocka_unit_test_setup_teardown(test_null_arguments, open_instance, close_instance),
		cmocka_unit_test_setup_teardown(test_results_stay, open_instance, close_instance),
		cmocka_unit_test_setup_teardown(test_results_of_threads, open_instance,
						close_instance),
		cmocka_unit_test_setup_teardown(test_reduce, open_instance, close_instance),
		cmocka_unit_test_setup_teardown(test_numbers, open_instance, close_instance),
		cmocka_unit_test_setup_teardown(test_locale, open_instance, close_instance),
		cmocka_unit_test_setup_teardown(test_without_instance, open_instance,
						close_instance),
		cmocka_unit_test_setup_teardown(test_environment, open_instance, close_instance),
		cmocka_unit_test(test_linked),
	};
	int failed;

	if (folder_make()) {
		perror("a folder for the registry");
		return 1;
	}
	failed = cmocka_run_group_tests_name("compat, one instance", tests, NULL, NULL);
	folder_remove();
	return failed;
}
