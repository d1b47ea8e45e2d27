/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages between splitter and instances: whole, and never believed unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"

static union channel_message message;

static int make_pair(void **state)
{
	static int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		return -1;
	*state = pair;
	return 0;
}

static int close_pair(void **state)
{
	int *pair = *state;

	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void test_longest_frame(void **state)
{
	static uint8_t bytes[CAPTURE_FRAME_MAX];
	struct channel_frame head = {
		.type = CHANNEL_FRAME,
		.link_type = 1,
		.length = 70000,
		.captured = sizeof(bytes),
	};
	int *pair = *state;

	memset(bytes, 0x5a, sizeof(bytes));
	assert_int_equal(channel_send(pair[0], &head, sizeof(head), bytes, sizeof(bytes), 1), 0);
	assert_int_equal(channel_receive(pair[1], &message), sizeof(head) + sizeof(bytes));
	assert_int_equal(message.frame.length, 70000);
	assert_memory_equal(message.bytes + sizeof(head), bytes, sizeof(bytes));
}

static void test_frame_without_bytes(void **state)
{
	struct channel_frame head = { .type = CHANNEL_FRAME, .captured = 0 };
	int *pair = *state;

	assert_int_equal(channel_send(pair[0], &head, sizeof(head), "", 0, 1), 0);
	assert_int_equal(channel_receive(pair[1], &message), sizeof(head));
}

static void test_none_and_end(void **state)
{
	struct channel_leave leave = { .type = CHANNEL_LEAVE };
	int *pair = *state;

	assert_int_equal(channel_receive(pair[1], &message), -EAGAIN);
	assert_int_equal(channel_send(pair[0], &leave, sizeof(leave), NULL, 0, 1), 0);
	shutdown(pair[0], SHUT_WR);
	/* What was sent before the end arrives before it. */
	assert_int_equal(channel_receive(pair[1], &message), sizeof(leave));
	assert_int_equal(channel_receive(pair[1], &message), 0);
	/* The other direction is open still. */
	assert_int_equal(channel_send(pair[1], &leave, sizeof(leave), NULL, 0, 1), 0);
	assert_int_equal(channel_receive(pair[0], &message), sizeof(leave));
}

static void test_full(void **state)
{
	struct channel_entry entry = { .type = CHANNEL_ENTRY };
	int *pair = *state;
	int result;

	do
		result = channel_send(pair[0], &entry, sizeof(entry), NULL, 0, 1);
	while (!result);
	assert_int_equal(result, -EAGAIN);
	close(pair[1]);
	pair[1] = -1;
	/* Which of the two depends on whether something was left unread. */
	result = channel_send(pair[0], &entry, sizeof(entry), NULL, 0, 1);
	assert_true(result == -EPIPE || result == -ECONNRESET);
}

static void assert_refused(const int pair[2], const void *bytes, size_t length)
{
	assert_int_equal(send(pair[0], bytes, length, 0), length);
	assert_int_equal(channel_receive(pair[1], &message), -EBADMSG);
}

static void test_malformed(void **state)
{
	static uint8_t too_long[sizeof(message) + 1];
	struct channel_hello hello = { .type = CHANNEL_HELLO };
	struct channel_frame frame = { .type = CHANNEL_FRAME, .captured = 1 };
	struct channel_entry entry = { .type = CHANNEL_ENTRY };
	uint32_t type = 77;
	const int *pair = *state;

	assert_refused(pair, "x", 1);
	assert_refused(pair, &type, sizeof(type));
	assert_refused(pair, &hello, sizeof(hello)); /* no name */
	memset(hello.name, 'x', sizeof(hello.name));
	assert_refused(pair, &hello, sizeof(hello)); /* a name without an end */
	assert_refused(pair, &frame, sizeof(frame)); /* fewer bytes than it says */
	frame.captured = UINT32_MAX;
	assert_refused(pair, &frame, sizeof(frame));
	assert_refused(pair, &entry, sizeof(entry) - 1);
	entry.key_length = CHANNEL_KEY_MAX + 1;
	assert_refused(pair, &entry, sizeof(entry));
	entry.key_length = 1;
	entry.value_length = sizeof(entry.values) + 1;
	assert_refused(pair, &entry, sizeof(entry));
	frame.captured = CAPTURE_FRAME_MAX; /* right but for one byte more */
	memcpy(too_long, &frame, sizeof(frame));
	assert_refused(pair, too_long, sizeof(too_long));
}

static void test_connect(void **state)
{
	struct channel_hello hello = { .type = CHANNEL_HELLO, .name = "monitor-1" };
	char folder[] = "/tmp/test-channel-XXXXXX";
	char path[64];
	int listener;
	int here;
	int there;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	assert_int_equal(channel_connect(path), -ENOENT);
	listener = channel_listen(path);
	assert_true(listener >= 0);
	assert_int_equal(channel_listen(path), -EADDRINUSE);
	assert_int_equal(channel_accept(listener), -EAGAIN);
	here = channel_connect(path);
	assert_true(here >= 0);
	there = channel_accept(listener);
	assert_true(there >= 0);
	assert_int_equal(channel_send(here, &hello, sizeof(hello), NULL, 0, 0), 0);
	assert_int_equal(channel_receive(there, &message), sizeof(hello));
	assert_string_equal(message.hello.name, "monitor-1");
	close(here);
	close(there);
	close(listener);
	unlink(path);
	rmdir(folder);
}

static void test_path_too_long(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	assert_int_equal(channel_listen(path), -ENAMETOOLONG);
	assert_int_equal(channel_connect(path), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_longest_frame, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_frame_without_bytes, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_none_and_end, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_full, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_malformed, make_pair, close_pair),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_path_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
