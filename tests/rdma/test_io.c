// SPDX-License-Identifier: BSD-3-Clause
/* A view's READs: posted in chains, told once each, whatever happens to them. */
#include "side.h"

#include "clock.h"
#include "explain.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DEPTH 128
#define LONG_US 30000000 /* nobody waits for so long */

/* How often each READ was told, and how. */
struct told {
	unsigned int times[4096];
	int status[4096];
	unsigned int count;
	unsigned int last; /* the number told last */
};

static void post(struct pair *pair, struct reading_io *io, unsigned int first, unsigned int count)
{
	for (unsigned int i = first; i < first + count; i++)
		assert_int_equal(pair_read(pair, io, i), 0);
	pair->reader.operations->flush(io->base);
}

/* What has come, @max at a time. */
static void poll_all(struct pair *pair, struct reading_io *io, unsigned int max, struct told *told)
{
	struct transport_done done[DEPTH];
	unsigned int count;

	while ((count = pair->reader.operations->poll(io->base, done, max)) > 0) {
		assert_true(count <= max);
		for (unsigned int i = 0; i < count; i++) {
			unsigned int number = (unsigned int)(uintptr_t)done[i].tag - 1;

			assert_true(number < 4096);
			told->times[number]++;
			told->status[number] = done[i].status;
			told->count++;
			told->last = number;
		}
	}
}

static void each_once(const struct told *told, unsigned int first, unsigned int count, int status)
{
	for (unsigned int i = first; i < first + count; i++)
		if (told->times[i] != 1 || told->status[i] != status)
			fail_msg("READ %u was told %u times, last as %d, should be %d", i,
				 told->times[i], told->status[i], status);
}

static void lane_again(struct pair *pair, struct reading_io *io)
{
	for (int i = 0; i < 30; i++) {
		side_pass(100000);
		io->endpoint = pair->reader.operations->io_endpoint(io->base, pair->member.peer.id);
		io->lane = (struct lane *)io->endpoint;
		if (io->endpoint)
			return;
	}
	fail_msg("no lane any more");
}

/* One completion for sixteen, and one at the end: all are told, in their order. */
static void test_signalling(void **state)
{
	for (unsigned int max = 1; max < 20; max += 6) {
		struct told told = { 0 };
		struct reading_io io;
		struct pair pair;
		unsigned int before;

		pair_open(&pair);
		pair_io(&pair, &io);
		before = fake_completions();
		post(&pair, &io, 0, 40);
		assert_int_equal(io.endpoint->outstanding, 40);
		assert_int_equal(fake_completions() - before, 4);
		poll_all(&pair, &io, max, &told);
		assert_int_equal(told.count, 40);
		assert_int_equal(told.last, 39);
		each_once(&told, 0, 40, 0);
		for (unsigned int i = 0; i < 40; i++)
			assert_int_equal(pair_word(&io, i), PAIR_WORD(i));
		assert_int_equal(io.endpoint->outstanding, 0);
		/* Nothing was queued, nothing comes. */
		pair.reader.operations->flush(io.base);
		poll_all(&pair, &io, max, &told);
		assert_int_equal(told.count, 40);
		pair_io_close(&pair, &io);
		pair_close(&pair);
		side_teardown(state);
		side_setup(state);
	}
}

