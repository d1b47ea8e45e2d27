// SPDX-License-Identifier: BSD-3-Clause
/*
 * A group under load: instances join, add to shared counters, leave in order or
 * are killed, again and again, while an observer reads global sums. Each instance
 * tells in shared memory what it has added before and after each add, so that
 * every sum can be checked: it lies between what the instances that were there all
 * the time had surely added when the read began, and what all that were there at
 * any time had possibly added when it ended. ESTATE_TEST_SEED repeats who comes and goes.
 */
#include "check.h"
#include "group.h"
#include "scratch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PLACES 5
#define KEYS 3

enum life {
	NOT_THERE,
	RUNNING,
	LEAVING
};

/* What an instance says of itself, in memory that outlives it. */
struct place {
	int life;
	uint64_t before[KEYS]; /* added once the add that is under way is done */
	uint64_t after[KEYS]; /* surely added */
};

struct shared {
	struct place places[PLACES];
};

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static volatile sig_atomic_t leave;

static void on_term(int signal)
{
	(void)signal;
	leave = 1;
}

static void run_instance(const char *folder, unsigned int number, struct place *place)
{
	char name[16];
	struct estate *es;
	struct estate_table *table;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, on_term);
	snprintf(name, sizeof(name), "nf-%u", number);
	es = group_open(folder, name, 1 << 20);
	table = group_counters(es, "sums", sizeof(unsigned int), 2, 100);
	__atomic_store_n(&place->life, RUNNING, __ATOMIC_SEQ_CST);
	for (uint64_t i = 1; !leave; i++) {
		unsigned int key = (unsigned int)(i % KEYS);
		const uint64_t deltas[2] = { 1, 1 };

		store(&place->before[key], place->before[key] + 1);
		if (estate_add(table, &key, sizeof(key), deltas))
			abort();
		store(&place->after[key], place->after[key] + 1);
	}
	__atomic_store_n(&place->life, LEAVING, __ATOMIC_SEQ_CST);
	if (estate_close(es))
		abort();
	_exit(0);
}

static pid_t start(const char *folder, unsigned int number, struct place *place)
{
	pid_t pid;

	memset(place, 0, sizeof(*place));
	pid = fork();
	if (!pid)
		run_instance(folder, number, place);
	return pid;
}

/* One read of one sum, checked against what the instances say. */
static void check_sum(struct estate_view *view, struct estate_table *table,
		      const struct shared *shared, const int *settled, unsigned int key)
{
	struct estate_answer answer;
	uint64_t least = 0;
	uint64_t most = 0;
	uint64_t sum[2] = { 0 };
	int error;

	for (unsigned int i = 0; i < PLACES; i++)
		if (settled[i])
			least += load(&shared->places[i].after[key]);
	error = estate_get_global(view, table, &key, sizeof(key), sum, sizeof(sum), &answer);
	for (unsigned int i = 0; i < PLACES; i++)
		most += load(&shared->places[i].before[key]);
	if (error) {
		assert_true(error == -ENOENT || error == -EHOSTDOWN);
		if (least)
			fail_msg("a sum of at least %llu was not read: %s: %s",
				 (unsigned long long)least, estate_errormsg(),
				 answer.missing ? strerror(-answer.who->why) : "none is missing");
		return;
	}
	assert_int_equal(sum[0], sum[1]);
	if (sum[0] < least || sum[0] > most)
		fail_msg("a sum of %llu, not from %llu to %llu; %u of %u answered",
			 (unsigned long long)sum[0], (unsigned long long)least,
			 (unsigned long long)most, answer.answered, answer.asked);
}

static void check_sums(struct estate_view *view, struct estate_table *table,
		       const struct shared *shared, const int *settled, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++)
		check_sum(view, table, shared, settled, i % KEYS);
}

/* End an instance, by a signal to leave or to die, with reads all the time. */
static void stop(pid_t pid, int signal, struct estate *es, struct estate_view *view,
		 struct estate_table *table, const struct shared *shared, const int *settled,
		 unsigned int live)
{
	int status;

	assert_int_equal(kill(pid, signal), 0);
	do {
		check_sums(view, table, shared, settled, 10);
	} while (waitpid(pid, &status, WNOHANG) == 0);
	assert_true(signal == SIGKILL ? WIFSIGNALED(status) : WIFEXITED(status) && !status);
	group_wait(es, live);
}

static void test_churn(void **state)
{
	const char *rounds_text = getenv("ESTATE_TEST_ROUNDS");
	unsigned int rounds = rounds_text ? (unsigned int)strtoul(rounds_text, NULL, 0) : 100;
	char *folder = scratch_make();
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[PLACES] = { 0 };
	int settled[PLACES] = { 0 };
	struct estate *es = group_open(folder, NULL, 0);
	const char *seed_text = getenv("ESTATE_TEST_SEED");
	unsigned int seed =
		seed_text ? (unsigned int)strtoul(seed_text, NULL, 0) : (unsigned int)time(NULL);
	unsigned int live = 0;
	struct estate_table *table;
	struct estate_view *view;

	(void)state;
	print_message("ESTATE_TEST_SEED=%u\n", seed);
	table = group_counters(es, "sums", sizeof(unsigned int), 2, 100);
	view = group_view(es);
	for (unsigned int round = 0; round < rounds; round++) {
		unsigned int i = (unsigned int)rand_r(&seed) % PLACES;

		check_sums(view, table, shared, settled, 1000);
		if (pids[i]) {
			settled[i] = 0;
			stop(pids[i], rand_r(&seed) % 2 ? SIGKILL : SIGTERM, es, view, table,
			     shared, settled, --live);
			pids[i] = 0;
			memset(&shared->places[i], 0, sizeof(shared->places[i]));
		} else {
			pids[i] = start(folder, i, &shared->places[i]);
			group_wait(es, ++live);
			while (__atomic_load_n(&shared->places[i].life, __ATOMIC_SEQ_CST) !=
			       RUNNING)
				check_sums(view, table, shared, settled, 10);
			settled[i] = 1;
		}
	}
	for (unsigned int i = 0; i < PLACES; i++) {
		if (!pids[i])
			continue;
		settled[i] = 0;
		stop(pids[i], SIGTERM, es, view, table, shared, settled, --live);
		memset(&shared->places[i], 0, sizeof(shared->places[i]));
	}
	check_sums(view, table, shared, settled, KEYS);
	estate_view_close(view);
	assert_ok(estate_close(es));
	munmap(shared, sizeof(*shared));
	scratch_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_churn) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
