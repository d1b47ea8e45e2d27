// SPDX-License-Identifier: BSD-3-Clause
#include "handover.h"
#include "measure.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Times are to be seen, not cut off. */
#define DEADLINE_US 2000000

/* A packet a microsecond, or the writer would be all that runs. */
#define WRITE_NS 1000

/* Between hosts, which may have one CPU each: a busy loop would leave nothing to the hand-over. */
#define FAR_PAUSE_US 50

/* Of the reader, on one host. */
#define NEAR_PAUSE_US 5

struct load {
	const struct handover_options *options;
	struct estate_table *table;
	pthread_t writer;
	pthread_t reader;
	int phase;
	int stop;
	struct histograms writes;
	struct histograms reads;
};

static int is_over(const struct load *load)
{
	return __atomic_load_n(&load->stop, __ATOMIC_RELAXED);
}

/* What took from @begun until now counts for the phase in which it ends. */
static struct histogram *note(const struct load *load, struct histograms *histograms,
			      uint64_t begun)
{
	uint64_t ns = measure_now_ns() - begun;
	unsigned int bin = ns ? 63 - (unsigned int)__builtin_clzll(ns) : 0;
	struct histogram *histogram =
		&histograms->of[__atomic_load_n(&load->phase, __ATOMIC_RELAXED)];

	histogram->bins[bin < BINS ? bin : BINS - 1]++;
	histogram->count++;
	if (ns > histogram->most)
		histogram->most = ns;
	return histogram;
}

static void *write_on(void *arg)
{
	struct load *load = arg;
	uint64_t own = load->options->entries / 2;

	for (uint64_t i = 0; !is_over(load); i += 7919) {
		struct handover_key key = handover_key(i % own * 2);
		uint64_t begun = measure_now_ns();

		if (estate_add(load->table, &key, sizeof(key), (uint64_t[]){ 1, 1, 1, 1 }))
			errx(1, "%s", estate_errormsg());
		note(load, &load->writes, begun);
		if (load->options->listen) {
			usleep(FAR_PAUSE_US);
			continue;
		}
		while (measure_now_ns() < begun + WRITE_NS)
			;
	}
	return NULL;
}

static void read_key(struct load *load, struct estate_view *view, struct estate_table *table,
		     uint64_t number)
{
	struct handover_key key = handover_key(number);
	struct estate_answer answer = { 0 };
	uint64_t begun = measure_now_ns();
	struct histogram *histogram;
	uint64_t value[4];
	int error =
		estate_get_global(view, table, &key, sizeof(key), value, sizeof(value), &answer);

	histogram = note(load, &load->reads, begun);
	if (error && error != -EHOSTDOWN)
		errx(1, "key %ju: %s", (uintmax_t)number, estate_errormsg());
	if (error || answer.missing)
		histogram->partial++;
	else if (!handover_is_once(value, number))
		errx(1, "key %ju: the leaver does not count once", (uintmax_t)number);
}

static void *read_on(void *arg)
{
	struct load *load = arg;
	struct estate_view_attr attr = ESTATE_VIEW_ATTR_INIT;
	struct estate_table *table;
	struct estate *es = handover_join(load->options, NULL, &table);
	struct estate_view *view;

	attr.deadline_us = DEADLINE_US;
	if (estate_view_open(es, &attr, &view))
		errx(1, "%s", estate_errormsg());
	for (uint64_t i = 0; !is_over(load); i += 104729) {
		read_key(load, view, table, i % load->options->entries);
		usleep(load->options->listen ? FAR_PAUSE_US : NEAR_PAUSE_US);
	}
	estate_view_close(view);
	estate_close(es);
	return NULL;
}

struct load *load_start(const struct handover_options *options, struct estate_table *table)
{
	struct load *load = calloc(1, sizeof(*load));

	if (!load)
		errx(1, "no memory");
	load->options = options;
	load->table = table;
	if (pthread_create(&load->writer, NULL, write_on, load) ||
	    pthread_create(&load->reader, NULL, read_on, load))
		errx(1, "no threads");
	return load;
}

void load_phase(struct load *load, enum phase phase)
{
	if (load)
		__atomic_store_n(&load->phase, phase, __ATOMIC_RELAXED);
}

void histograms_add(struct histograms *all, const struct histograms *some)
{
	for (int phase = 0; phase < PHASES; phase++) {
		struct histogram *to = &all->of[phase];
		const struct histogram *from = &some->of[phase];

		for (int bin = 0; bin < BINS; bin++)
			to->bins[bin] += from->bins[bin];
		to->count += from->count;
		to->partial += from->partial;
		if (from->most > to->most)
			to->most = from->most;
	}
}

void load_stop(struct load *load, struct histograms *writes, struct histograms *reads)
{
	if (!load)
		return;
	__atomic_store_n(&load->stop, 1, __ATOMIC_RELAXED);
	pthread_join(load->writer, NULL);
	pthread_join(load->reader, NULL);
	histograms_add(writes, &load->writes);
	histograms_add(reads, &load->reads);
	free(load);
}
