// SPDX-License-Identifier: BSD-3-Clause
/* The owner's side: who is let in, who is not, and how they go. */
#include "side.h"

#include <errno.h>
#include <string.h>

#define INBOUNDS_MAX 4096

/* What one who says @hello is told; the owner keeps nothing of it. */
static void refused(struct pair *pair, const void *hello, uint8_t length, int error,
		    const char *word)
{
	fake_say(RDMA_CM_EVENT_CONNECT_REQUEST, hello, length);
	assert_ok(side_connect(&pair->reader, &pair->owner, &pair->member));
	side_pump();
	assert_int_equal(pair->member.downs, 1);
	assert_int_equal(pair->member.error, error);
	if (!strstr(pair->member.sentence, "it refused") || !strstr(pair->member.sentence, word))
		fail_msg("\"%s\" does not say \"%s\"", pair->member.sentence, word);
	pair->member.downs = 0;
	assert_null(pair->owner.verbs->inbounds);
	assert_null(fake_id(0));
}

static void test_strangers(void **state)
{
	struct handshake_hello good;
	struct handshake_hello hello;
	struct pair pair;
	unsigned char zeros[200] = { 0 };
	unsigned char long_one[255] = { 0 };

	(void)state;
	memset(&pair, 0, sizeof(pair));
	assert_ok(side_open(&pair.owner, "owner", NULL));
	assert_ok(side_open(&pair.reader, NULL, NULL));
	handshake_make_hello(&good, &pair.reader.identity);
	refused(&pair, NULL, 0, -EPROTO, "too short");
	refused(&pair, &good, sizeof(good) - 1, -EPROTO, "too short");
	refused(&pair, zeros, sizeof(zeros), -EPROTO, "no instance");
	hello = good;
	hello.layout++;
	refused(&pair, &hello, sizeof(hello), -EPROTO, "same release");
	hello = good;
	hello.group++;
	refused(&pair, &hello, sizeof(hello), -EPERM, "group fake");
	/* Nobody is there to be refused any more, or it cannot be said: that is all the same. */
	fake_say(RDMA_CM_EVENT_CONNECT_REQUEST, zeros, sizeof(zeros));
	fake_fail("rdma_reject", 1, EINVAL);
	assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
	side_pump();
	assert_string_equal(fake_failed(), "rdma_reject");
	assert_int_equal(pair.member.downs, 1);
	assert_null(pair.owner.verbs->inbounds);
	/* Longer than any message can be. */
	memcpy(long_one, &good, sizeof(good));
	fake_say(RDMA_CM_EVENT_CONNECT_REQUEST, long_one, 255);
	assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
	side_pump();
	assert_true(pair.member.up);
	pair_close(&pair);
}

static void test_full(void **state)
{
	struct pair pair;

	(void)state;
	memset(&pair, 0, sizeof(pair));
	assert_ok(side_open(&pair.owner, "owner", NULL));
	assert_ok(side_open(&pair.reader, NULL, NULL));
	pair.owner.verbs->inbound_count = INBOUNDS_MAX;
	assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
	side_pump();
	assert_int_equal(pair.member.error, -ENOSPC);
	assert_non_null(strstr(pair.member.sentence, "as many readers"));
	assert_null(fake_id(0));
	pair.owner.verbs->inbound_count = 0;
	assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
	side_pump();
	assert_true(pair.member.up);
	pair_close(&pair);
}

static void test_readers_go(void **state)
{
	static const enum rdma_cm_event_type ends[] = {
		RDMA_CM_EVENT_DISCONNECTED,   RDMA_CM_EVENT_CONNECT_ERROR,
		RDMA_CM_EVENT_UNREACHABLE,    RDMA_CM_EVENT_REJECTED,
		RDMA_CM_EVENT_DEVICE_REMOVAL, RDMA_CM_EVENT_TIMEWAIT_EXIT
	};
	struct pair pair;

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct rdma_cm_id *id;

		pair_open(&pair);
		id = pair.owner.verbs->inbounds->id;
		assert_int_equal(pair.owner.verbs->inbound_count, 1);
		fake_event(id, RDMA_CM_EVENT_ESTABLISHED, 0);
		fake_event(id, RDMA_CM_EVENT_ADDR_CHANGE, 0);
		side_pump();
		assert_true(pair.member.up);
		/* Two of them: the second is about something that is gone. */
		fake_event(id, ends[i], 0);
		fake_event(id, RDMA_CM_EVENT_TIMEWAIT_EXIT, 0);
		side_pump();
		assert_int_equal(pair.owner.verbs->inbound_count, 0);
		assert_null(pair.owner.verbs->inbounds);
		assert_int_equal(pair.member.downs, 1);
		pair_close(&pair);
	}
}

/* What comes to the listener itself, beside requests. */
static void test_odd_events(void **state)
{
	struct pair pair;

	(void)state;
	pair_open(&pair);
	fake_event(fake_listening(), RDMA_CM_EVENT_ADDR_CHANGE, 0);
	fake_event(fake_listening(), RDMA_CM_EVENT_TIMEWAIT_EXIT, 0);
	fake_event(fake_listening(), RDMA_CM_EVENT_ESTABLISHED, 0);
	side_pump();
	assert_non_null(fake_listening());
	assert_true(pair.member.up);
	pair_close(&pair);
}

/* Its device went, and listening anew does not succeed at first, for one reason or another. */
static void test_listens_again(void **state)
{
	static const char *const calls[] = { "rdma_create_id", "rdma_bind_addr", "rdma_listen",
					     "ibv_reg_mr" };
	struct pair pair;

	(void)state;
	pair_open(&pair);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		fake_remove_device(0);
		side_pump();
		assert_null(fake_listening());
		/* Not at once: there would be no end of trying. */
		assert_null(fake_failed());
		fake_fail(calls[i], 1, EIO);
		side_pass(500000);
		assert_null(fake_failed());
		side_pass(700000);
		assert_non_null(fake_failed());
		assert_null(fake_listening());
		side_pass(1200000);
		assert_non_null(fake_listening());
		fake_fail(NULL, 0, 0);
	}
	assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
	side_pump();
	assert_true(pair.member.up);
	pair_close(&pair);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, side_setup, side_teardown)
	const struct CMUnitTest tests[] = {
		test(test_strangers),  test(test_full),		 test(test_readers_go),
		test(test_odd_events), test(test_listens_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
