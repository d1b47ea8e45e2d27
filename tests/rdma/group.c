// SPDX-License-Identifier: BSD-3-Clause
/*
 * A group over several hosts. Runs on each node of a cluster at once (see
 * scripts/vcluster), which NODE, NODES and IP0, IP1, ... describe; the phases that
 * are named on the command line follow each other, with a barrier between them.
 *
 *	sums	every node adds to the same keys; every node sees the exact sums, by
 *		single gets, batches, requests that are polled, and a scan
 *	large	values of 100 kB, each node's own, found by all
 *	storm	node 0 writes as fast as it can, all others read: nothing torn
 *	race	the same, but the values are in extents
 *	kill	the last node is killed: the others say so, and go on
 *	leave	node 1 leaves and comes back
 *	handover	node 1 leaves with a hand-over to the last node, and comes back, twice, while that
 *		one writes and node 0 reads: every contribution counts once
 *	cable	the last node's network goes away for some seconds
 *	churn	node 1 opens and closes 500 views: nothing is left behind, on either side
 *	hostile	rdma-hostile knocks at node 0, which goes on as if nothing had happened
 *
 * ESTATE_TEST_READS: how many reads the storm has, over all readers; 1,000,000
 * if not set. ESTATE_TEST_DEADLINE: of each read, in microseconds; 2,000,000.
 * ESTATE_TEST_IPV6, ESTATE_TEST_LOSSY: if set, by IPv6; over a network that loses packets.
 */
#include <estate/estate.h>

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PORT 7471
#define KEYS 200
#define ROUNDS 20
#define HOT 8
#define BATCH 64
#define LARGE 100000
#define MEMBERS_MAX 16

struct node {
	unsigned int number;
	unsigned int count;
	struct estate *es;
	struct estate_view *view;
	struct estate_query query;
};

static unsigned long number_of(const char *variable, unsigned long otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoul(text, NULL, 10) : otherwise;
}

static void barrier(const char *name)
{
	char command[128];

	snprintf(command, sizeof(command), "vcluster-barrier %s", name);
	if (system(command))
		errx(1, "%s failed", command);
}

static void address(unsigned int node, char *text, size_t size)
{
	char variable[16];

	snprintf(variable, sizeof(variable), "%s%u", getenv("ESTATE_TEST_IPV6") ? "IP6_" : "IP",
		 node);
	if (!getenv(variable))
		errx(1, "%s is not set: run this by scripts/vcluster", variable);
	snprintf(text, size, getenv("ESTATE_TEST_IPV6") ? "[%s]:%d" : "%s:%d", getenv(variable),
		 PORT);
}

static struct estate_view_attr view_attr(void)
{
	struct estate_view_attr attr = ESTATE_VIEW_ATTR_INIT;

	attr.deadline_us = (uint32_t)number_of("ESTATE_TEST_DEADLINE", 2000000);
	return attr;
}

static void join(struct node *node)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate_view_attr view = view_attr();
	char registry[1024] = "static:";
	char name[16];
	char self[64];

	for (unsigned int i = 0; i < node->count; i++) {
		if (i)
			strcat(registry, ",");
		address(i, registry + strlen(registry), 64);
	}
	address(node->number, self, sizeof(self));
	snprintf(name, sizeof(name), "n%u", node->number);
	attr.group = "cluster";
	attr.name = name;
	attr.registry = registry;
	attr.listen = self;
	if (estate_open(&attr, &node->es))
		errx(1, "estate_open: %s", estate_errormsg());
	if (estate_view_open(node->es, &view, &node->view))
		errx(1, "estate_view_open: %s", estate_errormsg());
}

static void leave(struct node *node)
{
	estate_view_close(node->view);
	if (estate_close(node->es))
		errx(1, "estate_close: %s", estate_errormsg());
}

/* Wait until @live members can be read. */
static void wait_live(const struct node *node, unsigned int live)
{
	struct estate_member members[MEMBERS_MAX];
	const struct timespec pause = { .tv_nsec = 5000000 };

	for (int tries = 0;; tries++) {
		int count = estate_members(node->es, members, MEMBERS_MAX);
		unsigned int seen = 0;

		for (int i = 0; i < count; i++)
			seen += members[i].state == ESTATE_MEMBER_LIVE;
		if (seen == live)
			return;
		if (tries == 6000) {
			for (int i = 0; i < count; i++)
				warnx("%s: state %d, %s", members[i].name, (int)members[i].state,
				      members[i].reason);
			errx(1, "%u members of %u live after 30 s", seen, live);
		}
		nanosleep(&pause, NULL);
	}
}

