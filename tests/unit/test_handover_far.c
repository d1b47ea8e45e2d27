// SPDX-License-Identifier: BSD-3-Clause
/*
 * Hand-overs that are read, and made, by READs: over a transport that does what the test says.
 * Every sum counts each contribution once, or says who is missing.
 */
#include "check.h"
#include "fake_transport.h"
#include "handover.h"
#include "store.h"

#include <estate/estate.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEYS 300
#define KEY 7
#define LEAVERS 1
#define ADOPTERS 10 /* what they added to each key */

struct fixture {
	char addresses[3][32];
	char registry[128];
	struct estate *leaver;
	struct estate *adopter;
	struct estate *third; /* not always */
	struct estate *observer;
	struct estate_table *table; /* the observer's */
	struct estate_view *view;
};

static void nap(unsigned int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

static struct estate *join(const struct fixture *f, const char *name, const char *listen)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate *es;

	attr.group = "far";
	attr.name = name;
	attr.listen = listen;
	attr.registry = f->registry;
	attr.flags = name ? 0 : ESTATE_OBSERVER;
	attr.region_size = 8 << 20;
	assert_ok(estate_open(&attr, &es));
	return es;
}

static struct estate_table *counters(struct estate *es)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = 1;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = KEYS * 2;
	assert_ok(estate_table_open(es, "t", &attr, &table));
	return table;
}

static void add_all(struct estate *es, uint64_t value)
{
	struct estate_table *table = counters(es);

	for (uint64_t key = 0; key < KEYS; key++)
		assert_ok(estate_add(table, &key, 8, &value));
}

static void wait_for(struct estate *es, unsigned int live)
{
	struct estate_member members[8];

	for (int tries = 0;; tries++) {
		int count = estate_members(es, members, 8);
		unsigned int seen = 0;

		for (int i = 0; i < count; i++)
			seen += members[i].state == ESTATE_MEMBER_LIVE;
		if (seen == live)
			return;
		if (tries == 5000)
			fail_msg("%u members live, not %u", seen, live);
		nap(2);
	}
}

static int setup(void **state)
{
	static unsigned int port = 1;
	struct fixture *f = calloc(1, sizeof(*f));

	for (int i = 0; i < 3; i++)
		snprintf(f->addresses[i], sizeof(f->addresses[i]), "verbs:127.0.0.1:%u", port++);
	snprintf(f->registry, sizeof(f->registry), "static:%s,%s,%s", f->addresses[0],
		 f->addresses[1], f->addresses[2]);
	f->leaver = join(f, "leaver", f->addresses[0]);
	f->adopter = join(f, "adopter", f->addresses[1]);
	add_all(f->leaver, LEAVERS);
	add_all(f->adopter, ADOPTERS);
	wait_for(f->leaver, 2);
	wait_for(f->adopter, 2);
	f->observer = join(f, NULL, NULL);
	f->table = counters(f->observer);
	wait_for(f->observer, 2);
	assert_ok(estate_view_open(f->observer, NULL, &f->view));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_watch(NULL, NULL);
	fake_freeze(0);
	estate_view_close(f->view);
	assert_ok(estate_close(f->observer));
	if (f->leaver)
		assert_ok(estate_close(f->leaver));
	if (f->adopter)
		assert_ok(estate_close(f->adopter));
	if (f->third)
		assert_ok(estate_close(f->third));
	free(f);
	return 0;
}

/* What one read says. The third address is nobody's, and always missing. */
struct sum {
	uint64_t sum;
	unsigned int missing; /* of these two */
	int why; /* of the last of them */
	uint64_t reads;
};

static void take(struct sum *sum, const struct estate_answer *answer)
{
	for (unsigned int i = 0; i < answer->missing; i++) {
		if (strcmp(answer->who[i].name, "leaver") && strcmp(answer->who[i].name, "adopter"))
			continue;
		sum->missing++;
		sum->why = answer->who[i].why;
	}
}

static struct sum get_within(struct fixture *f, uint32_t deadline_us)
{
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer = { 0 };
	struct sum sum = { 0 };
	uint64_t key = KEY;
	uint64_t begun = fake_reads();
	int error;

