// SPDX-License-Identifier: BSD-3-Clause
/* Asking an instance to leave: it hears of it, who asked hears how it ended, and nonsense does no harm. */
#include "ask.h"
#include "check.h"
#include "group.h"
#include "member.h"
#include "scratch.h"
#include "shm.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REGION ((size_t)4 << 20)

static int setup(void **state)
{
	*state = scratch_make();
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(*state);
	return 0;
}

/* Somebody who asks, in a thread of its own. */
struct asker {
	struct estate *es;
	const char *name;
	struct estate_ask_leave_attr attr;
	pthread_t thread;
	unsigned int shown;
	int result;
	char sentence[512];
};

static void count_progress(unsigned int waited_ms, int handing_over, void *arg)
{
	struct asker *asker = arg;

	(void)waited_ms;
	(void)handing_over;
	__atomic_add_fetch(&asker->shown, 1, __ATOMIC_RELAXED);
}

static void *ask(void *arg)
{
	struct asker *asker = arg;

	asker->result = estate_ask_leave(asker->es, asker->name, &asker->attr);
	snprintf(asker->sentence, sizeof(asker->sentence), "%s", estate_errormsg());
	return NULL;
}

static void asker_start(struct asker *asker, struct estate *es, const char *name, const char *to)
{
	*asker = (struct asker){ .es = es, .name = name, .attr = ESTATE_ASK_LEAVE_ATTR_INIT };
	asker->attr.to = to;
	asker->attr.progress = count_progress;
	asker->attr.arg = asker;
	assert_int_equal(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

static int asker_end(struct asker *asker)
{
	assert_int_equal(pthread_join(asker->thread, NULL), 0);
	return asker->result;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Until there is a wish, for half a minute. */
static void wait_wanted(const struct estate *es, char *to)
{
	for (int tries = 0; tries < 15000; tries++) {
		if (estate_leave_wanted(es, to))
			return;
		pause_ms(2);
	}
	fail_msg("nobody asked it to leave");
}

static void test_hand_over(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *two = group_open(*state, "two", REGION);
	struct estate *three = group_open(*state, "three", REGION);
	struct estate *observer = group_open(*state, NULL, 0);
	struct estate_leave_attr attr = ESTATE_LEAVE_ATTR_INIT;
	char to[ESTATE_NAME_MAX] = "as it was";
	struct asker asker;
	uint64_t value = 0;

	assert_ok(estate_add(group_counters(one, "t", 8, 1, 10), &(uint64_t){ 7 }, 8,
			     &(uint64_t){ 77 }));
	group_wait(one, 3);
	group_wait(observer, 3);
	assert_int_equal(estate_leave_wanted(one, to), 0);
	assert_string_equal(to, "as it was");
	asker_start(&asker, observer, "one", "two");
	wait_wanted(one, NULL);
	assert_int_equal(estate_leave_wanted(one, to), 1);
	assert_string_equal(to, "two");
	assert_int_equal(estate_leave_wanted(two, to), 0);
	assert_int_equal(estate_leave_wanted(three, to), 0);
	attr.to = to;
	assert_ok(estate_leave(one, &attr));
	assert_int_equal(asker_end(&asker), 0);
	assert_ok(estate_get(group_counters(two, "t", 8, 1, 10), &(uint64_t){ 7 }, 8, &value, 8,
			     NULL));
	assert_int_equal(value, 77);

	/* A member asks, and whoever can takes over. */
	group_wait(two, 2);
	asker_start(&asker, three, "two", NULL);
	wait_wanted(two, to);
	assert_string_equal(to, "");
	attr.to = to;
	assert_ok(estate_leave(two, &attr));
	assert_int_equal(asker_end(&asker), 0);
	assert_ok(estate_get(group_counters(three, "t", 8, 1, 10), &(uint64_t){ 7 }, 8, &value, 8,
			     NULL));
	assert_int_equal(value, 77);
	assert_ok(estate_close(three));
	assert_ok(estate_close(observer));
}

/* A program that does not look, until it does; meanwhile another one is wished for. */
static void test_nobody_looks(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *two = group_open(*state, "two", REGION);
	struct estate_ask_leave_attr attr = ESTATE_ASK_LEAVE_ATTR_INIT;
	char to[ESTATE_NAME_MAX];
	struct asker asker;

	group_wait(two, 2);
	attr.deadline_ms = 300;
	assert_error(estate_ask_leave(two, "one", &attr), -ETIMEDOUT, "estate_leave_wanted()");
	assert_int_equal(estate_leave_wanted(one, to), 1);
	assert_string_equal(to, "");
	attr.to = "two";
	assert_error(estate_ask_leave(two, "one", &attr), -ETIMEDOUT, "in 0.3 s");
	assert_int_equal(estate_leave_wanted(one, to), 1);
	assert_string_equal(to, "two");
	asker_start(&asker, two, "one", NULL);
	while (!__atomic_load_n(&asker.shown, __ATOMIC_RELAXED))
		pause_ms(1);
	assert_int_equal(estate_leave_wanted(one, to), 1);
	assert_string_equal(to, "");
	/* It has a way of its own. */
	assert_ok(estate_close(one));
	assert_int_equal(asker_end(&asker), ESTATE_ASK_CLOSED);
	assert_ok(estate_close(two));
}

/* What could not be done is told, and forgotten. */
static void test_failed(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *observer = group_open(*state, NULL, 0);
	struct estate *two;
	struct estate_view *view;
	struct asker asker[2];
	int error;

	group_wait(observer, 1);
	for (int i = 0; i < 2; i++) {
		asker_start(&asker[i], observer, "one", NULL);
		while (!__atomic_load_n(&asker[i].shown, __ATOMIC_RELAXED))
			pause_ms(1);
	}
	assert_int_equal(estate_leave_wanted(one, NULL), 1);
	assert_error(estate_leave(one, NULL), -ENOENT, "no member can take over");
	assert_int_equal(estate_leave_wanted(one, NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(asker_end(&asker[i]), -ECANCELED);
		assert_non_null(strstr(asker[i].sentence, "no member can take over"));
	}
	/* The program forgot its view. */
	two = group_open(*state, "two", REGION);
	group_wait(one, 2);
	view = group_view(one);
	asker_start(&asker[0], observer, "one", NULL);
	wait_wanted(one, NULL);
	assert_error(estate_leave(one, NULL), -EBUSY, "views");
	assert_int_equal(asker_end(&asker[0]), -ECANCELED);
	assert_non_null(strstr(asker[0].sentence, "views are open"));
	estate_view_close(view);
	/* A call that nobody asked for tells nobody, and the next wish is a new one. */
	view = group_view(one);
	assert_error(estate_leave(one, NULL), -EBUSY, "views");
	estate_view_close(view);
	asker_start(&asker[0], observer, "one", "two");
	wait_wanted(one, NULL);
	error = estate_leave(one, NULL);
	assert_int_equal(asker_end(&asker[0]), error);
	assert_ok(error);
	assert_ok(estate_close(two));
	assert_ok(estate_close(observer));
}

static void test_bad_calls(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct estate *observer = group_open(*state, NULL, 0);
	struct estate_ask_leave_attr attr = ESTATE_ASK_LEAVE_ATTR_INIT;

	group_wait(observer, 1);
	assert_int_equal(estate_leave_wanted(NULL, NULL), 0);
	assert_int_equal(estate_leave_wanted(observer, NULL), 0);
	assert_error(estate_ask_leave(NULL, "one", NULL), -EINVAL, "es is NULL");
	assert_error(estate_ask_leave(observer, NULL, NULL), -EINVAL, "name is NULL");
	assert_error(estate_ask_leave(one, "one", NULL), -EINVAL, "estate_leave()");
	assert_error(estate_ask_leave(observer, "gone", NULL), -ENOENT, "gone");
	assert_error(estate_ask_leave(observer, "", NULL), -ENOENT, "no member");
	attr.to = "nobody";
	assert_error(estate_ask_leave(observer, "one", &attr), -ENOENT, "nobody");
	attr.to = "one";
	assert_error(estate_ask_leave(observer, "one", &attr), -EINVAL, "itself");
	attr.to = "../one";
	assert_error(estate_ask_leave(observer, "one", &attr), -EINVAL, "../one");
	attr.to = NULL;
	attr.dead = "../one";
	assert_error(estate_ask_leave(observer, "one", &attr), -EINVAL, "../one");
	attr.dead = NULL;
	attr.size--;
	assert_error(estate_ask_leave(observer, "one", &attr), -EINVAL, "ATTR_INIT");
	assert_int_equal(estate_leave_wanted(one, NULL), 0);
	estate_close(one);
	estate_close(observer);
}

/* Say @length bytes to an instance. What it answers is in @reply; 0: it closed without a word. */
static ssize_t say(const char *folder, const void *bytes, size_t length, struct ask_reply *reply)
{
	const struct ask_request nothing = { 0 };
	struct timeval patience = { .tv_sec = 30 };
	char address[128];
	ssize_t got;
	int socket;

	snprintf(address, sizeof(address), "unix:%s/test/.one.sock", folder);
	assert_ok(ask_send(address, &nothing, &socket));
	close(socket);
	/* That was a stranger; now what is asked for, without ask_send() having a say in it. */
	assert_ok(shm_dial(address, &socket));
	assert_int_equal(fcntl(socket, F_SETFL, 0), 0);
	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(send(socket, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
	got = recv(socket, reply, sizeof(*reply), 0);
	assert_true(got >= 0 || errno == ECONNRESET);
	close(socket);
	return got < 0 ? 0 : got;
}

static void refused(const char *folder, const struct ask_request *request, size_t length, int error,
		    const char *word)
{
	struct ask_reply reply;

	assert_int_equal(say(folder, request, length, &reply), sizeof(reply));
	assert_int_equal(reply.state, ASK_REFUSED);
	assert_int_equal(reply.error, error);
	assert_ok(ask_check_reply(&reply, sizeof(reply), &reply));
	if (!strstr(reply.reason, word))
		fail_msg("\"%s\" does not say \"%s\"", reply.reason, word);
}

static void test_hostile_requests(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct {
		struct ask_request request;
		char more[64];
	} padded = { 0 };
	struct ask_request good;
	struct ask_request bad;
	struct ask_reply reply;

	ask_make_request(&good, &one->identity, "two", "");
	/* Cut off: too short to be of anybody, or to be understood. */
	for (size_t length = 1; length < sizeof(good); length++) {
		if (length < 12)
			assert_int_equal(say(*state, &good, length, &reply), 0);
		else if (length < 32 || length > 160)
			refused(*state, &good, length, -EPROTO, "malformed");
	}
	padded.request = good;
	refused(*state, &padded.request, sizeof(padded), -EPROTO, "malformed");
	bad = good;
	bad.magic++;
	assert_int_equal(say(*state, &bad, sizeof(bad), &reply), 0);
	bad = good;
	bad.version++;
	refused(*state, &bad, sizeof(bad), -EPROTO, "another release");
	refused(*state, &bad, 12, -EPROTO, "another release");
	bad = good;
	bad.zero = 1;
	refused(*state, &bad, sizeof(bad), -EPROTO, "malformed");
	bad = good;
	memset(bad.group, 'g', sizeof(bad.group));
	refused(*state, &bad, sizeof(bad), -EPROTO, "malformed");
	bad = good;
	memset(bad.to, 't', sizeof(bad.to));
	refused(*state, &bad, sizeof(bad), -EPROTO, "malformed");
	strcpy(bad.to, "../two");
	refused(*state, &bad, sizeof(bad), -EPROTO, "malformed");
	strcpy(bad.to, "t\nwo");
	refused(*state, &bad, sizeof(bad), -EPROTO, "malformed");
	strcpy(bad.to, "one");
	refused(*state, &bad, sizeof(bad), -EINVAL, "itself");
	bad = good;
	memset(bad.dead, 'd', sizeof(bad.dead));
	refused(*state, &bad, sizeof(bad), -EPROTO, "malformed");
	strcpy(bad.dead, "../two");
	refused(*state, &bad, sizeof(bad), -EPROTO, "malformed");
	strcpy(bad.dead, "one");
	refused(*state, &bad, sizeof(bad), -EINVAL, "it answers");
	bad = good;
	strcpy(bad.group, "tes");
	refused(*state, &bad, sizeof(bad), -EPERM, "another group");
	bad = good;
	bad.epoch--;
	refused(*state, &bad, sizeof(bad), -ESRCH, "another life");
	bad = good;
	bad.uuid[15]++;
	refused(*state, &bad, sizeof(bad), -ESRCH, "another instance");
	/* Nothing of it was a wish. */
	assert_int_equal(estate_leave_wanted(one, NULL), 0);
	assert_int_equal(say(*state, &good, sizeof(good), &reply), sizeof(reply));
	assert_int_equal(reply.state, ASK_NOTED);
	assert_int_equal(estate_leave_wanted(one, NULL), 1);
	assert_ok(estate_close(one));
}

/* Many who ask at once and do not listen, or go: it lives, and takes the next question. */
static void test_flood(void **state)
{
	struct estate *one = group_open(*state, "one", REGION);
	struct ask_request good;
	struct ask_reply reply;
	char address[128];
	int sockets[100];
	unsigned int sent = 0;

	snprintf(address, sizeof(address), "unix:%s/test/.one.sock", (const char *)*state);
	ask_make_request(&good, &one->identity, "", "");
	for (int i = 0; i < 100; i++) {
		assert_ok(ask_send(address, &good, &sockets[i]));
		/* It is not heard: the answers fill the socket, and are dropped then. */
		for (int j = 0; j < 50; j++)
			sent += send(sockets[i], &good, sizeof(good), MSG_NOSIGNAL | MSG_DONTWAIT) >
				0;
	}
	assert_true(sent > 0);
	assert_error(estate_leave(one, NULL), -ENOENT, "no member");
	for (int i = 0; i < 100; i++)
		close(sockets[i]);
	assert_int_equal(say(*state, &good, sizeof(good), &reply), sizeof(reply));
	assert_int_equal(reply.state, ASK_NOTED);
	assert_ok(estate_close(one));
}

static void test_replies(void **state)
{
	struct ask_reply good;
	struct ask_reply bad;
	struct ask_reply got;
	char padded[sizeof(good) + 1] = { 0 };
	int pair[2];

	(void)state;
	ask_make_reply(&good, ASK_FAILED, -EBUSY, "no time");
	for (size_t length = 0; length < sizeof(good); length++)
		assert_int_equal(ask_check_reply(&good, length, &got), -EPROTO);
	assert_int_equal(ask_check_reply(padded, sizeof(padded), &got), -EPROTO);
	bad = good;
	bad.magic = 0;
	assert_error(ask_check_reply(&bad, sizeof(bad), &got), -EPROTO, "this release");
	bad = good;
	bad.version++;
	assert_error(ask_check_reply(&bad, sizeof(bad), &got), -EPROTO, "another release");
	for (unsigned int i = 0; i < 3; i++) {
		bad = good;
		bad.state = (uint32_t[]){ 0, ASK_CLOSED + 1, UINT32_MAX }[i];
		assert_error(ask_check_reply(&bad, sizeof(bad), &got), -EPROTO, "no sense");
		bad = good;
		bad.error = (int32_t[]){ 0, 1, INT32_MIN }[i];
		assert_error(ask_check_reply(&bad, sizeof(bad), &got), -EPROTO, "no sense");
	}
	/* A sentence without an end gets one. */
	bad = good;
	memset(bad.reason, 'x', sizeof(bad.reason));
	assert_ok(ask_check_reply(&bad, sizeof(bad), &got));
	assert_int_equal(strlen(got.reason), sizeof(got.reason) - 1);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(ask_receive(pair[0], &got), -EAGAIN);
	memcpy(padded, &good, sizeof(good));
	assert_int_equal(send(pair[1], padded, sizeof(padded), 0), sizeof(padded));
	assert_error(ask_receive(pair[0], &got), -EPROTO, "no sense");
	ask_tell(pair[1], ASK_FAILED, -EBUSY, "no time");
	close(pair[1]);
	assert_ok(ask_receive(pair[0], &got));
	assert_int_equal(got.error, -EBUSY);
	assert_string_equal(got.reason, "no time");
	assert_error(ask_receive(pair[0], &got), -ECONNRESET, "without a word");
	/* Nobody hears it. */
	ask_tell(pair[0], ASK_CLOSED, 0, "");
	close(pair[0]);
}

/* Members of other hosts, and those without a socket, cannot be asked. */
static void test_elsewhere(void **state)
{
	struct peer peer = { .references = 1, .far = 1 };
	struct member member = { .peer = &peer, .identity = { .name = "one" } };
	struct group group = { .members = &member, .identity = { .group = "test" } };
	struct wish_target target;

	(void)state;
	pthread_mutex_init(&group.lock, NULL);
	strcpy(member.address, "192.0.2.1:7471");
	assert_error(wish_find(&group, "one", &target), -ENOTSUP, "another host, at 192.0.2.1");
	strcpy(member.address, "verbs:192.0.2.1:7471");
	assert_error(wish_find(&group, "one", &target), -ENOTSUP, "RDMA only");
	peer.far = 0;
	strcpy(member.address, "unix:/run/one");
	assert_ok(wish_find(&group, "one", &target));
	assert_string_equal(target.address, "unix:/run/one");
	assert_int_equal(peer.references, 2);
	member.peer = NULL;
	strcpy(member.reason, "it died");
	assert_error(wish_find(&group, "one", &target), -EHOSTDOWN, "it died");
	pthread_mutex_destroy(&group.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hand_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_looks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_elsewhere),
	};

	/* It is about Unix sockets. */
	if (getenv("ESTATE_TEST_LISTEN"))
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
