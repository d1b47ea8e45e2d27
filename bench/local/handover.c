// SPDX-License-Identifier: BSD-3-Clause
/*
 * A hand-over of many entries, beside a scan of the leaver's table, which is what the transport
 * can read: how long it takes, and what a writer of the adopter and a reader of the
 * group notice of it.
 *
 * usage: bench-handover [OPTION...] [ENTRIES]
 *
 *	--leaver	be the one who leaves, in all rounds; with the next two
 *	--adopter	be the one who takes over, who measures and prints; with the next two.
 *			Without a role: both, on this host, by shared memory
 *	--listen ADDRESS:PORT	of this host
 *	--registry REGISTRY	the same for both, such as static:ADDRESS:PORT,ADDRESS:PORT
 *	--rounds N	of each kind (5): with the writer and the reader, and without
 *	--json FILE	write the figures to FILE, too
 *
 * The time of a hand-over is that from the first entry which the adopter has of the leaver's to the
 * last one. estate_leave() as a whole takes longer, and a second longer between hosts.
 */
#include "handover.h"
#include "measure.h"
#include "report.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 100
#define SCANS 3

/* Nothing takes so long unless the other side is dead. */
#define WAIT_NS 120000000000ull

#define POLL_US 1000

/* What both sides tell each other: keys of a table in which the highest number counts. */
enum signal {
	SIGNAL_FILLED, /* the round for which the leaver is ready */
	SIGNAL_LEAVE, /* the round in which it is to leave */
	SIGNAL_TOOK, /* and more: nanoseconds of a round's estate_leave() */
	SIGNALS = SIGNAL_TOOK + 2 * ROUNDS_MAX + 1
};

/* Of all rounds of a kind. */
struct series {
	unsigned int count;
	double scan[ROUNDS_MAX]; /* MB/s, with what else goes on during the hand-over */
	double taken[ROUNDS_MAX];
	double ratio[ROUNDS_MAX];
	double taking_ms[ROUNDS_MAX];
	double leave_ms[ROUNDS_MAX];
	double slowest_write[ROUNDS_MAX]; /* us, while it was taken */
	double slowest_read[ROUNDS_MAX]; /* us, since it was sealed */
	struct histograms writes;
	struct histograms reads;
};

struct adopter {
	const struct handover_options *options;
	struct estate_table *table;
	struct estate_table *signals;
	struct estate_view *view;
	uint64_t seen;
	uint64_t first; /* of the keys that the leaver alone has, in the order of buckets */
	uint64_t last;
	size_t bytes;
};

static void check(int error)
{
	if (error)
		errx(1, "%s", estate_errormsg());
}

static struct estate_table_attr table_attr(size_t entries)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = sizeof(struct handover_key);
	attr.value_type = ESTATE_U64;
	attr.value_count = 4;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = entries * 2;
	return attr;
}

static struct estate_table_attr signal_attr(void)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = sizeof(uint64_t);
	attr.value_type = ESTATE_U64;
	attr.value_count = 1;
	attr.merge = ESTATE_MERGE_MAX;
	attr.capacity = SIGNALS;
	return attr;
}

struct estate *handover_join(const struct handover_options *options, const char *name,
			     struct estate_table **table)
{
	struct estate_table_attr attr = table_attr(options->entries);
	struct estate_table_attr signals = signal_attr();
	struct estate_attr es_attr = ESTATE_ATTR_INIT;
	struct estate *es;

	es_attr.group = "bench";
	es_attr.name = name;
	es_attr.registry = options->registry;
	es_attr.listen = name ? options->listen : NULL;
	es_attr.flags = name ? 0 : ESTATE_OBSERVER;
	es_attr.region_size = estate_table_bytes(&attr) + estate_table_bytes(&signals) + (1 << 20);
	check(estate_open(&es_attr, &es));
	check(estate_table_open(es, "t", &attr, table));
	return es;
}

static struct estate_table *open_signals(struct estate *es)
{
	struct estate_table_attr attr = signal_attr();
	struct estate_table *signals;

	check(estate_table_open(es, "signals", &attr, &signals));
	return signals;
}

static void tell(struct estate_table *signals, uint64_t signal, uint64_t value)
{
	check(estate_put(signals, &signal, sizeof(signal), &value, sizeof(value)));
}