static struct estate_table *open_table(const struct node *node, const char *name,
				       enum estate_type type, size_t count, enum estate_merge merge,
				       size_t capacity)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 8;
	attr.value_type = type;
	attr.value_count = count;
	attr.merge = merge;
	attr.capacity = capacity;
	if (estate_table_open(node->es, name, &attr, &table))
		errx(1, "estate_table_open: %s", estate_errormsg());
	return table;
}

/*
 * Whether all @asked instances answered. On a network that loses packets
 * (ESTATE_TEST_LOSSY) connections come late, and the read is to be tried again.
 */
static int complete(const struct node *node, const struct estate_answer *answer, unsigned int asked)
{
	static unsigned int tries;
	struct estate_member members[MEMBERS_MAX];
	int count;

	if (answer->asked == asked && answer->answered == asked && !answer->missing)
		return 1;
	if (getenv("ESTATE_TEST_LOSSY") && ++tries < 10000) {
		usleep(5000);
		return 0;
	}
	count = estate_members(node->es, members, MEMBERS_MAX);
	for (int i = 0; i < count; i++)
		warnx("%s: state %d, %s", members[i].name, (int)members[i].state,
		      members[i].reason);
	errx(1, "asked %u, answered %u, missing %u (%s: %s) of %u", answer->asked, answer->answered,
	     answer->missing, answer->missing ? answer->who[0].name : "",
	     answer->missing ? strerror(-answer->who[0].why) : "", asked);
}

/* One key of all instances. Returns as estate_get_global(). */
static int get(const struct node *node, struct estate_table *table, const void *key, void *out,
	       size_t size, struct estate_answer *answer)
{
	int error;

	do {
		error = estate_get_global(node->view, table, key, 8, out, size, answer);
		if (error && error != -ENOENT && error != -EHOSTDOWN)
			errx(1, "get: %s", estate_errormsg());
	} while (!complete(node, answer, node->count));
	return error;
}

static uint64_t part(unsigned int node, uint64_t key)
{
	return (node + 1) * 1000000 + key;
}

static void check_sum(const struct node *node, uint64_t key, const uint64_t *sum, const char *how)
{
	uint64_t expected = 0;

	for (unsigned int n = 0; n < node->count; n++)
		expected += part(n, key) * ROUNDS;
	if (sum[0] != expected || sum[1] != (uint64_t)ROUNDS * node->count)
		errx(1, "%s: key %ju has %ju and %ju, not %ju", how, (uintmax_t)key,
		     (uintmax_t)sum[0], (uintmax_t)sum[1], (uintmax_t)expected);
}

struct batch {
	uint64_t keys[BATCH];
	const void *places[BATCH];
	uint64_t sums[BATCH][2];
	struct estate_answer answers[BATCH];
	int status[BATCH];
};

/* In one call, or begun and polled. */
static void read_batch(const struct node *node, struct estate_table *table, struct batch *batch,
		       unsigned int count, int polled)
{
	void *tag = NULL;
	int result;

	if (!polled) {
		result = estate_query_batch(node->view, table, count, batch->places, 8, NULL,
					    batch->sums, 16, batch->status, batch->answers);
		if (result < 0)
			errx(1, "batch: %s", estate_errormsg());
		return;
	}
	if (estate_query_start(node->view, table, count, batch->places, 8, NULL, batch->sums, 16,
			       batch->status, batch->answers, batch))
		errx(1, "start: %s", estate_errormsg());
	while (!(result = estate_query_poll(node->view, &tag, 1)))
		;
	if (result != 1 || tag != batch)
		errx(1, "poll: %d", result);
}

static void sums_batched(const struct node *node, struct estate_table *table, int polled)
{
	struct batch batch;

	for (uint64_t first = 0; first < KEYS; first += BATCH) {
		unsigned int count = KEYS - first < BATCH ? (unsigned int)(KEYS - first) : BATCH;
		unsigned int i;

		for (i = 0; i < count; i++) {
			batch.keys[i] = first + i;
			batch.places[i] = &batch.keys[i];
		}
		do {
			read_batch(node, table, &batch, count, polled);
			for (i = 0; i < count && complete(node, &batch.answers[i], node->count);)
				i++;
		} while (i < count);
		for (i = 0; i < count; i++) {
			if (batch.status[i])
				errx(1, "key %u: %s", i, strerror(-batch.status[i]));
			check_sum(node, batch.keys[i], batch.sums[i], polled ? "polled" : "batch");
		}
	}
}

