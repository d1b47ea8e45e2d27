// SPDX-License-Identifier: BSD-3-Clause
/* The hybrid logical clock. */
#include "check.h"
#include "clock.h"

#include <estate/instance.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND (1000000ull << CLOCK_COUNTER_BITS)

static void test_physical(void **state)
{
	struct timespec before;
	struct timespec after;
	uint64_t stamp;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &before);
	stamp = clock_physical();
	clock_gettime(CLOCK_REALTIME, &after);
	/* The counter is for those who write: physical time leaves it at 0. */
	assert_int_equal(stamp % (1u << CLOCK_COUNTER_BITS), 0);
	assert_true(stamp >> CLOCK_COUNTER_BITS >=
		    (uint64_t)before.tv_sec * 1000000 + (uint64_t)before.tv_nsec / 1000);
	assert_true(stamp >> CLOCK_COUNTER_BITS <=
		    (uint64_t)after.tv_sec * 1000000 + (uint64_t)after.tv_nsec / 1000);
	assert_true(estate_stamp_ns(stamp) / 1000000000 >= (uint64_t)before.tv_sec);
	assert_true(estate_stamp_ns(stamp) / 1000000000 <= (uint64_t)after.tv_sec);
}

static void test_stamp_ns(void **state)
{
	(void)state;
	assert_int_equal(estate_stamp_ns(0), 0);
	assert_int_equal(estate_stamp_ns(4095), 0);
	assert_int_equal(estate_stamp_ns(4096), 1000);
	assert_int_equal(estate_stamp_ns((1700000000123456ull << 12) + 4095),
			 1700000000123456000ull);
}

static void test_tick(void **state)
{
	struct clock clock = { 0 };
	uint64_t before = clock_physical();

	(void)state;
	clock_tick(&clock);
	assert_true(clock.now >= before);
	assert_true(clock.now <= clock_physical());
	/* A wall clock that goes back does not take this one with it. */
	clock.now = before + 1000 * SECOND;
	clock_tick(&clock);
	assert_true(clock.now == before + 1000 * SECOND);
}

static void test_observe(void **state)
{
	struct clock clock = { 0 };
	uint64_t now = clock_physical();

	(void)state;
	clock_observe(&clock, 17);
	assert_int_equal(clock.now, 17);
	clock_observe(&clock, 16);
	assert_int_equal(clock.now, 17);
	clock_observe(&clock, 0);
	assert_int_equal(clock.now, 17);
	clock_observe(&clock, now);
	assert_true(clock.now == now);
	/* Half an hour ahead: a clock that is wrong, but not absurd. */
	clock_observe(&clock, now + 1800 * SECOND);
	assert_true(clock.now == now + 1800 * SECOND);
	clock_observe(&clock, now);
	assert_true(clock.now == now + 1800 * SECOND);
	/* More than that is somebody's error, or malice. */
	clock_observe(&clock, clock_physical() + 7200 * SECOND);
	assert_true(clock.now == now + 1800 * SECOND);
	clock_observe(&clock, UINT64_MAX);
	assert_true(clock.now == now + 1800 * SECOND);
}

/* Writes are later than all that was read, and than what they replace; always. */
static void test_stamps(void **state)
{
	struct clock clock = { 0 };
	uint64_t last = 0;
	unsigned int seed = 1;

	(void)state;
	clock_tick(&clock);
	for (int i = 0; i < 100000; i++) {
		uint64_t stamp = clock_stamp(&clock, last);

		assert_true(stamp > last);
		assert_true(stamp > clock.now);
		last = stamp;
		switch (rand_r(&seed) % 4) {
		case 0:
			clock_tick(&clock);
			break;
		case 1: {
			uint64_t read = last + (uint64_t)rand_r(&seed) % 10000;

			clock_observe(&clock, read);
			assert_true(clock.now >= read);
			assert_true(clock_stamp(&clock, 0) > read);
			break;
		}
		default:
			break;
		}
	}
	/* Over an entry whose stamp is from the far future: later than that one, all the same. */
	assert_true(clock_stamp(&clock, last + 100000 * SECOND) == last + 100000 * SECOND + 1);
	assert_true(clock_stamp(&clock, 0) == clock.now + 1);
}

/* Two instances that read each other's values in turn, with clocks half an hour apart. */
static void test_two(void **state)
{
	struct clock clocks[2] = { { clock_physical() }, { clock_physical() + 1800 * SECOND } };
	uint64_t stamp = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t next;

		clock_observe(&clocks[i % 2], stamp);
		next = clock_stamp(&clocks[i % 2], 0);
		assert_true(next > stamp);
		stamp = next;
	}
}

#define THREADS 4
#define PUSHES 20000

struct pusher {
	struct clock *clock;
	unsigned int number;
	int went_back;
};

static void *push(void *arg)
{
	struct pusher *pusher = arg;
	uint64_t last = 0;

	for (uint64_t i = 0; i < PUSHES; i++) {
		uint64_t stamp = 1000 + i * THREADS + pusher->number;
		uint64_t now;

		clock_observe(pusher->clock, stamp);
		now = clock_stamp(pusher->clock, 0);
		if (now <= stamp || now < last)
			pusher->went_back = 1;
		last = now;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct pusher pushers[THREADS];
	pthread_t threads[THREADS];
	struct clock clock = { 0 };

	(void)state;
	for (unsigned int i = 0; i < THREADS; i++) {
		pushers[i] = (struct pusher){ &clock, i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, push, &pushers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_false(pushers[i].went_back);
	}
	assert_int_equal(clock.now, 1000 + (PUSHES - 1) * THREADS + THREADS - 1);
}

static void test_monotonic(void **state)
{
	struct timespec before;
	struct timespec after;
	uint64_t now;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &before);
	now = clock_monotonic_us();
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(now >= (uint64_t)before.tv_sec * 1000000 + (uint64_t)before.tv_nsec / 1000);
	assert_true(now <= (uint64_t)after.tv_sec * 1000000 + (uint64_t)after.tv_nsec / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_physical), cmocka_unit_test(test_stamp_ns),
		cmocka_unit_test(test_tick),	 cmocka_unit_test(test_observe),
		cmocka_unit_test(test_stamps),	 cmocka_unit_test(test_two),
		cmocka_unit_test(test_threads),	 cmocka_unit_test(test_monotonic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