/* Until anybody of the group says at least @least, which is what is returned. */
static uint64_t await(struct estate_view *view, struct estate_table *signals, uint64_t signal,
		      uint64_t least)
{
	uint64_t until = measure_now_ns() + WAIT_NS;

	for (;;) {
		uint64_t value = 0;

		if (!estate_get_global(view, signals, &signal, sizeof(signal), &value,
				       sizeof(value), NULL) &&
		    value >= least)
			return value;
		if (measure_now_ns() > until)
			errx(1, "nothing is heard of the other side");
		usleep(5000);
	}
}

static void fill(struct estate_table *table, uint64_t entries)
{
	for (uint64_t i = 0; i < entries; i++) {
		struct handover_key key = handover_key(i);

		check(estate_add(table, &key, sizeof(key), (uint64_t[]){ 1, 2, 3, i }));
	}
}

static void fill_own(struct estate_table *table, const struct handover_options *options)
{
	for (uint64_t i = 0; i < options->entries; i += 2) {
		struct handover_key key = handover_key(i);

		check(estate_add(table, &key, sizeof(key), (uint64_t[]){ 0, 0, 0, 0 }));
	}
}

static void leave_as_told(const struct handover_options *options)
{
	uint64_t rounds = 2 * options->rounds, took = 0;

	for (uint64_t round = 1;; round++) {
		struct estate_table *table, *signals;
		struct estate *es = handover_join(options, "leaver", &table);
		struct estate_view *view;

		signals = open_signals(es);
		if (round > 1)
			tell(signals, SIGNAL_TOOK + round - 1, took);
		if (round <= rounds)
			fill(table, options->entries);
		tell(signals, SIGNAL_FILLED, round);
		check(estate_view_open(es, NULL, &view));
		await(view, signals, SIGNAL_LEAVE, round);
		estate_view_close(view);
		if (round > rounds) {
			estate_close(es);
			return;
		}
		took = measure_now_ns();
		check(estate_leave(es, NULL));
		took = measure_now_ns() - took;
	}
}

/* A scan goes bucket by bucket, as a hand-over does. */
static int see(const void *key, size_t key_length, const void *value, size_t value_length,
	       unsigned int present, uint64_t newest, void *arg)
{
	struct adopter *adopter = arg;
	uint64_t number = ((const struct handover_key *)key)->words[1];

	(void)key_length;
	(void)value;
	(void)value_length;
	(void)present;
	(void)newest;
	adopter->seen++;
	if (!handover_is_own(number)) {
		adopter->last = number;
		if (adopter->first == UINT64_MAX)
			adopter->first = number;
	}
	return 0;
}

static double speed(const struct adopter *adopter, uint64_t ns)
{
	return (double)adopter->bytes * 1e3 / (double)ns;
}

/* The bandwidth of a scan of the group, of which the leaver has everything. */
static double scan(struct adopter *adopter)
{
	double speeds[SCANS];

	for (int i = 0; i < SCANS; i++) {
		struct estate_answer answer;
		uint64_t begun = measure_now_ns();

		adopter->seen = 0;
		adopter->first = UINT64_MAX;
		check(estate_scan_global(adopter->view, adopter->table, NULL, see, adopter,
					 &answer));
		speeds[i] = speed(adopter, measure_now_ns() - begun);
		if (answer.missing || adopter->seen != adopter->options->entries)
			errx(1, "a scan saw %ju of %zu keys", (uintmax_t)adopter->seen,
			     adopter->options->entries);
	}
	return measure_figure(speeds, SCANS).median;
}

/* Until the adopter has the key; when that was. */
static uint64_t await_key(const struct estate_table *table, uint64_t number)
{
	const struct handover_key key = handover_key(number);
	uint64_t until = measure_now_ns() + WAIT_NS;

	for (;;) {
		uint64_t value[4];
		int error = estate_get(table, &key, sizeof(key), value, sizeof(value), NULL);
		uint64_t now = measure_now_ns();

		if (!error)
			return now;
		if (now > until)
			errx(1, "the hand-over does not come to its end");
		usleep(POLL_US);
	}
}

/* All of it is here, once; and away with it. */
static void empty(const struct adopter *adopter)
{
	for (uint64_t i = 0; i < adopter->options->entries; i++) {
		struct handover_key key = handover_key(i);
		uint64_t value[4];

		check(estate_get(adopter->table, &key, sizeof(key), value, sizeof(value), NULL));
		if (!handover_is_once(value, i))
			errx(1, "key %ju: the leaver does not count once", (uintmax_t)i);
		check(estate_delete(adopter->table, &key, sizeof(key)));
	}
}

static double most(const struct histogram *a, const struct histogram *b)
{
	return (double)(a->most > b->most ? a->most : b->most) / 1e3;
}