struct visit {
	const struct node *node;
	unsigned int seen;
};

static int visit_sum(const void *key, size_t key_length, const void *value, size_t value_length,
		     unsigned int present, uint64_t newest, void *arg)
{
	struct visit *visit = arg;
	uint64_t id;

	(void)newest;
	visit->seen++;
	if (getenv("ESTATE_TEST_LOSSY") && present != visit->node->count)
		return 0;
	if (key_length != 8 || value_length != 16 || present != visit->node->count)
		errx(1, "scan: key of %zu, value of %zu, present %u", key_length, value_length,
		     present);
	memcpy(&id, key, 8);
	check_sum(visit->node, id, value, "scan");
	return 0;
}

static void sums(struct node *node)
{
	/* At its full capacity, so that some keys are in overflow chains. */
	struct estate_table *table =
		open_table(node, "sums", ESTATE_U64, 2, ESTATE_MERGE_SUM, KEYS);
	struct visit visit = { .node = node };
	struct estate_answer answer;
	uint64_t none[2];

	for (unsigned int round = 0; round < ROUNDS; round++)
		for (uint64_t key = 0; key < KEYS; key++)
			if (estate_add(table, &key, 8, (uint64_t[]){ part(node->number, key), 1 }))
				errx(1, "estate_add: %s", estate_errormsg());
	barrier("added");
	/* Twice: at first the positions are not known. */
	for (unsigned int round = 0; round < 2; round++) {
		for (uint64_t key = 0; key < KEYS; key++) {
			uint64_t sum[2];

			if (get(node, table, &key, sum, 16, &answer))
				errx(1, "key %ju is not there", (uintmax_t)key);
			check_sum(node, key, sum, "get");
		}
	}
	sums_batched(node, table, 0);
	sums_batched(node, table, 1);
	do {
		visit.seen = 0;
		if (estate_scan_global(node->view, table, NULL, visit_sum, &visit, &answer))
			errx(1, "scan: %s", estate_errormsg());
	} while (!complete(node, &answer, node->count));
	if (visit.seen != KEYS)
		errx(1, "scan: %u keys of %d", visit.seen, KEYS);
	/* Nobody has it, and all prove it. */
	if (get(node, table, "nothing!", none, sizeof(none), &answer) != -ENOENT)
		errx(1, "an absent key was found");
	/* A table that is opened now is seen at once. */
	barrier("seen");
	if (!node->number) {
		table = open_table(node, "late", ESTATE_U64, 1, ESTATE_MERGE_SUM, 10);
		if (estate_add(table, "late-key", 8, (uint64_t[]){ 5 }))
			errx(1, "estate_add: %s", estate_errormsg());
	}
	barrier("late");
	if (node->number) {
		uint64_t sum = 0;

		table = open_table(node, "late", ESTATE_U64, 1, ESTATE_MERGE_SUM, 10);
		if (get(node, table, "late-key", &sum, 8, &answer) || sum != 5)
			errx(1, "a table that was opened late: %ju, %s", (uintmax_t)sum,
			     estate_errormsg());
	}
	barrier("sums-done");
}

static void large(struct node *node)
{
	struct estate_table *table =
		open_table(node, "large", ESTATE_OPAQUE, LARGE, ESTATE_MERGE_LATEST, 20);
	unsigned char *value = malloc(LARGE);
	uint64_t key = node->number;
	struct estate_answer answer;

	if (!value)
		err(1, "malloc");
	memset(value, (int)node->number + 1, LARGE);
	if (estate_put(table, &key, 8, value, LARGE - node->number))
		errx(1, "estate_put: %s", estate_errormsg());
	barrier("large-put");
	for (key = 0; key < node->count; key++) {
		if (get(node, table, &key, value, LARGE, &answer))
			errx(1, "large key %ju is not there", (uintmax_t)key);
		if (answer.length != LARGE - key)
			errx(1, "large get: %zu bytes of %ju", answer.length,
			     (uintmax_t)(LARGE - key));
		for (size_t i = 0; i < answer.length; i++)
			if (value[i] != key + 1)
				errx(1, "large get: byte %zu is %u", i, value[i]);
	}
	free(value);
	barrier("large-done");
}

/* Every word of a value follows from its first one. */
static void make_value(uint64_t *value, size_t words, uint64_t number)
{
	for (size_t i = 0; i < words; i++)
		value[i] = number * (2 * i + 1);
}

struct writer {
	struct estate_table *table;
	size_t words;
	int stop;
	uint64_t writes;
};

