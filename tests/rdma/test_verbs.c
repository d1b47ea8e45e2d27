// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every call that can fail does, one after the other: with each of them something says so
 * in a sentence, trying again helps, and nothing is left behind.
 */
#include "side.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define READS 40
#define TRIES 5

static unsigned int complaints;

/* Whether to try again. */
static int failed(int error)
{
	if (!error)
		return 0;
	assert_true(error < 0);
	if (!*estate_errormsg())
		fail_msg("no sentence after %s failed", fake_failed());
	complaints++;
	return 1;
}

#define try_again(call)                                                                        \
	do {                                                                                   \
		int tries_ = 0;                                                                \
		while (failed(call))                                                           \
			if (++tries_ == TRIES)                                                 \
				fail_msg("%s: %s (after %s failed)", #call, estate_errormsg(), \
					 fake_failed());                                       \
	} while (0)

static void connect_it(struct pair *pair)
{
	for (int i = 0; !pair->member.up; i++) {
		if (i == TRIES)
			fail_msg("not connected: %s (after %s failed)", pair->member.sentence,
				 fake_failed());
		/* After a down() the group comes back, as after an error at once. */
		if (!i || pair->member.downs) {
			complaints += pair->member.downs;
			pair->member.downs = 0;
			try_again(side_connect(&pair->reader, &pair->owner, &pair->member));
		}
		/* Time for lanes to be given up, and for a heartbeat. */
		side_pass(300000);
	}
}

static struct endpoint *endpoint_of(struct pair *pair, struct transport_io *io)
{
	struct endpoint *endpoint = NULL;

	for (int i = 0; i < TRIES && !endpoint; i++) {
		side_pass(300000);
		connect_it(pair);
		endpoint = pair->reader.operations->io_endpoint(io, pair->member.peer.id);
	}
	if (!endpoint)
		fail_msg("no lane: %s", fake_failed());
	return endpoint;
}

/* Read all words; those that failed again. */
static void read_words(struct pair *pair, struct reading_io *io)
{
	const struct transport_operations *operations = pair->reader.operations;
	unsigned int told[READS] = { 0 };
	unsigned int left = READS;

	for (int tries = 0; left; tries++) {
		struct transport_done done[7];
		unsigned int posted = 0;
		unsigned int came = 0;

		if (tries == TRIES)
			fail_msg("%u words were not read: %s", left, fake_failed());
		io->endpoint = endpoint_of(pair, io->base);
		io->base->busy = 1;
		for (unsigned int i = 0; i < READS; i++)
			if (!told[i] && !pair_read(pair, io, i))
				posted++;
		operations->flush(io->base);
		for (int looks = 0; came < posted && looks < 100; looks++) {
			unsigned int count = operations->poll(io->base, done, 7);

			for (unsigned int i = 0; i < count; i++) {
				unsigned int number = (unsigned int)(uintptr_t)done[i].tag - 1;

				came++;
				if (done[i].status) {
					complaints++;
					continue;
				}
				assert_int_equal(told[number]++, 0);
				assert_int_equal(pair_word(io, number), PAIR_WORD(number));
				left--;
			}
			if (count)
				continue;
			operations->wait(io->base, 0);
			/* Nobody waits for ever: what never completes is told in a later call. */
			io->base->busy = 0;
			side_pass(20000);
			io->base->busy = 1;
		}
		io->base->busy = 0;
		assert_int_equal(came, posted);
	}
}

static void run(void)
{
	const struct transport_operations *operations;
	struct pair pair = { 0 };
	struct reading_io io = { 0 };
	uint64_t now;

	try_again(side_open(&pair.owner, "owner", NULL));
	try_again(side_open(&pair.reader, NULL, NULL));
	operations = pair.reader.operations;
	connect_it(&pair);
	try_again(operations->io_open(pair.reader.transport, &io.base));
	io.io = (struct io *)io.base;
	try_again(operations->landing(io.base, READS * 8, &io.landing));
	read_words(&pair, &io);
	/* A second one, now that the io has a device, in another device's memory too. */
	try_again(operations->landing(io.base, READS * 8, &io.landing));
	read_words(&pair, &io);
	operations->renew(pair.reader.transport, 0);
	now = pair.reader.verbs->peers->renew_us;
	for (int i = 0; i < TRIES && !operations->renewed(pair.reader.transport, 0, now); i++) {
		side_pass(100000);
		connect_it(&pair);
	}
	assert_true(operations->renewed(pair.reader.transport, 0, now));
	complaints += pair.member.troubles;
	pair_io_close(&pair, &io);
	pair_close(&pair);
}

/* Calls whose failure is nobody's business: the same is tried again, or nothing hangs on it. */
static int may_be_silent(const char *call)
{
	static const char *const silent[] = { "ibv_fork_init",	   "rdma_set_option",
					      "rdma_get_cm_event", "ibv_poll_cq",
					      "ibv_req_notify_cq", "ibv_get_cq_event",
					      "rdma_disconnect",   "rdma_reject" };

	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
		if (!strcmp(call, silent[i]))
			return 1;
	return 0;
}

static void test_each_call_fails(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (;;) {
		complaints = 0;
		fake_fail(NULL, ++n, ENOMEM);
		run();
		if (!fake_failed())
			break;
		if (!complaints && !may_be_silent(fake_failed()))
			fail_msg("%s failed as call %u, and nobody was told", fake_failed(), n);
		fake_check();
	}
	printf("%u calls\n", n - 1);
	assert_true(n > 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_call_fails, side_setup, side_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
