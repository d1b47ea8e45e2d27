// SPDX-License-Identifier: BSD-3-Clause
/* Lanes come with peers and with views, are mended when they break, and go when nobody needs them. */
#include "side.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_US 10000
#define BACKOFF_LAST_US 1000000
#define CONNECT_US 2000000

static struct endpoint *endpoint(struct pair *pair, const struct reading_io *io)
{
	return pair->reader.operations->io_endpoint(io->base, pair->member.peer.id);
}

/* What the group is told of a view's trouble: whose, and this. */
static void told(struct pair *pair, const char *word)
{
	assert_true(pair->member.up);
	assert_true(pair->member.troubles > 0);
	if (!strstr(pair->member.sentence, word) ||
	    !strstr(pair->member.sentence, pair->owner.operations->address(pair->owner.transport)))
		fail_msg("\"%s\" does not say \"%s\"", pair->member.sentence, word);
	pair->member.troubles = 0;
}

static unsigned int lanes(const struct reading_io *io)
{
	unsigned int count = 0;

	for (const struct lane *lane = io->io->lanes; lane; lane = lane->next)
		count++;
	return count;
}

/* A peer is up only when the views that are there have their lanes. */
static void test_views_first(void **state)
{
	struct reading_io io = { 0 };
	struct pair pair = { 0 };

	(void)state;
	assert_ok(side_open(&pair.owner, "owner", NULL));
	assert_ok(side_open(&pair.reader, NULL, NULL));
	assert_ok(pair.reader.operations->io_open(pair.reader.transport, &io.base));
	io.io = (struct io *)io.base;
	assert_true(pair.reader.operations->io_settled(io.base));
	assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
	for (int i = 0; !pair.member.up; i++) {
		assert_true(i < 30);
		pair.reader.operations->handle(pair.reader.transport);
		pair.owner.operations->handle(pair.owner.transport);
		pair.reader.operations->tick(pair.reader.transport, clock_monotonic_us());
	}
	assert_non_null(endpoint(&pair, &io));
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* A lane that does not come about holds up nobody but once. */
static void test_lane_fails_at_first(void **state)
{
	static const enum rdma_cm_event_type silent[] = { RDMA_CM_EVENT_ADDR_RESOLVED,
							  RDMA_CM_EVENT_ESTABLISHED };
	struct reading_io io = { 0 };
	struct pair pair;

	(void)state;
	pair_open(&pair);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		fake_instead(silent[i], -1, 0);
		assert_ok(pair.reader.operations->io_open(pair.reader.transport, &io.base));
		io.io = (struct io *)io.base;
		side_pass(CONNECT_US - 100000);
		assert_false(pair.reader.operations->io_settled(io.base));
		assert_null(endpoint(&pair, &io));
		side_pass(200000);
		assert_true(pair.reader.operations->io_settled(io.base));
		told(&pair, "no answer");
		side_pass(100000);
		assert_non_null(endpoint(&pair, &io));
		assert_int_equal(lanes(&io), 1);
		pair_io_close(&pair, &io);
	}
	/* Refused, unreachable, ...: tried again sooner. */
	for (int event = RDMA_CM_EVENT_CONNECT_ERROR; event <= RDMA_CM_EVENT_REJECTED; event++) {
		assert_ok(pair.reader.operations->io_open(pair.reader.transport, &io.base));
		io.io = (struct io *)io.base;
		fake_instead(RDMA_CM_EVENT_CONNECT_REQUEST, event, -1);
		side_pump();
		assert_true(pair.reader.operations->io_settled(io.base));
		assert_null(endpoint(&pair, &io));
		side_pass(50000);
		assert_non_null(endpoint(&pair, &io));
		pair_io_close(&pair, &io);
	}
	assert_int_equal(pair.member.downs, 0);
	pair_close(&pair);
}