static void *write_hot(void *arg)
{
	struct writer *writer = arg;
	uint64_t *value = malloc(writer->words * 8);

	for (uint64_t number = 1; !__atomic_load_n(&writer->stop, __ATOMIC_RELAXED); number++) {
		for (uint64_t key = 0; key < HOT; key++) {
			make_value(value, writer->words, number);
			if (estate_put(writer->table, &key, 8, value, writer->words * 8))
				errx(1, "estate_put: %s", estate_errormsg());
		}
		writer->writes += HOT;
	}
	free(value);
	return NULL;
}

/* Read hot keys, @reads in all. */
static void read_hot(const struct node *node, struct estate_table *table, size_t words,
		     unsigned long reads)
{
	uint64_t keys[HOT];
	const void *places[BATCH];
	uint64_t *values = calloc(BATCH, words * 8);
	struct estate_answer answers[BATCH];
	int status[BATCH];
	uint64_t last[HOT] = { 0 };
	unsigned long late = 0;

	for (unsigned int i = 0; i < HOT; i++)
		keys[i] = i;
	for (unsigned int i = 0; i < BATCH; i++)
		places[i] = &keys[i % HOT];
	for (unsigned long done = 0; done < reads; done += BATCH) {
		if (estate_query_batch(node->view, table, BATCH, places, 8, NULL, values, words * 8,
				       status, answers) < 0)
			errx(1, "storm: %s", estate_errormsg());
		for (unsigned int i = 0; i < BATCH; i++) {
			const uint64_t *value = values + i * words;
			uint64_t number = value[0];

			if (status[i] || answers[i].missing) {
				late++;
				continue;
			}
			for (size_t w = 0; w < words; w++)
				if (value[w] != number * (2 * w + 1))
					errx(1, "TORN: key %u, word %zu", i % HOT, w);
			/* READs of one batch come in no order, those of two batches do. */
			if (number < last[i % HOT] && i < HOT)
				errx(1, "key %u went back from %ju to %ju", i % HOT,
				     (uintmax_t)last[i % HOT], (uintmax_t)number);
			if (i >= BATCH - HOT)
				for (unsigned int b = i % HOT; b < BATCH; b += HOT)
					if (!status[b] && values[b * words] > last[i % HOT])
						last[i % HOT] = values[b * words];
		}
	}
	free(values);
	if (late > reads / 2)
		errx(1, "%lu reads of %lu gave up", late, reads);
	printf("%zu bytes: %lu reads, none torn, %lu gave up\n", words * 8, reads, late);
}

