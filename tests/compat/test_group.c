// SPDX-License-Identifier: BSD-3-Clause
/* Programs in the prototype's style as a group of processes, their totals checked. */
#include "folder.h"
#include "node_process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define NODES 5
#define PORT 9000

static struct node nodes[NODES];

static int start_nodes_with(const char *peers)
{
	for (int i = 0; i < NODES; i++) {
		if (node_start(nodes + i, "127.0.0.1", PORT + i, peers))
			return -1;
	}
	return 0;
}

static int start_nodes(void **state)
{
	(void)state;
	return start_nodes_with(NULL);
}

static int start_nodes_with_all_peers(void **state)
{
	(void)state;
	return start_nodes_with("127.0.0.1:9000 127.0.0.1:9001;localhost:9002 "
				"127.0.0.1:9003 127.0.0.1:9004");
}

static int stop_nodes(void **state)
{
	int failed = 0;

	(void)state;
	for (int i = 0; i < NODES; i++) {
		if (nodes[i].pid && node_stop(nodes + i))
			failed = -1;
	}
	return failed;
}

/* Wait until every node sees a value of all others. */
static void meet(void)
{
	for (int i = 0; i < NODES; i++)
		assert_string_equal(node_ask(nodes + i, "set met yes"), "OK");
	for (int i = 0; i < NODES; i++)
		assert_string_equal(node_ask_until(nodes + i, "5", "global met count"), "5");
}

static void test_each_its_own(void **state)
{
	char value[32];

	(void)state;
	meet();
	for (int i = 0; i < NODES; i++)
		assert_string_equal(node_ask(nodes + i, "set key1 value1.%d", i), "OK");
	for (int i = 0; i < NODES; i++) {
		snprintf(value, sizeof(value), "value1.%d", i);
		assert_string_equal(node_ask(nodes + i, "get key1"), value);
	}
	assert_string_equal(node_ask(nodes, "del key1"), "OK");
	assert_string_equal(node_ask(nodes, "get key1"), "ES_NONE");
	assert_string_equal(node_ask(nodes + 1, "get key1"), "value1.1");
	for (int i = 0; i < NODES; i++)
		assert_string_equal(node_ask(nodes + i, "global key1 join"),
				    "127.0.0.1:9001=value1.1,127.0.0.1:9002=value1.2,"
				    "127.0.0.1:9003=value1.3,127.0.0.1:9004=value1.4");
}

static void test_latest(void **state)
{
	(void)state;
	meet();
	for (int turn = 0; turn < 3 * NODES; turn++) {
		char value[32];

		snprintf(value, sizeof(value), "update %d", turn);
		/* The global read before the write is what makes it the later one, by any clock. */
		node_ask(nodes + turn % NODES, "global key latest");
		assert_string_equal(node_ask(nodes + turn % NODES, "set key %s", value), "OK");
		for (int i = 0; i < NODES; i++)
			assert_string_equal(node_ask(nodes + i, "global key latest"), value);
	}
}

static void test_totals(void **state)
{
	(void)state;
	meet();
	for (int i = 0; i < NODES; i++) {
		node_ask(nodes + i, "set packets %d", 1000000 + i);
		node_ask(nodes + i, "set bytes 9007199254740993");
		node_ask(nodes + i, "set load %s", i ? "0.8" : "0.7");
		node_ask(nodes + i, "set mixed %s", i ? "1" : "2.5");
		node_ask(nodes + i, "set huge 9223372036854775807");
	}
	for (int i = 0; i < NODES; i++) {
		assert_string_equal(node_ask(nodes + i, "global packets sum"), "5000010");
		assert_string_equal(node_ask(nodes + i, "global packets avg"), "1000002");
		assert_string_equal(node_ask(nodes + i, "global bytes sum"), "45035996273704965");
		assert_string_equal(node_ask(nodes + i, "global bytes avg"), "9007199254740993");
		assert_string_equal(node_ask(nodes + i, "global load sum"), "3.9");
		assert_string_equal(node_ask(nodes + i, "global load avg"), "0.78");
		assert_string_equal(node_ask(nodes + i, "global mixed sum"), "6.5");
		assert_string_equal(node_ask(nodes + i, "global mixed avg"), "1.3");
		assert_string_equal(node_ask(nodes + i, "global huge sum"), "46116860184273879035");
		assert_string_equal(node_ask(nodes + i, "missing"), "0");
	}
}

/* Counters that grow everywhere at the same time end at the exact total. */
static void test_growing_total(void **state)
{
	enum {
		ROUNDS = 200
	};
	char total[32];

	(void)state;
	meet();
	for (int round = 1; round <= ROUNDS; round++) {
		for (int i = 0; i < NODES; i++)
			assert_string_equal(node_ask(nodes + i, "set n %d", round * (i + 1)), "OK");
		snprintf(total, sizeof(total), "%d", round * (1 + 2 + 3 + 4 + 5));
		assert_string_equal(node_ask(nodes + round % NODES, "global n sum"), total);
	}
}