	query.deadline_us = deadline_us;
	error = estate_query_global(f->view, f->table, &key, 8, &query, &sum.sum, 8, &answer);
	if (error && error != -EHOSTDOWN)
		assert_ok(error);
	sum.reads = fake_reads() - begun;
	take(&sum, &answer);
	return sum;
}

static struct sum get(struct fixture *f)
{
	return get_within(f, 1000000);
}

static struct sum get_polled(struct fixture *f)
{
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer = { 0 };
	struct sum sum = { 0 };
	uint64_t key = KEY;
	const void *place = &key;
	int status;
	void *tag;

	query.deadline_us = 20000;
	assert_ok(estate_query_start(f->view, f->table, 1, &place, 8, &query, &sum.sum, 8, &status,
				     &answer, f));
	while (!estate_query_poll(f->view, &tag, 1))
		;
	take(&sum, &answer);
	return sum;
}

static int visit(const void *key, size_t key_length, const void *value, size_t value_length,
		 unsigned int present, uint64_t newest, void *arg)
{
	struct sum *sum = arg;
	uint64_t id;
	uint64_t is;

	(void)key_length;
	(void)value_length;
	(void)present;
	(void)newest;
	memcpy(&id, key, 8);
	memcpy(&is, value, 8);
	if (id == KEY)
		sum->sum = is;
	return 0;
}

static int scan(struct fixture *f, uint32_t deadline_us, struct sum *sum)
{
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer = { 0 };
	int error;

	*sum = (struct sum){ 0 };
	query.deadline_us = deadline_us;
	error = estate_scan_global(f->view, f->table, &query, visit, sum, &answer);
	take(sum, &answer);
	return error;
}

static struct layout_header *header_of(const struct estate *es)
{
	return region_header(&es->region);
}

static struct layout_adoption *record_of(const struct estate *adopter)
{
	return (struct layout_adoption *)(adopter->region.memory + LAYOUT_ADOPTIONS);
}

static uint64_t home_of(struct fixture *f)
{
	uint64_t key = KEY;

	return geometry_home(&f->table->geometry, entry_hash(&f->table->geometry, &key, 8));
}

/* As if the leaver had sealed for somebody; not ripe, so that nobody begins. */
static void seal(struct fixture *f, const uint8_t *uuid)
{
	struct layout_header *header = header_of(f->leaver);

	shared_copy_to(header->adopter, uuid, 16);
	shared_store(&header->adopter_epoch, 5);
	shared_store(&header->attempt, 1);
	__atomic_store_n(&header->state, LAYOUT_SEALED, __ATOMIC_SEQ_CST);
	/* Until the observer has seen it: before, its lease holds, and nobody could have begun. */
	nap(100);
}

static void clear_record(struct fixture *f)
{
	static const struct layout_adoption none;

	shared_copy_to(record_of(f->adopter), &none, sizeof(none));
}

static void unseal(struct fixture *f)
{
	__atomic_store_n(&header_of(f->leaver)->state, LAYOUT_JOINED, __ATOMIC_SEQ_CST);
	clear_record(f);
}

static void record(struct fixture *f, enum layout_adoption_state said, uint64_t cursor)
{
	struct layout_adoption *made = record_of(f->adopter);

	shared_copy_to(made->leaver, f->leaver->identity.uuid, 16);
	shared_store(&made->cursor[0], cursor);
	__atomic_store_n(&made->state, said, __ATOMIC_SEQ_CST);
	shared_store(&made->epoch, f->leaver->identity.epoch);
}

/* Nothing is handed over: one READ for each instance. With no lease: pages, too, and no more. */
static void test_lease(void **state)
{
	struct fixture *f = *state;
	struct sum sum = get(f);

	for (int i = 0; i < 3; i++) {
		sum = get(f);
		assert_int_equal(sum.sum, LEAVERS + ADOPTERS);
		assert_int_equal(sum.missing, 0);
		assert_int_equal(sum.reads, 2);
		nap(100);
	}
	fake_freeze(1);
	nap(HANDOVER_LEASE_US / 1000 + 50);
	sum = get(f);
	assert_int_equal(sum.sum, LEAVERS + ADOPTERS);
	assert_int_equal(sum.missing, 0);
	/* Values, which were for nothing, pages, and values. */
	assert_int_equal(sum.reads, 6);
	fake_freeze(0);
	nap(100);
	assert_int_equal(get(f).reads, 2);
}