/* One READ under way at a time, for longer than the queue is. */
static void test_around_the_queue(void **state)
{
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	for (unsigned int chain = 1; chain < 40; chain++) {
		for (unsigned int i = 0; i + chain < 200; i += chain) {
			struct told told = { 0 };

			post(&pair, &io, i, chain);
			poll_all(&pair, &io, 16, &told);
			each_once(&told, i, chain, 0);
		}
	}
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

static void test_full_queue(void **state)
{
	struct told told = { 0 };
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	assert_int_equal(io.lane->depth, DEPTH);
	fake_hold(1);
	post(&pair, &io, 0, DEPTH);
	assert_int_equal(pair_read(&pair, &io, DEPTH), -EAGAIN);
	pair.reader.operations->flush(io.base);
	assert_int_equal(fake_pending(io.lane->link.id->qp), DEPTH);
	poll_all(&pair, &io, 16, &told);
	assert_int_equal(told.count, 0);
	for (unsigned int i = 0; i < DEPTH; i++)
		fake_complete(io.lane->link.id->qp, IBV_WC_SUCCESS);
	poll_all(&pair, &io, 16, &told);
	each_once(&told, 0, DEPTH, 0);
	post(&pair, &io, DEPTH, 1);
	fake_complete(io.lane->link.id->qp, IBV_WC_SUCCESS);
	poll_all(&pair, &io, 16, &told);
	each_once(&told, DEPTH, 1, 0);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* Where a peer says that something is, is its word alone. */
static void test_outside_of_the_region(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t length;
	} places[] = {
		{ SIDE_REGION, 1 },
		{ SIDE_REGION - 7, 8 },
		{ 0, SIDE_REGION + 1 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 6, 8 },
		{ SIDE_REGION + 8, 0 },
		{ UINT64_MAX / 2, UINT32_MAX },
	};
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct transport_read read = { .landing = io.landing,
						     .to = io.landing->memory,
						     .offset = places[i].offset,
						     .length = places[i].length };

		assert_int_equal(pair.reader.operations->read(io.base, io.endpoint, &read),
				 -EBADMSG);
	}
	assert_int_equal(io.endpoint->outstanding, 0);
	assert_null(io.io->dirty);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* READ @bad of a chain fails: those before it came, those after it are flushed. */
static void test_failed_completions(void **state)
{
	static const struct {
		enum ibv_wc_status status;
		int error;
	} cases[] = {
		{ IBV_WC_REM_ACCESS_ERR, -EHOSTDOWN }, { IBV_WC_RETRY_EXC_ERR, -EHOSTDOWN },
		{ IBV_WC_WR_FLUSH_ERR, -EHOSTDOWN },   { IBV_WC_RESP_TIMEOUT_ERR, -EHOSTDOWN },
		{ IBV_WC_RNR_RETRY_EXC_ERR, -EIO },    { IBV_WC_REM_OP_ERR, -EIO },
		{ IBV_WC_LOC_PROT_ERR, -EIO },
	};
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	for (unsigned int bad = 0; bad < 20; bad++) {
		enum ibv_wc_status status = cases[bad % 7].status;
		struct told told = { 0 };

		fake_hold(1);
		post(&pair, &io, 0, 20);
		for (unsigned int i = 0; i < bad; i++)
			fake_complete(io.lane->link.id->qp, IBV_WC_SUCCESS);
		fake_complete(io.lane->link.id->qp, status);
		poll_all(&pair, &io, 3, &told);
		each_once(&told, 0, bad, 0);
		each_once(&told, bad, 1, cases[bad % 7].error);
		each_once(&told, bad + 1, 19 - bad, -EHOSTDOWN);
		assert_int_equal(io.lane->failure, status);
		assert_int_equal(pair_read(&pair, &io, 0), -EHOSTDOWN);
		fake_hold(0);
		lane_again(&pair, &io);
		assert_true(pair.member.up);
		assert_int_equal(pair.member.troubles, 1);
		assert_non_null(strstr(pair.member.sentence, explain_completion(status)));
		pair.member.troubles = 0;
	}
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* The region is not readable any more with what was said of it. */
static void test_wrong_key(void **state)
{
	struct told told = { 0 };
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	io.lane->link.welcome.rkey += 1000;
	post(&pair, &io, 0, 20);
	poll_all(&pair, &io, 16, &told);
	each_once(&told, 0, 20, -EHOSTDOWN);
	assert_int_equal(io.lane->failure, IBV_WC_REM_ACCESS_ERR);
	lane_again(&pair, &io);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/*
 * The @bad-th request of a chain cannot be posted. Those after it are told as failed, and
 * those before it come, or are told as failed as well once nothing can come any more: if
 * none of the last of them has a completion.
 */
static void test_post_fails(void **state)
{
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	for (unsigned int held = 0; held < 2; held++) {
		for (unsigned int bad = 0; bad < 40; bad += 3) {
			struct told told = { 0 };
			unsigned int came;

			fake_hold((int)held);
			fake_fail("ibv_post_send", bad + 1, ENOMEM);
			io.base->busy = 1;
			post(&pair, &io, 0, 40);
			assert_non_null(fake_failed());
			fake_fail(NULL, 0, 0);
			for (unsigned int i = 0; held && i < bad; i++)
				fake_complete(io.lane->link.id->qp, IBV_WC_SUCCESS);
			poll_all(&pair, &io, 7, &told);
			came = told.count;
			each_once(&told, 0, came < bad ? came : bad, 0);
			assert_int_equal(pair_read(&pair, &io, 0), -EHOSTDOWN);
			/* Not while the view may be using it. */
			side_pass(300000);
			poll_all(&pair, &io, 7, &told);
			assert_int_equal(told.count, came);
			io.base->busy = 0;
			side_pass(300000);
			poll_all(&pair, &io, 7, &told);
			assert_int_equal(told.count, 40);
			for (unsigned int i = 0; i < 40; i++)
				assert_int_equal(told.times[i], 1);
			each_once(&told, bad, 40 - bad, -EHOSTDOWN);
			fake_hold(0);
			lane_again(&pair, &io);
		}
	}
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* The driver does not say which request it was. */
static void test_post_fails_somewhere(void **state)
{
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	fake_hide_bad_request();
	for (unsigned int bad = 0; bad < 40; bad += 13) {
		struct told told = { 0 };

		fake_hold(1);
		fake_fail("ibv_post_send", bad + 1, EIO);
		post(&pair, &io, 0, 40);
		fake_hold(0);
		/* The lane is taken down, and what was taken is flushed; the rest is given up. */
		side_pass(300000);
		poll_all(&pair, &io, 7, &told);
		assert_int_equal(told.count, 40);
		each_once(&told, 0, 40, -EHOSTDOWN);
		lane_again(&pair, &io);
	}
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* A device goes with READs under way: no completion ever comes, and all are told. */
static void test_device_goes(void **state)
{
	struct told told = { 0 };
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	fake_hold(1);
	post(&pair, &io, 0, 20);
	fake_hold(0);
	fake_remove_device(0);
	io.base->busy = 1;
	/* Queued before anybody knew. */
	assert_int_equal(pair_read(&pair, &io, 20), 0);
	pair.reader.operations->flush(io.base);
	poll_all(&pair, &io, 16, &told);
	side_pass(200000);
	poll_all(&pair, &io, 16, &told);
	assert_int_equal(told.count, 0);
	assert_int_equal(io.endpoint->outstanding, 21);
	io.base->busy = 0;
	side_pass(200000);
	poll_all(&pair, &io, 16, &told);
	each_once(&told, 0, 21, -EHOSTDOWN);
	side_pass(1000000);
	assert_null(io.io->lanes);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

static void test_stray_completions(void **state)
{
	struct told told = { 0 };
	struct reading_io io;
	struct pair pair;
	struct ibv_cq *queue;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	queue = io.io->devices[0].completions;
	fake_stray(queue, UINT64_C(1023) << 32, IBV_WC_SUCCESS);
	fake_stray(queue, 4711, IBV_WC_WR_FLUSH_ERR);
	fake_stray(queue, UINT32_MAX, IBV_WC_WR_FLUSH_ERR);
	poll_all(&pair, &io, 16, &told);
	assert_int_equal(told.count, 0);
	/* It does not pass for one that is under way, nor for the end of the lane. */
	fake_hold(1);
	post(&pair, &io, 0, 20);
	fake_stray(queue, 20, IBV_WC_SUCCESS);
	poll_all(&pair, &io, 16, &told);
	assert_int_equal(told.count, 0);
	assert_int_equal(io.lane->failure, 0);
	for (unsigned int i = 0; i < 20; i++)
		fake_complete(io.lane->link.id->qp, IBV_WC_SUCCESS);
	poll_all(&pair, &io, 16, &told);
	each_once(&told, 0, 20, 0);
	/* Of the control's queue, too. */
	fake_stray(pair.reader.verbs->devices->control, 4711, IBV_WC_SUCCESS);
	side_pump();
	assert_true(pair.member.up);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* Memory is readable into on devices that are used later; those are of other peers. */
static void test_devices_later(void **state)
{
	struct member second = { 0 };
	struct side other;
	struct told told = { 0 };
	struct reading_io io;
	struct reading_io io2;
	struct pair pair;
	struct landing *later;
	unsigned int registered;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	registered = fake_count("mr");
	fake_use_device(1);
	assert_ok(side_open(&other, "other", NULL));
	assert_ok(side_connect(&pair.reader, &other, &second));
	/* The io's memory does not come to be registered there, at first. */
	side_pump();
	assert_true(second.up);
	io2 = io;
	io2.endpoint = pair.reader.operations->io_endpoint(io.base, second.peer.id);
	assert_non_null(io2.endpoint);
	assert_int_equal(((struct lane *)io2.endpoint)->device, 1);
	/* Its region and its header's landing, and the landing that was there. */
	assert_int_equal(fake_count("mr"), registered + 3);
	post(&pair, &io, 0, 20);
	post(&pair, &io2, 20, 20);
	poll_all(&pair, &io, 16, &told);
	each_once(&told, 0, 40, 0);
	for (unsigned int i = 0; i < 40; i++)
		assert_int_equal(pair_word(&io, i), PAIR_WORD(i));
	/* What is made now is registered on both, or on none. */
	fake_fail("ibv_reg_mr", 2, EINVAL);
	assert_error(pair.reader.operations->landing(io.base, 4096, &later), -EINVAL, "fake1");
	fake_fail("mapping_private", 1, ENOMEM);
	assert_error(pair.reader.operations->landing(io.base, 4096, &later), -ENOMEM, "4096");
	assert_int_equal(fake_count("mr"), registered + 3);
	assert_ok(pair.reader.operations->landing(io.base, 4096, &later));
	assert_int_equal(fake_count("mr"), registered + 5);
	side_disconnect(&pair.reader, &second);
	side_close(&other);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* The second device cannot be used, for whatever reason: the first is, and the second later. */
static void test_device_later_fails(void **state)
{
	static const char *const calls[] = { "ibv_create_comp_channel", "ibv_create_cq",
					     "ibv_reg_mr", "rdma_create_qp", "calloc" };
	struct landing *landing;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct member second = { 0 };
		struct member third = { 0 };
		struct side other;
		struct told told = { 0 };
		struct reading_io io;
		struct pair pair;
		unsigned int registered;

		pair_open(&pair);
		fake_use_device(1);
		assert_ok(side_open(&other, "other", NULL));
		/* So that the device is known. */
		assert_ok(side_connect(&pair.reader, &other, &third));
		side_pump();
		side_disconnect(&pair.reader, &third);
		fake_use_device(0);
		pair_io(&pair, &io);
		assert_ok(pair.reader.operations->landing(io.base, 4096, &landing));
		fake_use_device(1);
		assert_ok(side_connect(&pair.reader, &other, &second));
		for (int events = 0; !pair.reader.verbs->peers->checked; events++) {
			assert_true(events < 30);
			pair.reader.operations->handle(pair.reader.transport);
			other.operations->handle(other.transport);
			pair.reader.operations->tick(pair.reader.transport, clock_monotonic_us());
		}
		registered = fake_count("mr");
		fake_fail(calls[i], !strcmp(calls[i], "ibv_reg_mr") ? 2 : 1, EMFILE);
		side_pump();
		assert_non_null(fake_failed());
		/* The lane alone failed, or all of what the device was to have is gone. */
		if (strcmp(calls[i], "rdma_create_qp"))
			assert_int_equal(fake_count("mr"), registered);
		post(&pair, &io, 0, 20);
		poll_all(&pair, &io, 16, &told);
		each_once(&told, 0, 20, 0);
		side_pass(1500000);
		assert_true(second.up);
		io.endpoint = pair.reader.operations->io_endpoint(io.base, second.peer.id);
		assert_non_null(io.endpoint);
		post(&pair, &io, 20, 20);
		poll_all(&pair, &io, 16, &told);
		each_once(&told, 0, 40, 0);
		side_disconnect(&pair.reader, &second);
		side_close(&other);
		pair_io_close(&pair, &io);
		pair_close(&pair);
		side_teardown(state);
		side_setup(state);
	}
}

/* More devices than a view can have: those that there is room for are used. */
static void test_many_devices(void **state)
{
	struct member members[FAKE_DEVICES];
	struct side owners[FAKE_DEVICES];
	struct reading_io io;
	struct pair pair;
	unsigned int reached = 0;

	(void)state;
	memset(members, 0, sizeof(members));
	pair_open(&pair);
	pair_io(&pair, &io);
	for (int i = 1; i < FAKE_DEVICES; i++) {
		fake_use_device(i);
		assert_ok(side_open(&owners[i], "other", NULL));
		assert_ok(side_connect(&pair.reader, &owners[i], &members[i]));
		side_pump();
	}
	side_pass(100000);
	for (int i = 1; i < FAKE_DEVICES; i++) {
		assert_true(members[i].up);
		reached += pair.reader.operations->io_endpoint(io.base, members[i].peer.id) != NULL;
	}
	assert_int_equal(reached, IO_DEVICES_MAX - 1);
	assert_int_equal(io.io->device_count, IO_DEVICES_MAX);
	for (int i = 1; i < FAKE_DEVICES; i++) {
		side_disconnect(&pair.reader, &members[i]);
		side_close(&owners[i]);
	}
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* Every READ of every lane may fail: the completion queue has room for all, or there is no lane. */
static void test_completion_queue_grows(void **state)
{
	struct member members[12];
	struct reading_io io;
	struct pair pair;
	unsigned int lanes;

	for (int limited = 0; limited < 3; limited++) {
		memset(members, 0, sizeof(members));
		if (limited == 1)
			fake_limits(1024, 1300);
		pair_open(&pair);
		pair_io(&pair, &io);
		assert_int_equal(io.io->devices[0].completions->cqe, 1024);
		if (limited == 2)
			fake_fail_from("ibv_resize_cq", 1, ENOMEM);
		for (int i = 0; i < 12; i++) {
			assert_ok(side_connect(&pair.reader, &pair.owner, &members[i]));
			side_pump();
		}
		side_pass(100000);
		lanes = 1;
		for (int i = 0; i < 12; i++) {
			struct told told = { 0 };

			assert_true(members[i].up);
			io.endpoint =
				pair.reader.operations->io_endpoint(io.base, members[i].peer.id);
			if (!io.endpoint)
				continue;
			lanes++;
			io.lane = (struct lane *)io.endpoint;
			post(&pair, &io, 0, 1);
			poll_all(&pair, &io, 16, &told);
			each_once(&told, 0, 1, 0);
		}
		assert_int_equal(io.io->devices[0].wanted, lanes * DEPTH);
		assert_int_equal(lanes, limited == 0 ? 13 : limited == 1 ? 10 : 8);
		assert_int_equal(io.io->devices[0].completions->cqe, limited == 0   ? 2048
								     : limited == 1 ? 1300
										    : 1024);
		/* All of them fail at once: it does not run over. */
		fake_hold(1);
		for (struct lane *lane = io.io->lanes; lane; lane = lane->next) {
			if (lane->link.state != LINK_READY)
				continue;
			io.endpoint = &lane->endpoint;
			post(&pair, &io, 0, DEPTH);
		}
		for (struct lane *lane = io.io->lanes; lane; lane = lane->next)
			if (lane->link.state == LINK_READY)
				fake_complete(lane->link.id->qp, IBV_WC_RETRY_EXC_ERR);
		fake_hold(0);
		for (int i = 0; i < 12; i++)
			side_disconnect(&pair.reader, &members[i]);
		pair_io_close(&pair, &io);
		pair_close(&pair);
		side_teardown(state);
		side_setup(state);
	}
}

static void *complete_later(void *arg)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	struct reading_io *io = arg;

	nanosleep(&pause, NULL);
	fake_complete(io->lane->link.id->qp, IBV_WC_SUCCESS);
	return NULL;
}

static void wait_long(struct pair *pair, struct reading_io *io)
{
	uint64_t before = clock_monotonic_us();

	pair->reader.operations->wait(io->base, before + LONG_US);
	assert_true(clock_monotonic_us() - before < LONG_US / 2);
}

static void test_wait_wakes(void **state)
{
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	fake_hold(1);
	for (unsigned int i = 0; i < 3; i++) {
		struct told told = { 0 };
		pthread_t thread;

		post(&pair, &io, i, 1);
		assert_int_equal(pthread_create(&thread, NULL, complete_later, &io), 0);
		/* By an event of before, too, of which nothing is left. */
		while (!told.count) {
			wait_long(&pair, &io);
			poll_all(&pair, &io, 16, &told);
		}
		pthread_join(thread, NULL);
		each_once(&told, i, 1, 0);
	}
	fake_hold(0);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

static void test_wait_has_a_deadline(void **state)
{
	struct reading_io io;
	struct pair pair;
	uint64_t before;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	fake_hold(1);
	post(&pair, &io, 0, 1);
	before = clock_monotonic_us();
	pair.reader.operations->wait(io.base, before + 3000);
	assert_true(clock_monotonic_us() >= before + 3000);
	pair.reader.operations->wait(io.base, before);
	pair.reader.operations->wait(io.base, 0);
	/* If the queue cannot be armed the deadline is what there is. */
	before = clock_monotonic_us();
	fake_fail("ibv_req_notify_cq", 1, EINVAL);
	pair.reader.operations->wait(io.base, before + 3000);
	assert_true(clock_monotonic_us() >= before + 3000);
	fake_complete(io.lane->link.id->qp, IBV_WC_SUCCESS);
	fake_hold(0);
	pair_io_close(&pair, &io);
	/* Without any device it is a sleep. */
	assert_ok(pair.reader.operations->io_open(pair.reader.transport, &io.base));
	before = clock_monotonic_us();
	pair.reader.operations->wait(io.base, before + 3000);
	assert_true(clock_monotonic_us() >= before + 3000);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

static void test_wait_does_not_sleep(void **state)
{
	struct transport_done done;
	struct told told = { 0 };
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	/* It came before the queue was armed. */
	post(&pair, &io, 0, 40);
	wait_long(&pair, &io);
	wait_long(&pair, &io);
	/* Some were told, and others of the same completion were not. */
	for (unsigned int i = 0; i < 40; i++) {
		wait_long(&pair, &io);
		assert_int_equal(pair.reader.operations->poll(io.base, &done, 1), 1);
		assert_int_equal((uintptr_t)done.tag, i + 1);
	}
	/* Those that could not be posted. */
	fake_fail("ibv_post_send", 1, EIO);
	post(&pair, &io, 0, 5);
	for (unsigned int i = 0; i < 5; i++) {
		wait_long(&pair, &io);
		assert_int_equal(pair.reader.operations->poll(io.base, &done, 1), 1);
	}
	/* Those that never complete. */
	lane_again(&pair, &io);
	fake_hold(1);
	post(&pair, &io, 0, 5);
	fake_remove_device(0);
	fake_hold(0);
	side_pass(300000);
	wait_long(&pair, &io);
	poll_all(&pair, &io, 1, &told);
	each_once(&told, 0, 5, -EHOSTDOWN);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* Events are acknowledged, so that the queue can go; not each one. */
static void test_events_are_acknowledged(void **state)
{
	struct reading_io io;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair_io(&pair, &io);
	for (unsigned int i = 0; i < 150; i++) {
		struct told told = { 0 };

		/* Armed, and then it comes. */
		pair.reader.operations->wait(io.base, 0);
		if (i == 20)
			fake_fail("ibv_get_cq_event", 1, EAGAIN);
		post(&pair, &io, i, 1);
		poll_all(&pair, &io, 16, &told);
		each_once(&told, i, 1, 0);
		wait_long(&pair, &io);
	}
	assert_true(io.io->devices[0].events < 64);
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, side_setup, side_teardown)
	const struct CMUnitTest tests[] = {
		test(test_signalling),		test(test_around_the_queue),
		test(test_full_queue),		test(test_outside_of_the_region),
		test(test_failed_completions),	test(test_wrong_key),
		test(test_post_fails),		test(test_post_fails_somewhere),
		test(test_device_goes),		test(test_stray_completions),
		test(test_devices_later),	test(test_device_later_fails),
		test(test_many_devices),	test(test_completion_queue_grows),
		test(test_wait_wakes),		test(test_wait_has_a_deadline),
		test(test_wait_does_not_sleep), test(test_events_are_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