/* Let the leaver leave, in its @round-th round, and see all of it come. */
static void take_over(struct adopter *adopter, unsigned int round, int loaded,
		      struct series *series)
{
	const struct handover_options *options = adopter->options;
	struct histograms writes = { 0 }, reads = { 0 };
	struct load *load = NULL;
	unsigned int at = series->count++;
	uint64_t first, ns;

	await(adopter->view, adopter->signals, SIGNAL_FILLED, round);
	series->scan[at] = scan(adopter);
	fill_own(adopter->table, options);
	if (loaded) {
		load = load_start(options, adopter->table);
		usleep(500000);
		series->scan[at] = scan(adopter);
	}
	load_phase(load, PHASE_SEALED);
	tell(adopter->signals, SIGNAL_LEAVE, round);
	first = await_key(adopter->table, adopter->first);
	load_phase(load, PHASE_TAKING);
	ns = await_key(adopter->table, adopter->last) - first;
	load_stop(load, &writes, &reads);
	series->taken[at] = speed(adopter, ns);
	series->ratio[at] = series->taken[at] / series->scan[at];
	series->taking_ms[at] = (double)ns / 1e6;
	series->leave_ms[at] =
		(double)await(adopter->view, adopter->signals, SIGNAL_TOOK + round, 1) / 1e6;
	series->slowest_write[at] = (double)writes.of[PHASE_TAKING].most / 1e3;
	series->slowest_read[at] = most(&reads.of[PHASE_SEALED], &reads.of[PHASE_TAKING]);
	histograms_add(&series->writes, &writes);
	histograms_add(&series->reads, &reads);
	empty(adopter);
}

static void print_histograms(const char *what, const struct histograms *histograms)
{
	static const char *const columns[PHASES] = { "before", "sealed", "taking" };

	printf("\n%-18s", what);
	for (int phase = 0; phase < PHASES; phase++)
		printf("%12s", columns[phase]);
	for (int bin = 0; bin < BINS; bin++) {
		uint64_t any = 0;

		for (int phase = 0; phase < PHASES; phase++)
			any |= histograms->of[phase].bins[bin];
		if (!any)
			continue;
		printf("\nfrom %10.3f us", (double)(1ull << bin) / 1e3);
		for (int phase = 0; phase < PHASES; phase++)
			printf("%12ju", (uintmax_t)histograms->of[phase].bins[bin]);
	}
	printf("\n%-18s", "slowest, us");
	for (int phase = 0; phase < PHASES; phase++)
		printf("%12.1f", (double)histograms->of[phase].most / 1e3);
	printf("\n%-18s", "not of all");
	for (int phase = 0; phase < PHASES; phase++)
		printf("%12ju", (uintmax_t)histograms->of[phase].partial);
	printf("\n");
}

static json_t *histograms_json(const struct histograms *histograms)
{
	json_t *all = json_array();

	for (int phase = 0; phase < PHASES; phase++) {
		json_t *bins = json_object();
		char from[32];

		for (int bin = 0; bin < BINS; bin++) {
			if (!histograms->of[phase].bins[bin])
				continue;
			snprintf(from, sizeof(from), "%llu ns", 1ull << bin);
			json_object_set_new(
				bins, from,
				json_integer((json_int_t)histograms->of[phase].bins[bin]));
		}
		json_array_append_new(all, bins);
	}
	return all;
}

static void report_one(json_t *report, const char *what, double *values, unsigned int count,
		       int digits)
{
	struct figure figure = measure_figure(values, count);

	printf("%-32s%.*f (%.*f-%.*f)\n", what, digits, figure.median, digits, figure.least, digits,
	       figure.most);
	json_object_set_new(report, what, report_figure(figure));
}

static json_t *report_series(const char *what, struct series *series)
{
	json_t *report = json_object();

	printf("\n%s: median (least-most) of %u rounds\n", what, series->count);
	report_one(report, "scan, MB/s", series->scan, series->count, 1);
	report_one(report, "hand-over, MB/s", series->taken, series->count, 1);
	report_one(report, "hand-over / scan", series->ratio, series->count, 2);
	report_one(report, "first to last entry, ms", series->taking_ms, series->count, 1);
	report_one(report, "estate_leave(), ms", series->leave_ms, series->count, 0);
	if (!series->writes.of[PHASE_BEFORE].count)
		return report;
	report_one(report, "slowest write while taken, us", series->slowest_write, series->count,
		   0);
	report_one(report, "slowest read since sealed, us", series->slowest_read, series->count, 0);
	print_histograms("writes", &series->writes);
	print_histograms("global reads", &series->reads);
	json_object_set_new(report, "writes", histograms_json(&series->writes));
	json_object_set_new(report, "global reads", histograms_json(&series->reads));
	return report;
}