/* A leaver that seals within the lease counts, and nobody looks: it cannot be ripe. */
static void test_within_the_lease(void **state)
{
	struct fixture *f = *state;
	struct sum sum = get(f);

	fake_freeze(1);
	nap(20);
	seal(f, f->adopter->identity.uuid);
	sum = get(f);
	assert_int_equal(sum.sum, LEAVERS + ADOPTERS);
	assert_int_equal(sum.reads, 2);
	/* When it is over, a reader that knows of nothing looks, and sees. */
	nap(HANDOVER_LEASE_US / 1000);
	record(f, LAYOUT_ADOPTION_DONE, 0);
	sum = get(f);
	assert_int_equal(sum.sum, ADOPTERS);
	assert_int_equal(sum.missing, 0);
	unseal(f);
}

static void test_cursors(void **state)
{
	struct fixture *f = *state;
	uint64_t home = home_of(f);
	const struct {
		enum layout_adoption_state said;
		uint64_t cursor;
		uint64_t sum;
		int why; /* the leaver is missing */
	} cases[] = {
		{ LAYOUT_ADOPTION_RUNNING, 0, LEAVERS + ADOPTERS, 0 },
		{ LAYOUT_ADOPTION_RUNNING, home * 2, LEAVERS + ADOPTERS, 0 },
		{ LAYOUT_ADOPTION_RUNNING, home * 2 + 1, ADOPTERS, -EAGAIN },
		{ LAYOUT_ADOPTION_RUNNING, home * 2 + 2, ADOPTERS, 0 },
		{ LAYOUT_ADOPTION_RUNNING, UINT64_MAX - 10, ADOPTERS, 0 },
		{ LAYOUT_ADOPTION_DONE, 0, ADOPTERS, 0 },
		{ LAYOUT_ADOPTION_ENDED, 0, ADOPTERS, 0 },
		{ LAYOUT_ADOPTION_REFUSED, home * 2 + 2, LEAVERS + ADOPTERS, 0 },
		{ LAYOUT_ADOPTION_RESUMING, 0, ADOPTERS, -EAGAIN },
		{ 0, home * 2 + 2, LEAVERS + ADOPTERS, 0 },
		{ 77, home * 2 + 2, LEAVERS + ADOPTERS, 0 },
	};

	get(f);
	seal(f, f->adopter->identity.uuid);
	assert_int_equal(get(f).sum, LEAVERS + ADOPTERS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sum sum;
		int error;

		record(f, cases[i].said, cases[i].cursor);
		sum = get_within(f, 20000);
		assert_int_equal(sum.missing, !!cases[i].why);
		assert_int_equal(sum.why, cases[i].why);
		assert_int_equal(sum.sum, cases[i].sum);
		sum = get_polled(f);
		assert_int_equal(sum.missing, !!cases[i].why);
		assert_int_equal(sum.why, cases[i].why);
		assert_int_equal(sum.sum, cases[i].sum);
		error = scan(f, 200000, &sum);
		if (cases[i].why) {
			assert_int_equal(error, -ETIMEDOUT);
			continue;
		}
		assert_ok(error);
		assert_int_equal(sum.missing, 0);
		assert_int_equal(sum.sum, cases[i].sum);
	}
	unseal(f);
}

