// SPDX-License-Identifier: BSD-3-Clause
/* What the two sides say to each other, and what they make of what strangers say. */
#include "handshake.h"

#include "check.h"

#include <estate/error.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CONSUMER_REJECT 28
#define ROUNDS 200000

static const struct region_identity identity = {
	.group = "ids", .name = "ids-1", .epoch = 7, .uuid = { 1, 2, 3 }
};
static unsigned char memory[64];
static const struct region region = { .memory = memory, .size = 1 << 20 };

static void refused(const void *hello, size_t length, int error, const char *word)
{
	struct handshake_refusal refusal;

	memset(&refusal, 0xff, sizeof(refusal));
	assert_int_equal(handshake_check_hello(hello, length, &identity, &refusal), error);
	/* The one who asked reads it as a sentence with the same error. */
	assert_error(handshake_explain_reject(&refusal, sizeof(refusal), CONSUMER_REJECT), error,
		     word);
}

static void test_hello(void **state)
{
	struct handshake_hello good;
	struct handshake_hello hello;
	struct handshake_refusal refusal;
	unsigned char padded[256] = { 0 };

	(void)state;
	handshake_make_hello(&good, &identity);
	assert_int_equal(handshake_check_hello(&good, sizeof(good), &identity, &refusal), 0);
	memcpy(padded, &good, sizeof(good));
	assert_int_equal(handshake_check_hello(padded, sizeof(padded), &identity, &refusal), 0);

	refused(NULL, 0, -EPROTO, "too short");
	refused(NULL, 100, -EPROTO, "too short");
	for (size_t length = 0; length < sizeof(good); length++)
		refused(&good, length, -EPROTO, "too short");
	memset(padded, 0, sizeof(padded));
	refused(padded, sizeof(padded), -EPROTO, "no instance");
	hello = good;
	hello.magic ^= 1;
	refused(&hello, sizeof(hello), -EPROTO, "no instance");
	hello = good;
	hello.protocol++;
	refused(&hello, sizeof(hello), -EPROTO, "same release");
	hello = good;
	hello.layout = UINT32_MAX;
	refused(&hello, sizeof(hello), -EPROTO, "4294967295");
	hello = good;
	hello.group ^= UINT64_C(1) << 63;
	refused(&hello, sizeof(hello), -EPERM, "group ids");
}

static void test_hello_to_an_observer(void **state)
{
	const struct region_identity observer = { .group = "ids" };
	struct handshake_hello hello;
	struct handshake_refusal refusal;

	(void)state;
	handshake_make_hello(&hello, &identity);
	assert_int_equal(handshake_check_hello(&hello, sizeof(hello), &observer, &refusal),
			 -EPROTO);
	assert_non_null(strstr(refusal.reason, "observer"));
}

/* The longest names there can be: the reason has room for them. */
static void test_long_names(void **state)
{
	struct region_identity longest = identity;
	struct handshake_hello hello;
	struct handshake_refusal refusal;

	(void)state;
	memset(longest.group, 'g', ESTATE_NAME_MAX - 1);
	handshake_make_hello(&hello, &identity);
	assert_int_equal(handshake_check_hello(&hello, sizeof(hello), &longest, &refusal), -EPERM);
	assert_error(handshake_explain_reject(&refusal, sizeof(refusal), 0), -EPERM,
		     "you asked for another group");
}

static void test_welcome(void **state)
{
	struct handshake_welcome good;
	struct handshake_welcome welcome;
	struct handshake_welcome got = { .pid = 4711 };
	unsigned char padded[256] = { 0 };

	(void)state;
	handshake_make_welcome(&good, &identity, &region, 99);
	memcpy(padded, &good, sizeof(good));
	assert_ok(handshake_check_welcome(padded, sizeof(padded), &got));
	assert_int_equal(got.pid, getpid());
	assert_int_equal(got.rkey, 99);
	assert_int_equal(got.size, region.size);
	assert_int_equal(got.epoch, 7);
	assert_int_equal(got.address, (uintptr_t)memory);
	assert_memory_equal(got.uuid, identity.uuid, 16);

	got.pid = 4711;
	for (size_t length = 0; length < sizeof(good); length++)
		assert_error(handshake_check_welcome(&good, length, &got), -EPROTO, "too short");
	assert_error(handshake_check_welcome(NULL, sizeof(good), &got), -EPROTO, "too short");
	memset(padded, 0, sizeof(padded));
	assert_error(handshake_check_welcome(padded, sizeof(padded), &got), -EPROTO,
		     "not an instance");
	welcome = good;
	welcome.protocol = 0;
	assert_error(handshake_check_welcome(&welcome, sizeof(welcome), &got), -EPROTO,
		     "same release");
	welcome = good;
	welcome.layout++;
	assert_error(handshake_check_welcome(&welcome, sizeof(welcome), &got), -EPROTO,
		     "same release");
	/* Sizes that no region has: of no directory, around the end of memory, and beyond. */
	welcome = good;
	welcome.size = LAYOUT_TABLES - 1;
	assert_error(handshake_check_welcome(&welcome, sizeof(welcome), &got), -EBADMSG, "bytes");
	welcome.size = UINT64_MAX;
	assert_error(handshake_check_welcome(&welcome, sizeof(welcome), &got), -EBADMSG, "bytes");
	welcome.size = -welcome.address;
	assert_error(handshake_check_welcome(&welcome, sizeof(welcome), &got), -EBADMSG, "bytes");
	/* Of an error nothing is taken over. */
	assert_int_equal(got.pid, 4711);
	welcome.size = LAYOUT_TABLES;
	assert_ok(handshake_check_welcome(&welcome, sizeof(welcome), &got));
}