static void storm_of(struct node *node, const char *name, size_t words, unsigned long reads)
{
	struct estate_table *table =
		open_table(node, name, ESTATE_OPAQUE, words * 8, ESTATE_MERGE_LATEST, 100);
	struct writer writer = { .table = table, .words = words };
	pthread_t thread;

	if (!node->number) {
		if (pthread_create(&thread, NULL, write_hot, &writer))
			errx(1, "pthread_create");
		sleep(1);
	}
	barrier("writing");
	if (node->number)
		read_hot(node, table, words, reads / (node->count - 1));
	barrier("read");
	if (!node->number) {
		__atomic_store_n(&writer.stop, 1, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		printf("%zu bytes: %ju writes\n", words * 8, (uintmax_t)writer.writes);
	}
	barrier("stopped");
}

static void storm(struct node *node)
{
	unsigned long reads = number_of("ESTATE_TEST_READS", 1000000);

	storm_of(node, "storm-8", 1, reads * 2 / 5);
	storm_of(node, "storm-64", 8, reads * 2 / 5);
	storm_of(node, "storm-256", 32, reads / 5);
}

static void race(struct node *node)
{
	storm_of(node, "race-4k", 512, number_of("ESTATE_TEST_READS", 1000000) / 50);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The last node dies without a word: reads keep their deadline, and soon do not wait for it. */
static void kill_last(struct node *node)
{
	struct estate_table *table = open_table(node, "kill", ESTATE_U64, 1, ESTATE_MERGE_SUM, 10);
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer;
	unsigned int partial = 0;
	uint64_t slowest = 0;
	uint64_t sum;
	char command[64];

	if (estate_add(table, "kill-key", 8, (uint64_t[]){ 1 }))
		errx(1, "estate_add: %s", estate_errormsg());
	barrier("kill-added");
	if (get(node, table, "kill-key", &sum, 8, &answer))
		errx(1, "kill-key is not there");
	barrier("kill-read");
	if (node->number == node->count - 1)
		for (;;)
			pause();
	if (!node->number) {
		snprintf(command, sizeof(command), "vcluster-kill %u", node->count - 1);
		if (system(command))
			errx(1, "%s failed", command);
	}
	barrier("killed");
	query.deadline_us = 200000;
	for (unsigned int i = 0; i < 2000; i++) {
		uint64_t begin = now_us();

		sum = 0;
		if (estate_query_global(node->view, table, "kill-key", 8, &query, &sum, 8, &answer))
			errx(1, "get beside a dead node: %s", estate_errormsg());
		begin = now_us() - begin;
		slowest = begin > slowest ? begin : slowest;
		if (answer.asked != node->count || answer.missing != 1 || sum != node->count - 1)
			errx(1, "asked %u, missing %u, sum %ju", answer.asked, answer.missing,
			     (uintmax_t)sum);
		partial += begin < 100000;
	}
	/* Most of the reads did not wait: it is known that nobody answers there. */
	if (partial < 1900)
		errx(1, "only %u reads of 2000 did not wait for the dead node", partial);
	wait_live(node, node->count - 1);
	printf("2000 reads beside a dead node, the slowest %ju ms\n", (uintmax_t)slowest / 1000);
	node->count--;
	barrier("kill-done");
}

/*
 * A contribution to a key is one of these; below it, single additions are counted. So it shows in each
 * sum if a contribution is not there, or there twice.
 */
#define UNIT (UINT64_C(1) << 40)
#define WIDE 64 /* in extents */
#define WIDE_KEYS 50
#define HANDOVER_KEYS 2000
#define HANDOVERS 2

struct handover {
	struct node *node;
	struct estate_table *narrow;
	struct estate_table *wide;
	uint64_t units; /* in each sum */
	int stop;
	uint64_t last[HANDOVER_KEYS]; /* additions that were seen */
	unsigned long whole;
	unsigned long partial;
	unsigned long scans;
	uint64_t slowest_us;
};

static void contribute(const struct handover *h)
{
	uint64_t values[WIDE];

	for (size_t i = 0; i < WIDE; i++)
		values[i] = UNIT;
	for (uint64_t key = 0; key < HANDOVER_KEYS; key++)
		if (estate_add(h->narrow, &key, 8, values))
			errx(1, "estate_add: %s", estate_errormsg());
	for (uint64_t key = 0; key < WIDE_KEYS; key++)
		if (estate_add(h->wide, &key, 8, values))
			errx(1, "estate_add: %s", estate_errormsg());
}

static void *add_ones(void *arg)
{
	struct handover *h = arg;
	uint64_t ones[WIDE];

	for (size_t i = 0; i < WIDE; i++)
		ones[i] = 1;
	for (uint64_t key = 0; !__atomic_load_n(&h->stop, __ATOMIC_RELAXED); key++) {
		uint64_t narrow = key % HANDOVER_KEYS;
		uint64_t wide = key % WIDE_KEYS;

		if (estate_add(h->narrow, &narrow, 8, ones) || estate_add(h->wide, &wide, 8, ones))
			errx(1, "estate_add: %s", estate_errormsg());
		if (key % 16 == 0)
			usleep(100);
	}
	return NULL;
}

/* Of one sum, of which nobody was missing, or somebody was. */
static void check_units(struct handover *h, uint64_t key, uint64_t sum, unsigned int missing,
			const char *how)
{
	uint64_t units = sum / UNIT;

	if (units > h->units || (!missing && units != h->units))
		errx(1, "%s: key %ju has %ju contributions of %ju, %u instances are missing", how,
		     (uintmax_t)key, (uintmax_t)units, (uintmax_t)h->units, missing);
	if (missing)
		return;
	if (sum % UNIT < h->last[key])
		errx(1, "%s: key %ju went back from %ju to %ju", how, (uintmax_t)key,
		     (uintmax_t)h->last[key], (uintmax_t)(sum % UNIT));
	h->last[key] = sum % UNIT;
}

static int visit_units(const void *key, size_t key_length, const void *value, size_t value_length,
		       unsigned int present, uint64_t newest, void *arg)
{
	struct handover *h = arg;
	uint64_t id;
	uint64_t sum;

	(void)key_length;
	(void)value_length;
	(void)present;
	(void)newest;
	memcpy(&id, key, 8);
	memcpy(&sum, value, 8);
	/* Who is missing is known when it is over. */
	if (sum / UNIT > h->units)
		errx(1, "scan: key %ju has %ju contributions of %ju", (uintmax_t)id,
		     (uintmax_t)(sum / UNIT), (uintmax_t)h->units);
	h->scans += sum / UNIT == h->units;
	return 0;
}

static void read_units(struct handover *h, struct estate_view *view, unsigned long turn)
{
	struct batch batch;
	struct estate_answer answer = { 0 };
	struct node reader = *h->node;
	uint64_t wide[WIDE] = { 0 };
	uint64_t key = turn * 7 % HANDOVER_KEYS;
	uint64_t sum = 0;
	int error;

	reader.view = view;
	switch (turn % 8) {
	case 0:
	case 1:
		for (unsigned int i = 0; i < BATCH; i++) {
			batch.keys[i] = (key + i) % HANDOVER_KEYS;
			batch.places[i] = &batch.keys[i];
			batch.sums[i][0] = 0;
		}
		read_batch(&reader, h->narrow, &batch, BATCH, turn % 8 == 1);
		for (unsigned int i = 0; i < BATCH; i++)
			if (!batch.status[i])
				check_units(h, batch.keys[i], batch.sums[i][0],
					    batch.answers[i].missing, "batch");
		return;
	case 2:
		key %= WIDE_KEYS;
		error = estate_get_global(view, h->wide, &key, 8, wide, sizeof(wide), &answer);
		for (size_t i = 0; i < WIDE && !error; i++)
			if (wide[i] / UNIT > h->units ||
			    (!answer.missing && wide[i] / UNIT != h->units))
				errx(1, "wide: key %ju has %ju contributions of %ju",
				     (uintmax_t)key, (uintmax_t)(wide[i] / UNIT),
				     (uintmax_t)h->units);
		break;
	default:
		error = estate_get_global(view, h->narrow, &key, 8, &sum, 8, &answer);
		if (!error)
			check_units(h, key, sum, answer.missing, "get");
	}
	if (error && error != -EHOSTDOWN)
		errx(1, "get: %s", estate_errormsg());
	h->whole += !answer.missing;
	h->partial += answer.missing > 0;
}

static void *read_all_the_time(void *arg)
{
	struct handover *h = arg;
	struct estate_view_attr attr = view_attr();
	struct estate_view *view;

	if (estate_view_open(h->node->es, &attr, &view))
		errx(1, "estate_view_open: %s", estate_errormsg());
	for (unsigned long turn = 0; !__atomic_load_n(&h->stop, __ATOMIC_RELAXED); turn++) {
		struct estate_answer answer;
		uint64_t begun = now_us();

		read_units(h, view, turn);
		begun = now_us() - begun;
		if (turn && begun > h->slowest_us)
			h->slowest_us = begun;
		if (turn % 64)
			continue;
		h->scans = 0;
		if (estate_scan_global(view, h->narrow, NULL, visit_units, h, &answer))
			errx(1, "scan: %s", estate_errormsg());
		if (!answer.missing && h->scans != HANDOVER_KEYS)
			errx(1, "scan: %lu keys of %d are whole, and nobody is missing", h->scans,
			     HANDOVER_KEYS);
	}
	estate_view_close(view);
	return NULL;
}

/* Who has left is missing from now on, and all that it had is there. */
static void check_handed_over(struct handover *h)
{
	for (uint64_t key = 0; key < HANDOVER_KEYS; key++) {
		struct estate_answer answer;
		uint64_t sum;

		do {
			if (estate_get_global(h->node->view, h->narrow, &key, 8, &sum, 8, &answer))
				errx(1, "get: %s", estate_errormsg());
		} while (answer.missing != 1 || strcmp(answer.who[0].name, "n1"));
		if (sum / UNIT != h->units)
			errx(1, "key %ju has %ju contributions of %ju after the hand-over",
			     (uintmax_t)key, (uintmax_t)(sum / UNIT), (uintmax_t)h->units);
	}
}

static void leave_by_handover(struct node *node)
{
	struct estate_leave_attr attr = ESTATE_LEAVE_ATTR_INIT;
	char to[16];
	uint64_t begun = now_us();

	snprintf(to, sizeof(to), "n%u", node->count - 1);
	attr.to = to;
	estate_view_close(node->view);
	if (estate_leave(node->es, &attr))
		errx(1, "estate_leave: %s", estate_errormsg());
	printf("a hand-over to another host took %ju ms\n", (uintmax_t)(now_us() - begun) / 1000);
}

static void open_both(struct handover *h)
{
	h->narrow =
		open_table(h->node, "narrow", ESTATE_U64, 1, ESTATE_MERGE_SUM, 2 * HANDOVER_KEYS);
	h->wide = open_table(h->node, "wide", ESTATE_U64, WIDE, ESTATE_MERGE_SUM, 2 * WIDE_KEYS);
}

static void hand_over_once(struct handover *h)
{
	struct node *node = h->node;
	pthread_t thread;

	h->stop = 0;
	if (!node->number && pthread_create(&thread, NULL, read_all_the_time, h))
		errx(1, "pthread_create");
	if (node->number == node->count - 1 && pthread_create(&thread, NULL, add_ones, h))
		errx(1, "pthread_create");
	barrier("handover-begun");
	usleep(200000);
	if (node->number == 1)
		leave_by_handover(node);
	barrier("handover-left");
	usleep(200000);
	__atomic_store_n(&h->stop, 1, __ATOMIC_RELAXED);
	if (!node->number || node->number == node->count - 1)
		pthread_join(thread, NULL);
	if (!node->number) {
		check_handed_over(h);
		printf("%lu whole reads and %lu partial ones beside it, the slowest %ju us\n",
		       h->whole, h->partial, (uintmax_t)h->slowest_us);
		if (h->whole < 10)
			errx(1, "too few reads");
	}
	barrier("handover-checked");
}

static void hand_over(struct node *node)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (!h)
		err(1, "calloc");
	h->node = node;
	for (unsigned int round = 0; round < HANDOVERS; round++) {
		wait_live(node, node->count);
		open_both(h);
		if (!round || node->number == 1)
			contribute(h);
		h->units = node->count + round;
		barrier("handover-added");
		hand_over_once(h);
		if (node->number == 1)
			join(node);
		barrier("handover-back");
	}
	wait_live(node, node->count);
	free(h);
	barrier("handover-done");
}

/* Its network is gone, then back: it is missing, and then read again, by new connections. */
static void pull_cable(struct node *node)
{
	struct estate_table *table = open_table(node, "cable", ESTATE_U64, 1, ESTATE_MERGE_SUM, 10);
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer;
	unsigned int partial = 0;
	uint64_t sum;

	if (estate_add(table, "cablekey", 8, (uint64_t[]){ 1 }))
		errx(1, "estate_add: %s", estate_errormsg());
	barrier("cable-added");
	if (get(node, table, "cablekey", &sum, 8, &answer) || sum != node->count)
		errx(1, "before the cable was pulled: %ju", (uintmax_t)sum);
	barrier("cable-read");
	if (node->number == node->count - 1) {
		/*
		 * Not "ip link set down": after it, with connections open, rxe of Linux
		 * 6.1 was seen to receive no connection requests any more, for whatever
		 * program, until it was deleted and added again.
		 */
		if (system("tc qdisc add dev eth0 root netem loss 100% && sleep 4 && "
			   "tc qdisc del dev eth0 root"))
			errx(1, "tc failed");
	} else {
		query.deadline_us = 100000;
		for (uint64_t end = now_us() + 4000000; now_us() < end; usleep(10000)) {
			if (estate_query_global(node->view, table, "cablekey", 8, &query, &sum, 8,
						&answer))
				errx(1, "get without a cable: %s", estate_errormsg());
			if (sum != node->count - answer.missing)
				errx(1, "sum %ju, missing %u", (uintmax_t)sum, answer.missing);
			partial += answer.missing;
		}
		if (partial < 20)
			errx(1, "%u partial results while a node had no network", partial);
	}
	wait_live(node, node->count);
	for (int tries = 0;; tries++) {
		if (estate_get_global(node->view, table, "cablekey", 8, &sum, 8, &answer))
			errx(1, "get: %s", estate_errormsg());
		if (!answer.missing)
			break;
		if (tries == 3000)
			errx(1, "%s is still missing", answer.who[0].name);
		usleep(10000);
	}
	barrier("cable-done");
}

static void leave_and_return(struct node *node)
{
	struct estate_table *table;
	struct estate_answer answer;
	uint64_t sum;

	if (node->number == 1)
		leave(node);
	else
		wait_live(node, node->count - 1);
	barrier("left");
	if (node->number == 1)
		join(node);
	wait_live(node, node->count);
	barrier("back");
	table = open_table(node, "back", ESTATE_U64, 1, ESTATE_MERGE_SUM, 10);
	if (estate_add(table, "back-key", 8, (uint64_t[]){ 1 }))
		errx(1, "estate_add: %s", estate_errormsg());
	barrier("back-added");
	if (get(node, table, "back-key", &sum, 8, &answer))
		errx(1, "back-key is not there");
	if (sum != node->count)
		errx(1, "after a return: %ju", (uintmax_t)sum);
	barrier("leave-done");
}

/* What a node has of RDMA's objects and this process of files and memory, as text. */
static void resources(char *text, size_t size, unsigned long *kilobytes)
{
	FILE *pipe = popen("rdma resource show; ls /proc/$PPID/fd | wc -l; "
			   "grep VmRSS /proc/$PPID/status",
			   "r");
	char line[256];

	if (!pipe)
		err(1, "popen");
	*text = 0;
	*kilobytes = 0;
	while (fgets(line, sizeof(line), pipe))
		if (sscanf(line, "VmRSS: %lu", kilobytes) != 1)
			strncat(text, line, size - strlen(text) - 1);
	if (pclose(pipe) || !*kilobytes)
		errx(1, "looking at what is in use failed");
}

static void open_and_close_views(const struct node *node, struct estate_table *table,
				 unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		struct node other = *node;
		struct estate_view_attr attr = view_attr();
		struct estate_answer answer;
		uint64_t sum;

		if (estate_view_open(node->es, &attr, &other.view))
			errx(1, "estate_view_open: %s", estate_errormsg());
		if (get(&other, table, "churnkey", &sum, 8, &answer) || sum != node->count)
			errx(1, "churn: %s", estate_errormsg());
		estate_view_close(other.view);
	}
}