static void test_strange_adopters(void **state)
{
	struct fixture *f = *state;
	static const uint8_t nobody[16] = { 1, 2, 3 };
	struct sum sum;

	get(f);
	/* Whoever has taken a part of it, if anybody, does not count here either. */
	seal(f, nobody);
	record(f, LAYOUT_ADOPTION_DONE, 0);
	assert_int_equal(get(f).sum, LEAVERS + ADOPTERS);
	/* The leaver has heard that all is taken: by somebody who is not here. */
	__atomic_or_fetch(&header_of(f->leaver)->flags, LAYOUT_FINISHED, __ATOMIC_SEQ_CST);
	sum = get_within(f, 20000);
	assert_int_equal(sum.why, -EAGAIN);
	/* By the one who is here; whatever that one still remembers. */
	shared_copy_to(header_of(f->leaver)->adopter, f->adopter->identity.uuid, 16);
	clear_record(f);
	sum = get(f);
	assert_int_equal(sum.missing, 0);
	assert_int_equal(sum.sum, ADOPTERS);
	__atomic_and_fetch(&header_of(f->leaver)->flags, ~(uint64_t)LAYOUT_FINISHED,
			   __ATOMIC_SEQ_CST);
	/* The adopter cannot be read: the leaver counts, and the adopter is missing. */
	record(f, LAYOUT_ADOPTION_DONE, 0);
	fake_unplug(f->addresses[1], 1);
	sum = get(f);
	assert_int_equal(sum.missing, 1);
	assert_int_equal(sum.sum, LEAVERS);
	fake_unplug(f->addresses[1], 0);
	/* The leaver cannot. */
	wait_for(f->observer, 1);
	nap(100);
	get(f);
	fake_unplug(f->addresses[0], 1);
	sum = get(f);
	assert_int_equal(sum.missing, 1);
	assert_int_equal(sum.sum, ADOPTERS);
	fake_unplug(f->addresses[0], 0);
	unseal(f);
}

/* The home is taken at some READ of the reader's, in steps, whichever READ that is. */
struct mover {
	struct fixture *f;
	struct estate_table *to;
	unsigned int count;
	unsigned int at; /* the first step */
	unsigned int between;
};

static void move(const char *name, uint64_t offset, size_t length, void *arg)
{
	struct mover *mover = arg;
	struct layout_adoption *said = record_of(mover->f->adopter);
	uint64_t home = home_of(mover->f);
	uint64_t key = KEY;
	unsigned int step = mover->count++;

	(void)name;
	(void)offset;
	(void)length;
	if (step == mover->at)
		__atomic_store_n(&said->cursor[0], home * 2 + 1, __ATOMIC_SEQ_CST);
	if (step == mover->at + mover->between)
		assert_ok(estate_add(mover->to, &key, 8, &(uint64_t){ LEAVERS }));
	if (step == mover->at + 2 * mover->between)
		__atomic_store_n(&said->cursor[0], home * 2 + 2, __ATOMIC_SEQ_CST);
}

static void test_moving(void **state)
{
	struct fixture *f = *state;
	struct mover mover = { .f = f, .to = counters(f->adopter) };
	uint64_t key = KEY;

	get(f);
	seal(f, f->adopter->identity.uuid);
	for (int scans = 0; scans < 2; scans++) {
		for (mover.between = 0; mover.between < 4; mover.between++) {
			for (mover.at = 0; mover.at < 14; mover.at++) {
				struct sum sum;

				record(f, LAYOUT_ADOPTION_RUNNING, home_of(f) * 2);
				mover.count = 0;
				fake_watch(move, &mover);
				if (scans)
					assert_ok(scan(f, 1000000, &sum));
				else
					sum = get(f);
				assert_int_equal(sum.missing, 0);
				assert_int_equal(sum.sum, LEAVERS + ADOPTERS);
				fake_watch(NULL, NULL);
				/* As it was. */
				while (mover.count <= mover.at + 2 * mover.between)
					move("", 0, 0, &mover);
				assert_ok(estate_add(mover.to, &key, 8,
						     &(uint64_t){ (uint64_t)-LEAVERS }));
			}
		}
	}
	unseal(f);
}