static double copy_speed(size_t bytes)
{
	char *from = malloc(bytes), *to = malloc(bytes);
	uint64_t least = UINT64_MAX;

	if (!from || !to)
		errx(1, "no memory");
	memset(from, 1, bytes);
	memset(to, 2, bytes);
	for (int round = 0; round < 3; round++) {
		uint64_t begun = measure_now_ns();

		memcpy(to, from, bytes);
		if (measure_now_ns() - begun < least)
			least = measure_now_ns() - begun;
	}
	free(from);
	free(to);
	return (double)bytes * 1e3 / (double)least;
}

static int adopt(const struct handover_options *options)
{
	static struct series alone, loaded;
	struct adopter adopter = { .options = options };
	struct estate *es = handover_join(options, "adopter", &adopter.table);
	struct estate_table_stats stats;
	json_t *report = json_object();

	adopter.signals = open_signals(es);
	check(estate_table_stats(adopter.table, &stats));
	adopter.bytes = stats.bytes;
	check(estate_view_open(es, NULL, &adopter.view));
	for (unsigned int round = 1; round <= 2 * options->rounds; round++)
		take_over(&adopter, round, !(round % 2), round % 2 ? &alone : &loaded);
	tell(adopter.signals, SIGNAL_LEAVE, 2 * options->rounds + 1);
	printf("%zu entries in a table of %.1f MB\n", options->entries,
	       (double)adopter.bytes / 1e6);
	json_object_set_new(report, "entries", json_integer((json_int_t)options->entries));
	json_object_set_new(report, "bytes", json_integer((json_int_t)adopter.bytes));
	if (!options->listen)
		printf("memcpy() of as much: %.0f MB/s\n", copy_speed(adopter.bytes));
	json_object_set_new(report, "alone", report_series("nothing else goes on", &alone));
	json_object_set_new(report, "loaded",
			    report_series("a writer and a reader go on", &loaded));
	/* The leaver is to hear the last word. */
	if (options->listen)
		sleep(1);
	estate_view_close(adopter.view);
	estate_close(es);
	return report_write(options->json, options->listen ? "handover, far" : "handover, near",
			    report);
}

static int both(struct handover_options *options)
{
	char folder[] = "/tmp/bench-handover-XXXXXX", registry[64], group[64];
	int error, status;
	pid_t child;

	if (!mkdtemp(folder))
		err(1, "%s", folder);
	snprintf(registry, sizeof(registry), "dir:%s", folder);
	options->registry = registry;
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		leave_as_told(options);
		_exit(0);
	}
	error = adopt(options);
	strcat(strcpy(group, folder), "/bench");
	rmdir(group);
	rmdir(folder);
	return waitpid(child, &status, 0) < 0 || status || error;
}

int main(int argc, char **argv)
{
	static const struct option names[] = { { "leaver", no_argument, NULL, 'o' },
					       { "adopter", no_argument, NULL, 'a' },
					       { "listen", required_argument, NULL, 'l' },
					       { "registry", required_argument, NULL, 'g' },
					       { "rounds", required_argument, NULL, 'r' },
					       { "json", required_argument, NULL, 'j' },
					       { NULL, 0, NULL, 0 } };
	struct handover_options options = { .entries = 1000000, .rounds = 5 };
	int role = 0, option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 'o' || option == 'a')
			role = option;
		else if (option == 'l')
			options.listen = optarg;
		else if (option == 'g')
			options.registry = optarg;
		else if (option == 'r')
			options.rounds = (unsigned int)strtoul(optarg, NULL, 10);
		else if (option == 'j')
			options.json = optarg;
		else
			return 2;
	}
	if (optind < argc)
		options.entries = strtoul(argv[optind], NULL, 10);
	if (options.entries < 4 || !options.rounds || options.rounds > ROUNDS_MAX)
		errx(2, "ENTRIES are at least 4, ROUNDS from 1 to %d", ROUNDS_MAX);
	if (!role != !options.listen || !role != !options.registry)
		errx(2, "a role, --listen and --registry go together");
	if (!role)
		return both(&options);
	if (role == 'a')
		return adopt(&options) ? 1 : 0;
	leave_as_told(&options);
	return 0;
}
