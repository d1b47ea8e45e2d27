// SPDX-License-Identifier: BSD-3-Clause
/* Who may write without a lock: one thread at a time, whoever comes, and all who come later take locks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lock.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

/* One that several threads use, as a table's writers do. */
struct shared {
	struct bias bias;
	uint32_t lock;
	uint64_t plain; /* changed by holders only */
	int inside;
};

static void set_up(struct shared *shared)
{
	memset(shared, 0, sizeof(*shared));
	bias_init(&shared->bias);
	if (bias_is_shared(&shared->bias))
		skip(); /* a kernel without membarrier(2) */
}

static void in_thread(void *(*function)(void *), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, function, arg), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *enter_and_leave(void *arg)
{
	uint8_t *busy = bias_enter(arg);

	if (busy)
		bias_leave(busy);
	return NULL;
}

static void test_owner_stays(void **state)
{
	struct shared shared;
	uint8_t *busy;

	(void)state;
	set_up(&shared);
	assert_null(bias_try(&shared.bias));
	busy = bias_enter(&shared.bias);
	assert_non_null(busy);
	assert_int_equal(*busy, 1);
	bias_leave(busy);
	assert_int_equal(*busy, 0);
	assert_ptr_equal(bias_try(&shared.bias), busy);
	bias_leave(busy);
	assert_false(bias_is_shared(&shared.bias));
}

static void test_another_takes_over(void **state)
{
	struct shared shared;
	uint8_t *first;
	uint8_t *second;

	(void)state;
	set_up(&shared);
	first = bias_enter(&shared.bias);
	bias_leave(first);
	in_thread(enter_and_leave, &shared.bias);
	assert_null(bias_try(&shared.bias));
	second = bias_enter(&shared.bias);
	assert_non_null(second);
	/* What was somebody's word to be busy in is nobody else's, and not even its own again. */
	assert_ptr_not_equal(first, second);
	bias_leave(second);
}

static void test_shared_in_the_end(void **state)
{
	struct shared shared;
	unsigned int turns = 0;

	(void)state;
	set_up(&shared);
	for (; !bias_is_shared(&shared.bias); turns++) {
		uint8_t *busy = bias_enter(&shared.bias);

		assert_true(turns <= BIAS_TURNS);
		if (busy)
			bias_leave(busy);
		in_thread(enter_and_leave, &shared.bias);
	}
	/* Two a round. */
	assert_int_equal(turns, BIAS_TURNS / 2 + 1);
	assert_null(bias_try(&shared.bias));
	assert_null(bias_enter(&shared.bias));
}

static void *enter_inside(void *arg)
{
	struct shared *shared = arg;
	struct hold hold = lock_take(&shared->bias, &shared->lock);

	__atomic_store_n(&shared->inside, 1, __ATOMIC_SEQ_CST);
	lock_give(&shared->lock, hold);
	return NULL;
}

/* Several come, while the owner is busy: the first that is asked for a turn and all after it wait. */
static void wait_for_busy(struct shared *shared, unsigned int count)
{
	uint64_t before = shared->bias.owner;
	pthread_t threads[8];
	uint8_t *busy = bias_enter(&shared->bias);

	assert_non_null(busy);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, enter_inside, shared), 0);
	while (__atomic_load_n(&shared->bias.owner, __ATOMIC_SEQ_CST) == before)
		sched_yield();
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(__atomic_load_n(&shared->inside, __ATOMIC_SEQ_CST), 0);
		sched_yield();
	}
	bias_leave(busy);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(shared->inside, 1);
}

static void test_waits_for_busy(void **state)
{
	struct shared shared;

	(void)state;
	for (unsigned int count = 1; count <= 8; count++) {
		set_up(&shared);
		bias_leave(bias_enter(&shared.bias));
		wait_for_busy(&shared, count);
	}
}

/* So near to the last turn that those who come find it to be shared, soon. */
static void test_waits_before_it_is_shared(void **state)
{
	struct shared shared;

	(void)state;
	for (unsigned int left = 0; left < 3; left++) {
		set_up(&shared);
		for (unsigned int turn = 1; turn < BIAS_TURNS - left; turn++) {
			if (turn % 2)
				in_thread(enter_and_leave, &shared.bias);
			else
				bias_leave(bias_enter(&shared.bias));
		}
		if (!bias_try(&shared.bias))
			bias_leave(bias_enter(&shared.bias));
		else
			bias_leave(&shared.bias.busy[shared.bias.owner & BIAS_TURN_MASK]);
		wait_for_busy(&shared, 8);
	}
}

#define ROUNDS 300
#define BATCHES 40
#define BATCH 50
#define THREADS 4

static struct shared all[ROUNDS];
static unsigned int round_begun[THREADS];

/* In bursts, so that the owner is often found between two turns, or busy. */
static void *count_up(void *arg)
{
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct shared *shared = &all[round];

		/* All threads are at the same one. */
		__atomic_store_n((unsigned int *)arg, round + 1, __ATOMIC_RELEASE);
		for (unsigned int t = 0; t < THREADS; t++)
			while (__atomic_load_n(&round_begun[t], __ATOMIC_ACQUIRE) <= round)
				sched_yield();
		for (unsigned int batch = 0; batch < BATCHES; batch++) {
			for (unsigned int i = 0; i < BATCH; i++) {
				struct hold hold = lock_take(&shared->bias, &shared->lock);

				shared->plain++;
				hold.word += SIDECAR_GENERATION;
				lock_give(&shared->lock, hold);
			}
			sched_yield();
		}
	}
	return NULL;
}

static void test_nothing_is_lost(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++)
		set_up(&all[round]);
	for (unsigned int t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, count_up, &round_begun[t]), 0);
	for (unsigned int t = 0; t < THREADS; t++)
		assert_int_equal(pthread_join(threads[t], NULL), 0);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		assert_int_equal(all[round].plain, THREADS * BATCHES * BATCH);
		assert_int_equal(all[round].lock, THREADS * BATCHES * BATCH * SIDECAR_GENERATION);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owner_stays),
		cmocka_unit_test(test_another_takes_over),
		cmocka_unit_test(test_shared_in_the_end),
		cmocka_unit_test(test_waits_for_busy),
		cmocka_unit_test(test_waits_before_it_is_shared),
		cmocka_unit_test(test_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