/* A request that takes longer than its lease: the home was taken meanwhile. */
static void test_slow_request(void **state)
{
	struct fixture *f = *state;
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer = { 0 };
	struct sum sum = { 0 };
	uint64_t key = KEY;
	const void *place = &key;
	int status;
	void *tag;

	query.deadline_us = 5000000;
	/* Where the table is it learns first, and that takes its time. */
	fake_hold(1);
	assert_ok(estate_query_start(f->view, f->table, 1, &place, 8, &query, &sum.sum, 8, &status,
				     &answer, f));
	seal(f, f->adopter->identity.uuid);
	record(f, LAYOUT_ADOPTION_DONE, 0);
	assert_ok(estate_add(counters(f->adopter), &key, 8, &(uint64_t){ LEAVERS }));
	nap(HANDOVER_LEASE_US / 1000);
	fake_hold(0);
	while (!estate_query_poll(f->view, &tag, 1))
		;
	assert_int_equal(status, 0);
	take(&sum, &answer);
	assert_int_equal(sum.missing, 0);
	assert_int_equal(sum.sum, LEAVERS + ADOPTERS);
	unseal(f);
}

/* What is done before the adopter's page is read for the n-th time. */
struct pages {
	struct fixture *f;
	unsigned int count;
	unsigned int values; /* READs of the adopter's, which are none of its page */
	unsigned int scenario;
};

static void before_page(const char *name, uint64_t offset, size_t length, void *arg)
{
	struct pages *pages = arg;
	struct fixture *f = pages->f;
	uint64_t key = KEY;

	if (strcmp(name, "adopter"))
		return;
	if (offset || length != LAYOUT_PAGE) {
		/* The home is taken when the page was read twice. */
		if (pages->scenario == 1 && pages->count == 2 && !pages->values++)
			assert_ok(
				estate_add(counters(f->adopter), &key, 8, &(uint64_t){ LEAVERS }));
		return;
	}
	pages->count++;
	if (pages->scenario == 0 && pages->count == 2)
		record(f, LAYOUT_ADOPTION_DONE, 0);
	if (pages->scenario == 0 && pages->count == 3)
		record(f, 0, 0);
	if (pages->scenario == 1 && pages->count == 3)
		fake_unplug(f->addresses[1], 1);
}

/*
 * What a READ shows of a record that it shows for the first time may be of another leaver. And an
 * adopter that cannot be read any more may have taken the home just before.
 */
static void test_pages_change(void **state)
{
	struct fixture *f = *state;
	struct pages pages = { .f = f };
	struct sum sum;

	get(f);
	seal(f, f->adopter->identity.uuid);
	fake_watch(before_page, &pages);
	sum = get(f);
	assert_true(pages.count >= 3);
	assert_int_equal(sum.missing, 0);
	assert_int_equal(sum.sum, LEAVERS + ADOPTERS);
	fake_watch(NULL, NULL);
	pages = (struct pages){ .f = f, .scenario = 1 };
	record(f, LAYOUT_ADOPTION_RUNNING, 0);
	fake_watch(before_page, &pages);
	sum = get(f);
	assert_true(pages.values > 0 && pages.count >= 3);
	assert_int_equal(sum.missing, 1);
	assert_int_equal(sum.sum, LEAVERS);
	fake_watch(NULL, NULL);
	fake_unplug(f->addresses[1], 0);
	unseal(f);
}

/* Anything may stand in a page. Nobody crashes, and nobody takes longer than he was given. */
static void test_hostile_pages(void **state)
{
	struct fixture *f = *state;
	unsigned int random = 1;

	get(f);
	seal(f, f->adopter->identity.uuid);
	for (int round = 0; round < 150; round++) {
		struct estate *of = round % 2 ? f->leaver : f->adopter;
		unsigned char was[LAYOUT_PAGE];
		struct sum sum;

		shared_copy_from(was, of->region.memory, LAYOUT_PAGE);
		record(f, (enum layout_adoption_state)(round % 7), rand_r(&random));
		for (int i = 0; i < 1 + round % 20; i++) {
			unsigned int at = (unsigned int)rand_r(&random) % LAYOUT_PAGE;

			/* But for what says that it is another one, and the state that is needed here. */
			if (round % 5 && (at < 260 || (at >= 272 && at < 296)))
				continue;
			__atomic_store_n(&of->region.memory[at], (unsigned char)rand_r(&random),
					 __ATOMIC_RELAXED);
		}
		sum = get_within(f, 2000);
		assert_true(sum.sum <= LEAVERS + ADOPTERS);
		scan(f, 5000, &sum);
		shared_copy_to(of->region.memory, was, 256);
		shared_copy_to(of->region.memory + 272, was + 272, LAYOUT_PAGE - 272);
		__atomic_store_n(&header_of(f->leaver)->state, LAYOUT_SEALED, __ATOMIC_SEQ_CST);
		__atomic_store_n(&header_of(f->adopter)->state, LAYOUT_JOINED, __ATOMIC_SEQ_CST);
		__atomic_store_n(&header_of(of)->tables, 1, __ATOMIC_SEQ_CST);
	}
	unseal(f);
}