static void churn(struct node *node)
{
	struct estate_table *table = open_table(node, "churn", ESTATE_U64, 1, ESTATE_MERGE_SUM, 10);
	char before[4096];
	char after[4096];
	unsigned long first;
	unsigned long last;

	if (estate_add(table, "churnkey", 8, (uint64_t[]){ 1 }))
		errx(1, "estate_add: %s", estate_errormsg());
	barrier("churn-added");
	if (node->number == 1)
		open_and_close_views(node, table, 20);
	barrier("churn-warm");
	resources(before, sizeof(before), &first);
	barrier("churn-before");
	if (node->number == 1)
		open_and_close_views(node, table, 500);
	barrier("churn-after");
	/* The other side hears of an end a little later. */
	for (int tries = 0; tries < 50; tries++) {
		resources(after, sizeof(after), &last);
		if (!strcmp(before, after))
			break;
		usleep(100000);
	}
	if (strcmp(before, after))
		errx(1, "before 500 connections:\n%safter:\n%s", before, after);
	if (last > first + 2048)
		errx(1, "500 connections took %lu kB, from %lu on", last - first, first);
	barrier("churn-done");
}

static void hostile(struct node *node)
{
	struct estate_table *table =
		open_table(node, "hostile", ESTATE_U64, 1, ESTATE_MERGE_SUM, 10);
	struct estate_answer answer;
	uint64_t sum;
	char at[64];
	char command[512];
	const char *program = getenv("RDMA_HOSTILE");

	if (estate_add(table, "hostile!", 8, (uint64_t[]){ 1 }))
		errx(1, "estate_add: %s", estate_errormsg());
	barrier("hostile-added");
	if (node->number == 1) {
		address(0, at, sizeof(at));
		*strrchr(at, ':') = 0;
		snprintf(command, sizeof(command), "%s %s %d cluster", program ? program : "false",
			 at, PORT);
		if (system(command))
			errx(1, "%s failed", command);
	}
	barrier("hostile-knocked");
	if (get(node, table, "hostile!", &sum, 8, &answer) || sum != node->count)
		errx(1, "after strangers: %ju", (uintmax_t)sum);
	barrier("hostile-done");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct node *node);
	} phases[] = {
		{ "sums", sums },
		{ "large", large },
		{ "storm", storm },
		{ "handover", hand_over },
		{ "race", race },
		{ "kill", kill_last },
		{ "leave", leave_and_return },
		{ "cable", pull_cable },
		{ "churn", churn },
		{ "hostile", hostile },
	};
	struct node node = { .number = (unsigned int)number_of("NODE", 0),
			     .count = (unsigned int)number_of("NODES", 1) };

	join(&node);
	wait_live(&node, node.count);
	barrier("joined");
	for (int a = 1; a < argc; a++) {
		unsigned int p = 0;

		while (p < sizeof(phases) / sizeof(phases[0]) && strcmp(phases[p].name, argv[a]))
			p++;
		if (p == sizeof(phases) / sizeof(phases[0]))
			errx(2, "no phase %s", argv[a]);
		phases[p].run(&node);
		if (!node.number)
			printf("phase %s: right\n", argv[a]);
	}
	leave(&node);
	return 0;
}