static void test_on_one_only(void **state)
{
	(void)state;
	meet();
	node_ask(nodes, "set key_1 0.8");
	for (int i = 0; i < NODES; i++) {
		assert_string_equal(node_ask(nodes + i, "global key_1 sum"), "0.8");
		assert_string_equal(node_ask(nodes + i, "global key_1 count"), "1");
		assert_string_equal(node_ask(nodes + i, "global nowhere latest"), "ES_NONE");
	}
}

static void test_leave_and_join(void **state)
{
	(void)state;
	meet();
	for (int i = 0; i < NODES; i++)
		node_ask(nodes + i, "set n %d", 1 << i);
	assert_string_equal(node_ask(nodes, "global n sum"), "31");

	assert_int_equal(node_stop(nodes + 4), 0);
	assert_string_equal(node_ask_until(nodes, "15", "global n sum"), "15");
	assert_string_equal(node_ask_until(nodes, "0", "missing"), "0");

	assert_int_equal(node_start(nodes + 4, "127.0.0.1", PORT + 4, NULL), 0);
	node_ask(nodes + 4, "set n 64");
	assert_string_equal(node_ask_until(nodes, "79", "global n sum"), "79");
	assert_string_equal(node_ask_until(nodes + 4, "79", "global n sum"), "79");
}

/* A node that was killed does not block the others; its value counts wholly or not at all. */
static void test_killed(void **state)
{
	(void)state;
	meet();
	for (int i = 0; i < NODES; i++)
		node_ask(nodes + i, "set n %d", 1 << i);
	assert_string_equal(node_ask(nodes, "global n sum"), "31");
	assert_true(WIFSIGNALED(node_kill(nodes + 4)));
	for (int i = 0; i < 100; i++) {
		const char *sum = node_ask(nodes, "global n sum");

		assert_true(!strcmp(sum, "31") || !strcmp(sum, "15"));
	}
	assert_string_equal(node_ask_until(nodes, "15", "global n sum"), "15");
	/* Its name is free again. */
	assert_int_equal(node_start(nodes + 4, "127.0.0.1", PORT + 4, NULL), 0);
	node_ask(nodes + 4, "set n 32");
	assert_string_equal(node_ask_until(nodes, "47", "global n sum"), "47");
}

/* Two groups of peers on one host keep apart; a peer that never came is missing. */
static void test_chosen_peers(void **state)
{
	static const char *const peers[NODES] = { "127.0.0.1:9001", "127.0.0.1:9000 127.0.0.1:9001",
						  "127.0.0.1:9003 127.0.0.1:9999",
						  "127.0.0.1:9002;127.0.0.1:9003", "" };

	(void)state;
	for (int i = 0; i < NODES; i++) {
		assert_int_equal(node_start(nodes + i, "127.0.0.1", PORT + i, peers[i]), 0);
		node_ask(nodes + i, "set n %d", 1 << i);
	}
	assert_string_equal(node_ask_until(nodes + 4, "31", "global n sum"), "31");
	assert_string_equal(node_ask_until(nodes + 0, "3", "global n sum"), "3");
	assert_string_equal(node_ask_until(nodes + 1, "3", "global n sum"), "3");
	assert_string_equal(node_ask(nodes + 1, "missing"), "0");
	assert_string_equal(node_ask_until(nodes + 2, "12", "global n sum"), "12");
	assert_string_equal(node_ask(nodes + 2, "missing"), "1");
	assert_string_equal(node_ask_until(nodes + 3, "12", "global n sum"), "12");
	assert_string_equal(node_ask(nodes + 3, "missing"), "0");
	/* A key that only others have. */
	node_ask(nodes + 4, "set far 1");
	assert_string_equal(node_ask(nodes + 0, "global far sum"), "ES_NONE");
	assert_string_equal(node_ask(nodes + 0, "missing"), "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_its_own, start_nodes, stop_nodes),
		cmocka_unit_test_setup_teardown(test_latest, start_nodes, stop_nodes),
		cmocka_unit_test_setup_teardown(test_totals, start_nodes_with_all_peers,
						stop_nodes),
		cmocka_unit_test_setup_teardown(test_growing_total, start_nodes, stop_nodes),
		cmocka_unit_test_setup_teardown(test_on_one_only, start_nodes_with_all_peers,
						stop_nodes),
		cmocka_unit_test_setup_teardown(test_leave_and_join, start_nodes, stop_nodes),
		cmocka_unit_test_setup_teardown(test_killed, start_nodes, stop_nodes),
		cmocka_unit_test_teardown(test_chosen_peers, stop_nodes),
	};
	int failed;

	/* Of a node that ended its answers tell. */
	signal(SIGPIPE, SIG_IGN);
	if (folder_make()) {
		perror("a folder for the registry");
		return 1;
	}
	failed = cmocka_run_group_tests_name("compat, a group", tests, NULL, NULL);
	folder_remove();
	return failed;
}