/* Somebody reads while it all happens. */
struct reader {
	struct fixture *f;
	int stop;
	unsigned int reads;
	unsigned int whole;
};

static void *read_on(void *arg)
{
	struct reader *reader = arg;
	uint64_t least = UINT64_MAX;

	while (!__atomic_load_n(&reader->stop, __ATOMIC_SEQ_CST)) {
		struct sum sum = get_within(reader->f, 200000);

		reader->reads++;
		if (sum.sum > LEAVERS + ADOPTERS)
			fail_msg("counted twice: %llu", (unsigned long long)sum.sum);
		if (sum.missing)
			continue;
		reader->whole++;
		least = sum.sum < least ? sum.sum : least;
		if (sum.sum != LEAVERS + ADOPTERS)
			fail_msg("nobody is missing, and the sum is %llu",
				 (unsigned long long)sum.sum);
	}
	return NULL;
}

static struct reader begin_reading(struct fixture *f)
{
	return (struct reader){ .f = f };
}

static void check_all(struct fixture *f)
{
	struct estate_table *table = counters(f->adopter);

	for (uint64_t key = 0; key < KEYS; key++) {
		uint64_t value = 0;

		assert_ok(estate_get(table, &key, 8, &value, 8, NULL));
		assert_int_equal(value, LEAVERS + ADOPTERS);
	}
}

static void test_leave(void **state)
{
	struct fixture *f = *state;
	struct reader reader = begin_reading(f);
	uint64_t begun = clock_monotonic_us();
	pthread_t thread;

	get(f);
	pthread_create(&thread, NULL, read_on, &reader);
	assert_ok(estate_leave(f->leaver, NULL));
	f->leaver = NULL;
	/* No adopter may begin before every reader's lease is over. */
	assert_true(clock_monotonic_us() - begun >= HANDOVER_RIPE_US);
	nap(50);
	__atomic_store_n(&reader.stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	assert_true(reader.whole > 10);
	check_all(f);
	/* Whoever was adopted is not waited for any more: the adopter may leave. */
	f->third = join(f, "third", f->addresses[2]);
	wait_for(f->adopter, 2);
	assert_ok(estate_leave(f->adopter, NULL));
	f->adopter = f->third;
	f->third = NULL;
	check_all(f);
}

static void *leave_thread(void *arg)
{
	struct fixture *f = arg;
	struct estate_leave_attr attr = ESTATE_LEAVE_ATTR_INIT;

	attr.to = "adopter";
	attr.deadline_ms = 2500;
	/* It answers: that is not believed, and not when it does not answer any more either. */
	attr.dead = "adopter";
	return (void *)(intptr_t)estate_leave(f->leaver, &attr);
}

/*
 * Leave, with a third one there, and nobody sees the adopter any more before it may begin. @off: its
 * host is, and it does not go on either.
 */
static void leave_in_vain(struct fixture *f, int off)
{
	pthread_t thread;
	void *result;

	f->third = join(f, "third", f->addresses[2]);
	wait_for(f->leaver, 3);
	pthread_create(&thread, NULL, leave_thread, f);
	nap(500);
	if (off)
		adopter_stop(f->adopter->adopter);
	fake_unplug(f->addresses[1], 1);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, -ETIMEDOUT);
}