static void test_reject(void **state)
{
	struct handshake_hello hello;
	struct handshake_refusal good;
	struct handshake_refusal refusal;
	unsigned char padded[256] = { 0 };

	(void)state;
	handshake_make_hello(&hello, &identity);
	hello.group++;
	handshake_check_hello(&hello, sizeof(hello), &identity, &good);
	memcpy(padded, &good, sizeof(good));
	assert_error(handshake_explain_reject(padded, sizeof(padded), CONSUMER_REJECT), -EPERM,
		     "it refused: it is in group ids");
	/* Strangers, and nobody. */
	assert_error(handshake_explain_reject(NULL, 0, CONSUMER_REJECT), -EPROTO,
		     "without a reason of ours");
	assert_error(handshake_explain_reject(&good, sizeof(good) - 1, CONSUMER_REJECT), -EPROTO,
		     "without a reason of ours");
	memset(padded, 0, sizeof(padded));
	assert_error(handshake_explain_reject(padded, sizeof(padded), CONSUMER_REJECT), -EPROTO,
		     "without a reason of ours");
	assert_error(handshake_explain_reject(NULL, 0, 8), -ECONNREFUSED, "nobody listens");
	/* Anything else does not prove that nobody is there. */
	assert_error(handshake_explain_reject(NULL, 0, 4), -EHOSTUNREACH, "reason 4");
	/* Errors that are none, and a reason without an end. */
	refusal = good;
	refusal.error = 0;
	assert_error(handshake_explain_reject(&refusal, sizeof(refusal), 0), -EPROTO, "refused");
	refusal.error = 5;
	assert_error(handshake_explain_reject(&refusal, sizeof(refusal), 0), -EPROTO, "refused");
	refusal.error = INT32_MIN;
	assert_error(handshake_explain_reject(&refusal, sizeof(refusal), 0), -EPROTO, "refused");
	memset(refusal.reason, 'x', sizeof(refusal.reason));
	assert_error(handshake_explain_reject(&refusal, sizeof(refusal), 0), -EPROTO, "xxx");
}

static uint64_t random_word(void)
{
	static uint64_t word = 88172645463325252ull;

	word ^= word << 13;
	word ^= word >> 7;
	word ^= word << 17;
	return word;
}

/* Good messages with some random bytes, and wholly random ones, of any length. */
static void test_random_bytes(void **state)
{
	struct handshake_hello hello;
	struct handshake_welcome welcome;
	struct handshake_welcome got;
	struct handshake_refusal refusal;
	struct handshake_refusal answer;

	(void)state;
	handshake_make_hello(&hello, &identity);
	handshake_make_welcome(&welcome, &identity, &region, 99);
	handshake_check_hello(NULL, 0, &identity, &refusal);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned char bytes[256];
		size_t length = random_word() % sizeof(bytes);
		int error;

		for (size_t at = 0; at < sizeof(bytes); at += 8)
			*(uint64_t *)(bytes + at) = random_word();
		if (i % 4 == 1)
			memcpy(bytes, &hello, sizeof(hello));
		if (i % 4 == 2)
			memcpy(bytes, &welcome, sizeof(welcome));
		if (i % 4 == 3)
			memcpy(bytes, &refusal, sizeof(refusal));
		bytes[random_word() % sizeof(bytes)] = (unsigned char)random_word();
		error = handshake_check_hello(bytes, length, &identity, &answer);
		assert_true(error <= 0);
		if (error) {
			assert_int_equal(answer.error, error);
			assert_non_null(memchr(answer.reason, 0, sizeof(answer.reason)));
			assert_true(*answer.reason);
		}
		error = handshake_check_welcome(bytes, length, &got);
		assert_true(error <= 0);
		if (!error) {
			assert_true(got.size >= LAYOUT_TABLES);
			assert_true(got.address + got.size >= got.address);
		}
		error = handshake_explain_reject(bytes, length, (int)random_word());
		assert_true(error < 0 && error > -4096);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),	   cmocka_unit_test(test_hello_to_an_observer),
		cmocka_unit_test(test_long_names), cmocka_unit_test(test_welcome),
		cmocka_unit_test(test_reject),	   cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
