// SPDX-License-Identifier: BSD-3-Clause
/* Devices that come, lack something, and go. */
#include "side.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static void test_opening_fails(void **state)
{
	static const struct {
		const char *call;
		unsigned int nth;
		const char *says;
	} calls[] = {
		{ "rdma_create_event_channel", 1, "rdma_ucm" },
		{ "rdma_create_id", 1, "rdma_create_id" },
		{ "rdma_bind_addr", 1, "rdma_bind_addr" },
		{ "rdma_listen", 1, "rdma_listen" },
		{ "rdma_get_devices", 1, "rdma_get_devices" },
		{ "ibv_query_device", 1, "ibv_query_device" },
		{ "ibv_alloc_pd", 1, "ibv_alloc_pd" },
		{ "ibv_reg_mr", 1, "ibv_reg_mr" },
		{ "ibv_create_cq", 1, "ibv_create_cq" },
		{ "ibv_create_cq", 2, "ibv_create_cq" },
		{ "calloc", 1, "no memory" },
		{ "calloc", 2, "no memory" },
	};
	struct side side;

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		fake_fail(calls[i].call, calls[i].nth, EPERM);
		assert_true(side_open(&side, "owner", NULL) < 0);
		if (!fake_failed() || !strstr(estate_errormsg(), calls[i].says))
			fail_msg("%s: \"%s\"", calls[i].call, estate_errormsg());
		if (strcmp(calls[i].call, "calloc") && !strstr(estate_errormsg(), "not permitted"))
			fail_msg("%s does not say why: \"%s\"", calls[i].call, estate_errormsg());
		fake_check();
	}
	/* These are for other times. */
	fake_fail("ibv_fork_init", 1, EINVAL);
	assert_ok(side_open(&side, "owner", NULL));
	side_close(&side);
}

static void test_no_device(void **state)
{
	struct side side;

	(void)state;
	fake_use_device(-1);
	assert_error(side_open(&side, "owner", NULL), -ENODEV, "rdma link add");
	fake_use_device(0);
	fake_fail("rdma_create_event_channel", 1, ENODEV);
	assert_error(side_open(&side, "owner", NULL), -ENODEV, "rdma link add");
	fake_fail("rdma_bind_addr", 1, EADDRNOTAVAIL);
	assert_error(side_open(&side, "owner", NULL), -EADDRNOTAVAIL, "rdma link add");
	fake_fail("rdma_bind_addr", 1, EADDRINUSE);
	assert_error(side_open(&side, "owner", "verbs:127.0.0.1:99"), -EADDRINUSE, "127.0.0.1:99");
	assert_null(strstr(estate_errormsg(), "rdma link add"));
	assert_error(side_open(&side, "owner", "verbs:nowhere.invalid:1"), -EADDRNOTAVAIL,
		     "nowhere.invalid");
}

static void test_memlock(void **state)
{
	struct rlimit before;
	struct rlimit limit;
	struct side side;

	(void)state;
	getrlimit(RLIMIT_MEMLOCK, &before);
	limit = before;
	limit.rlim_cur = 64 << 10;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	fake_fail("ibv_reg_mr", 1, ENOMEM);
	assert_error(side_open(&side, "owner", NULL), -ENOMEM, "ulimit -l");
	setrlimit(RLIMIT_MEMLOCK, &before);
}

/* A device whose queues are smaller than what we would like to have. */
static void test_small_device(void **state)
{
	struct pair pair;
	struct reading_io io;

	(void)state;
	fake_limits(10, 20);
	pair_open(&pair);
	pair_io(&pair, &io);
	assert_int_equal(io.lane->depth, 8);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* librdmacm closes a device that is gone once no identifier is on it. */
static void test_removed_and_replaced(void **state)
{
	struct pair pair;
	struct reading_io io;
	struct transport_io *again;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	assert_ok(pair_read(&pair, &io, 0));
	pair.reader.operations->flush(io.base);
	fake_remove_device(0);
	side_pump();
	assert_false(pair.member.up);
	assert_int_equal(pair.member.error, -EHOSTUNREACH);
	assert_non_null(strstr(pair.member.sentence, "removed"));
	assert_null(pair.reader.operations->io_endpoint(io.base, pair.member.peer.id));
	assert_null(fake_listening());
	/* A device of the same name, with the same address: it is found, and listened on. */
	side_pass(2500000);
	assert_non_null(fake_listening());
	assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
	side_pump();
	assert_true(pair.member.up);
	assert_ok(pair.reader.operations->io_open(pair.reader.transport, &again));
	side_pump();
	assert_non_null(pair.reader.operations->io_endpoint(again, pair.member.peer.id));
	assert_non_null(pair.reader.operations->io_endpoint(io.base, pair.member.peer.id));
	pair.reader.operations->io_retire(again);
	side_pump();
	assert_true(pair.reader.operations->io_retired(again));
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* No device is there for a while; the listener's port is the same when there is one. */
static void test_listener_comes_back(void **state)
{
	struct pair pair;
	char before[REGISTRY_ADDRESS_MAX];

	(void)state;
	pair_open(&pair);
	strcpy(before, pair.owner.operations->address(pair.owner.transport));
	fake_remove_device(0);
	fake_use_device(-1);
	side_pass(3500000);
	assert_null(fake_listening());
	assert_int_equal(fake_count("id"), 0);
	fake_use_device(3);
	side_pass(1500000);
	assert_non_null(fake_listening());
	assert_string_equal(before, pair.owner.operations->address(pair.owner.transport));
	assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
	side_pump();
	assert_true(pair.member.up);
	pair_close(&pair);
}

/* A READ of the header is under way when its device goes: nothing is kept for it. */
static void test_removed_while_reading(void **state)
{
	struct pair pair;

	(void)state;
	pair_open(&pair);
	fake_hold(1);
	side_pass(100000);
	assert_int_equal(pair.reader.verbs->peers->reading, 1);
	fake_remove_device(0);
	side_pump();
	assert_int_equal(pair.member.downs, 1);
	assert_null(pair.reader.verbs->peers);
	fake_hold(0);
	pair_close(&pair);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, side_setup, side_teardown)
	const struct CMUnitTest tests[] = {
		test(test_opening_fails),
		test(test_no_device),
		test(test_memlock),
		test(test_small_device),
		test(test_removed_and_replaced),
		test(test_listener_comes_back),
		test(test_removed_while_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