/* Broken again and again, before it is ready: longer and longer until the next time. */
static void test_backoff_grows(void **state)
{
	struct reading_io io;
	struct pair pair;
	uint64_t expected = BACKOFF_FIRST_US;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	fake_event(io.lane->link.id, RDMA_CM_EVENT_DISCONNECTED, 0);
	fake_fail_from("rdma_connect", 1, EINVAL);
	side_pump();
	for (int i = 0; i < 12; i++) {
		const struct lane *lane = io.io->lanes;
		uint64_t left = lane->due_us - clock_monotonic_us();

		assert_int_equal(lane->link.state, LINK_DOWN);
		assert_int_equal(lane->backoff_us, expected);
		/* Between half and one and a half of it. */
		assert_true(left <= expected * 3 / 2);
		fake_pass(left - 5000 < left ? left - 5000 : 0);
		if (left > 100000) {
			side_pump();
			assert_ptr_equal(io.io->lanes, lane);
		}
		fake_pass(10000);
		side_pump();
		assert_int_equal(lanes(&io), 1);
		expected = expected * 2 < BACKOFF_LAST_US ? expected * 2 : BACKOFF_LAST_US;
	}
	fake_fail(NULL, 0, 0);
	side_pass(1600000);
	assert_non_null(endpoint(&pair, &io));
	/* It was ready: the next time begins anew. */
	assert_int_equal(io.io->lanes->backoff_us, 0);
	fake_event(io.io->lanes->link.id, RDMA_CM_EVENT_DISCONNECTED, 0);
	side_pump();
	assert_int_equal(io.io->lanes->backoff_us, BACKOFF_FIRST_US);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

static void test_events_break_lanes(void **state)
{
	static const enum rdma_cm_event_type ends[] = { RDMA_CM_EVENT_DISCONNECTED,
							RDMA_CM_EVENT_DEVICE_REMOVAL,
							RDMA_CM_EVENT_ADDR_CHANGE,
							RDMA_CM_EVENT_UNREACHABLE };
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct rdma_cm_id *id = io.io->lanes->link.id;
		unsigned int changes = pair.reader.group.changes;

		fake_event(id, RDMA_CM_EVENT_TIMEWAIT_EXIT, 0);
		side_pump();
		assert_non_null(endpoint(&pair, &io));
		fake_event(id, ends[i], 0);
		fake_event(id, RDMA_CM_EVENT_ESTABLISHED, 0);
		fake_event(id, RDMA_CM_EVENT_ROUTE_RESOLVED, 0);
		pair.reader.operations->handle(pair.reader.transport);
		assert_null(endpoint(&pair, &io));
		assert_true(pair.reader.group.changes > changes);
		side_pass(100000);
		assert_non_null(endpoint(&pair, &io));
		assert_int_equal(lanes(&io), 1);
	}
	assert_int_equal(pair.member.downs, 0);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* Whoever answers must be the very instance that the peer was checked to be. */
static void test_somebody_else_answers(void **state)
{
	struct handshake_welcome good;
	struct handshake_welcome welcome;
	struct reading_io io = { 0 };
	struct pair pair;

	(void)state;
	pair_open(&pair);
	good = pair.reader.verbs->peers->link.welcome;
	for (int odd = 0; odd < 5; odd++) {
		welcome = good;
		welcome.uuid[3] ^= odd == 0;
		welcome.epoch += odd == 1;
		welcome.size += odd == 2 ? 4096 : 0;
		welcome.magic += odd == 3;
		fake_say(RDMA_CM_EVENT_ESTABLISHED, &welcome, odd == 4 ? 10 : sizeof(welcome));
		assert_ok(pair.reader.operations->io_open(pair.reader.transport, &io.base));
		io.io = (struct io *)io.base;
		side_pump();
		assert_null(endpoint(&pair, &io));
		assert_true(pair.reader.operations->io_settled(io.base));
		told(&pair, odd < 3   ? "another instance"
			    : odd < 4 ? "not an instance"
				      : "too short");
		side_pass(100000);
		assert_non_null(endpoint(&pair, &io));
		pair_io_close(&pair, &io);
	}
	pair_close(&pair);
}

/* A lane is freed when its view is in no call, and no READ of it is under way; not before. */
static void test_freed_when_idle(void **state)
{
	struct transport_done done[16];
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	io.base->busy = 1;
	fake_event(io.lane->link.id, RDMA_CM_EVENT_DISCONNECTED, 0);
	side_pass(500000);
	assert_int_equal(lanes(&io), 2);
	assert_ptr_equal(io.io->numbers[io.lane->number], io.lane);
	assert_int_equal(pair_read(&pair, &io, 0), -EHOSTDOWN);
	io.base->busy = 0;
	side_pump();
	assert_int_equal(lanes(&io), 1);
	/* With a READ under way. */
	io.endpoint = endpoint(&pair, &io);
	io.lane = (struct lane *)io.endpoint;
	fake_hold(1);
	assert_int_equal(pair_read(&pair, &io, 0), 0);
	pair.reader.operations->flush(io.base);
	fake_event(io.lane->link.id, RDMA_CM_EVENT_DISCONNECTED, 0);
	side_pass(50000);
	/* It was flushed, and nobody has looked yet. */
	assert_int_equal(fake_pending(io.lane->link.id->qp), 0);
	assert_int_equal(lanes(&io), 2);
	assert_int_equal(io.endpoint->outstanding, 1);
	assert_int_equal(pair.reader.operations->poll(io.base, done, 16), 1);
	assert_int_equal(done[0].status, -EHOSTDOWN);
	side_pump();
	assert_int_equal(lanes(&io), 1);
	fake_hold(0);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* Its view does nothing for long: the READs are told when it does. */
static void test_view_looks_late(void **state)
{
	struct transport_done done[16];
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	fake_hold(1);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(pair_read(&pair, &io, i), 0);
	pair.reader.operations->flush(io.base);
	/* One has come, without a completion of its own; all are flushed, and the lane is gone. */
	fake_complete(io.lane->link.id->qp, IBV_WC_SUCCESS);
	fake_complete(io.lane->link.id->qp, IBV_WC_SUCCESS);
	fake_event(io.lane->link.id, RDMA_CM_EVENT_DISCONNECTED, 0);
	side_pass(3000000);
	assert_int_equal(lanes(&io), 2);
	assert_null(io.lane->link.id);
	assert_int_equal(pair.reader.operations->poll(io.base, done, 16), 10);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(done[i].status, i < 2 ? 0 : -EHOSTDOWN);
	assert_int_equal(pair.reader.operations->poll(io.base, done, 16), 0);
	side_pump();
	assert_int_equal(lanes(&io), 1);
	fake_hold(0);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* Told in small parts: a lane is not freed while something of it is still to be told. */
static void test_told_in_parts(void **state)
{
	struct transport_done done;
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	for (int hidden = 0; hidden < 2; hidden++) {
		if (hidden)
			fake_hide_bad_request();
		fake_hold(1);
		fake_fail("ibv_post_send", 4, EIO);
		for (unsigned int i = 0; i < 8; i++)
			assert_int_equal(pair_read(&pair, &io, i), 0);
		pair.reader.operations->flush(io.base);
		fake_hold(0);
		for (unsigned int i = 0; i < 8; i++) {
			side_pass(150000);
			assert_int_equal(lanes(&io), 2);
			assert_int_equal(pair.reader.operations->poll(io.base, &done, 1), 1);
			assert_int_equal((uintptr_t)done.tag, i + 1);
		}
		side_pump();
		/* What was given up may be on a list of the io's until it looks once more. */
		assert_int_equal(pair.reader.operations->poll(io.base, &done, 1), 0);
		side_pump();
		assert_int_equal(lanes(&io), 1);
		io.endpoint = endpoint(&pair, &io);
		io.lane = (struct lane *)io.endpoint;
	}
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

static void test_peer_goes(void **state)
{
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	io.base->busy = 1;
	side_disconnect(&pair.reader, &pair.member);
	assert_null(endpoint(&pair, &io));
	side_pass(100000);
	assert_int_equal(lanes(&io), 1);
	io.base->busy = 0;
	side_pass(2000000);
	assert_int_equal(lanes(&io), 0);
	assert_null(fake_id(0));
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* A view with as many lanes as there are numbers does without some peers, until there is room. */
static void test_no_number(void **state)
{
	struct member second = { 0 };
	struct lane dummy;
	struct reading_io io;
	struct reading_io full = { 0 };
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	/* Another peer, whose lane stays as it is. */
	assert_ok(side_connect(&pair.reader, &pair.owner, &second));
	side_pump();
	assert_ok(pair.reader.operations->io_open(pair.reader.transport, &full.base));
	full.io = (struct io *)full.base;
	side_pump();
	assert_non_null(endpoint(&pair, &full));
	fake_event(((struct lane *)endpoint(&pair, &full))->link.id, RDMA_CM_EVENT_DISCONNECTED, 0);
	/* Its own number is free again when it is gone; it is taken by somebody else then. */
	for (int times = 0; times < 6; times++) {
		for (unsigned int i = 0; i < IO_LANES_MAX; i++)
			if (!full.io->numbers[i])
				full.io->numbers[i] = &dummy;
		side_pass(500000);
	}
	assert_null(endpoint(&pair, &full));
	assert_non_null(endpoint(&pair, &io));
	told(&pair, "1024 connections already");
	for (unsigned int i = 0; i < IO_LANES_MAX; i++)
		if (full.io->numbers[i] == &dummy)
			full.io->numbers[i] = NULL;
	side_pass(1500000);
	assert_non_null(endpoint(&pair, &full));
	assert_int_equal(lanes(&full), 2);
	side_disconnect(&pair.reader, &second);
	pair_io_close(&pair, &full);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* An io is closed with everything under way, at any time. */
static void test_closed_in_the_midst(void **state)
{
	static const enum rdma_cm_event_type until[] = { RDMA_CM_EVENT_ADDR_RESOLVED,
							 RDMA_CM_EVENT_ROUTE_RESOLVED,
							 RDMA_CM_EVENT_CONNECT_REQUEST,
							 RDMA_CM_EVENT_ESTABLISHED };
	struct reading_io io = { 0 };
	struct pair pair;

	(void)state;
	pair_open(&pair);
	for (size_t i = 0; i < sizeof(until) / sizeof(until[0]); i++) {
		fake_instead(until[i], -1, 0);
		assert_ok(pair.reader.operations->io_open(pair.reader.transport, &io.base));
		side_pump();
		pair_io_close(&pair, &io);
	}
	/* At once. */
	assert_ok(pair.reader.operations->io_open(pair.reader.transport, &io.base));
	pair_io_close(&pair, &io);
	/* READs under way: flushed, or never heard of again. */
	for (int gone = 0; gone < 2; gone++) {
		pair_io(&pair, &io);
		fake_hold(1);
		for (unsigned int i = 0; i < 20; i++)
			assert_int_equal(pair_read(&pair, &io, i), 0);
		pair.reader.operations->flush(io.base);
		if (gone)
			fake_remove_device(0);
		fake_hold(0);
		pair_io_close(&pair, &io);
	}
	pair_close(&pair);
}

/* The peer comes back as another connection, while old lanes to it are still there. */
static void test_peer_comes_back(void **state)
{
	struct reading_io io;
	struct pair pair;
	uint64_t before;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	before = pair.member.peer.id;
	io.base->busy = 1;
	fake_event(pair.reader.verbs->peers->link.id, RDMA_CM_EVENT_DISCONNECTED, 0);
	side_pump();
	assert_int_equal(pair.member.downs, 1);
	assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
	side_pump();
	assert_true(pair.member.up);
	assert_int_not_equal(pair.member.peer.id, before);
	assert_int_equal(lanes(&io), 2);
	assert_ptr_not_equal(endpoint(&pair, &io), io.endpoint);
	io.base->busy = 0;
	side_pump();
	assert_int_equal(lanes(&io), 1);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* The route of a lane leads over another device, which cannot be used now. */
static void test_other_device_fails(void **state)
{
	struct reading_io io = { 0 };
	struct pair pair;

	(void)state;
	pair_open(&pair);
	fake_use_device(1);
	fake_fail("ibv_alloc_pd", 1, EMFILE);
	assert_ok(pair.reader.operations->io_open(pair.reader.transport, &io.base));
	io.io = (struct io *)io.base;
	side_pump();
	assert_string_equal(fake_failed(), "ibv_alloc_pd");
	told(&pair, "fake1: ibv_alloc_pd");
	assert_null(endpoint(&pair, &io));
	side_pass(100000);
	assert_non_null(endpoint(&pair, &io));
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

static void test_opening_fails(void **state)
{
	struct transport_io *io = NULL;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	fake_fail("calloc", 1, ENOMEM);
	assert_error(pair.reader.operations->io_open(pair.reader.transport, &io), -ENOMEM,
		     "no memory");
	assert_null(io);
	pair_close(&pair);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, side_setup, side_teardown)
	const struct CMUnitTest tests[] = {
		test(test_views_first),
		test(test_lane_fails_at_first),
		test(test_backoff_grows),
		test(test_events_break_lanes),
		test(test_somebody_else_answers),
		test(test_freed_when_idle),
		test(test_view_looks_late),
		test(test_told_in_parts),
		test(test_peer_goes),
		test(test_no_number),
		test(test_closed_in_the_midst),
		test(test_peer_comes_back),
		test(test_other_device_fails),
		test(test_opening_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