/* The leaver does not see the adopter any more, who goes on: nobody else is asked. */
static void test_cut_off(void **state)
{
	struct fixture *f = *state;
	struct reader reader = begin_reading(f);
	pthread_t thread;

	get(f);
	pthread_create(&thread, NULL, read_on, &reader);
	leave_in_vain(f, 0);
	assert_int_equal(region_state(f->leaver->region.memory), LAYOUT_SEALED);
	assert_memory_equal(header_of(f->leaver)->adopter, f->adopter->identity.uuid, 16);
	check_all(f);
	fake_unplug(f->addresses[1], 0);
	assert_ok(estate_leave(f->leaver, NULL));
	f->leaver = NULL;
	__atomic_store_n(&reader.stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	check_all(f);
}

/* Nor does it come back: somebody knows that, and says so. */
static void test_said_dead(void **state)
{
	struct fixture *f = *state;
	struct estate_leave_attr attr = ESTATE_LEAVE_ATTR_INIT;
	struct reader reader = begin_reading(f);
	pthread_t thread;

	get(f);
	pthread_create(&thread, NULL, read_on, &reader);
	leave_in_vain(f, 1);
	attr.deadline_ms = 100;
	attr.dead = "third";
	assert_error(estate_leave(f->leaver, &attr), -ETIMEDOUT, "--dead");
	assert_memory_equal(header_of(f->leaver)->adopter, f->adopter->identity.uuid, 16);
	attr.deadline_ms = 20000;
	attr.dead = "adopter";
	assert_ok(estate_leave(f->leaver, &attr));
	f->leaver = NULL;
	__atomic_store_n(&reader.stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	for (uint64_t key = 0; key < KEYS; key++) {
		uint64_t value = 0;

		assert_ok(estate_get(counters(f->third), &key, 8, &value, 8, NULL));
		assert_int_equal(value, LEAVERS);
	}
	fake_unplug(f->addresses[1], 0);
}

/* The adopter cannot read the leaver any more, when it is in the midst: it goes on when it can. */
static void cut_in_the_midst(const char *name, uint64_t offset, size_t length, void *arg)
{
	struct mover *mover = arg;

	(void)offset;
	/* A stripe, which only scans and adopters read. */
	if (length < 30000 || strcmp(name, "leaver") ||
	    __atomic_fetch_add(&mover->count, 1, __ATOMIC_SEQ_CST))
		return;
	fake_unplug(mover->f->addresses[0], 1);
}

static void test_lost_and_found(void **state)
{
	struct fixture *f = *state;
	struct mover mover = { .f = f };
	pthread_t thread;
	void *result;

	fake_watch(cut_in_the_midst, &mover);
	pthread_create(&thread, NULL, leave_thread, f);
	nap(1500);
	fake_watch(NULL, NULL);
	assert_true(__atomic_load_n(&mover.count, __ATOMIC_SEQ_CST) > 0);
	assert_int_equal(__atomic_load_n(&record_of(f->adopter)->state, __ATOMIC_SEQ_CST),
			 LAYOUT_ADOPTION_RUNNING);
	fake_unplug(f->addresses[0], 0);
	pthread_join(thread, &result);
	assert_ok((int)(intptr_t)result);
	f->leaver = NULL;
	check_all(f);
}

/* The adopter ends before it has begun: somebody else is asked, for it is certain that it has ended. */
static void test_adopter_ends(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	void *result;

	f->third = join(f, "third", f->addresses[2]);
	wait_for(f->leaver, 3);
	pthread_create(&thread, NULL, leave_thread, f);
	nap(300);
	assert_ok(estate_close(f->adopter));
	f->adopter = NULL;
	pthread_join(thread, &result);
	/* It was asked for by name, and nobody else is called so. */
	assert_int_equal((intptr_t)result, -EHOSTDOWN);
	assert_int_equal(region_state(f->leaver->region.memory), LAYOUT_JOINED);
	assert_ok(estate_leave(f->leaver, NULL));
	f->leaver = NULL;
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_lease),	   test(test_within_the_lease),
		test(test_cursors),	   test(test_strange_adopters),
		test(test_slow_request),   test(test_pages_change),
		test(test_moving),	   test(test_hostile_pages),
		test(test_leave),	   test(test_cut_off),
		test(test_lost_and_found), test(test_adopter_ends),
		test(test_said_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
