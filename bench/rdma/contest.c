// SPDX-License-Identifier: BSD-3-Clause
#include "contest.h"

#include "count.h"
#include "measure.h"
#include "ticks.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Enough to see how many READs one operation posts. */
#define COUNTED 64

unsigned int contest_add(struct contest *contest, struct way way)
{
	if (contest->count == WAYS_MAX)
		errx(1, "too many ways");
	contest->ways[contest->count] = way;
	return contest->count++;
}

static unsigned int operations(const struct contest *contest, const struct way *way)
{
	return way->operations ? way->operations : contest->options->operations;
}

static int repeat(const struct way *way, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		int error = way->run(way->arg);

		if (error) {
			fprintf(stderr, "%s: %s\n", way->name, strerror(-error));
			return -1;
		}
	}
	return 0;
}

static int time_each(const struct contest *contest, const struct way *way, struct samples *turn)
{
	double limit = contest->options->seconds / contest->options->rounds * 1e9;
	uint64_t begin = ticks_now();
	uint64_t before = begin;

	for (unsigned int i = 0; limit > 0 || i < operations(contest, way); i++) {
		uint64_t after;

		if (repeat(way, 1))
			return -1;
		after = ticks_now();
		samples_add(turn, after - before);
		before = after;
		if (limit > 0 && (double)(after - begin) / ticks_per_ns() > limit)
			break;
	}
	return 0;
}

static unsigned int warm_up(const struct contest *contest, const struct way *way)
{
	unsigned int all = operations(contest, way);

	return contest->options->warm_up < all ? contest->options->warm_up : all;
}

static int take_turn(struct contest *contest, const struct way *way, struct outcome *outcome,
		     unsigned int round)
{
	struct samples turn = { 0 };
	struct usage before, after;
	uint64_t ns;
	int error;

	if ((way->begin && way->begin(way->arg)) || repeat(way, warm_up(contest, way)))
		return -1;
	samples_reserve(&turn, operations(contest, way));
	before = control_tell(contest->control, CONTROL_USAGE);
	ns = measure_now_ns();
	error = time_each(contest, way, &turn);
	outcome->ns += (double)(measure_now_ns() - ns);
	after = control_tell(contest->control, CONTROL_USAGE);
	usage_add(&outcome->usage, &before, &after);
	samples_join(&outcome->samples, &turn);
	outcome->medians[round] = samples_ns(&turn, 0.5);
	outcome->p99s[round] = samples_ns(&turn, 0.99);
	samples_free(&turn);
	return error;
}

/* Whom one leaves alone has work of its own. */
static void watch_rest(struct contest *contest, unsigned int state)
{
	struct usage before = control_tell(contest->control, CONTROL_USAGE);
	struct usage after;

	sleep(1);
	after = control_tell(contest->control, CONTROL_USAGE);
	contest->rest[state] = (struct usage){ 0 };
	usage_add(&contest->rest[state], &before, &after);
}

static int count_reads(struct contest *contest, const struct way *way, struct outcome *outcome)
{
	unsigned int times =
		operations(contest, way) < COUNTED ? operations(contest, way) : COUNTED;
	int error;

	if (way->begin && way->begin(way->arg))
		return -1;
	count_begin(contest->device);
	error = repeat(way, times);
	outcome->reads = (double)count_end(contest->device) / times;
	return error;
}

static void set_owners(const struct contest *contest, unsigned int state)
{
	control_tell(contest->control, state ? CONTROL_BUSY : CONTROL_IDLE);
	usleep(20000);
}

static int hold_round(struct contest *contest, unsigned int state, unsigned int round)
{
	set_owners(contest, state);
	if (!round)
		watch_rest(contest, state);
	for (unsigned int i = 0; i < contest->count; i++) {
		const struct way *way = &contest->ways[i];
		struct outcome *outcome = &contest->outcomes[state][i];

		if (!round && count_reads(contest, way, outcome))
			return -1;
		if (take_turn(contest, way, outcome, round))
			return -1;
	}
	return 0;
}

int contest_hold(struct contest *contest)
{
	const struct options *options = contest->options;
	int error = 0;

	ticks_per_ns();
	for (unsigned int state = 0; state < STATES; state++) {
		if (!(options->owners & (state ? OWNERS_BUSY : OWNERS_IDLE)))
			continue;
		contest->outcomes[state] =
			calloc(contest->count, sizeof(*contest->outcomes[state]));
		if (!contest->outcomes[state])
			err(1, "outcomes");
	}
	for (unsigned int round = 0; round < options->rounds && !error; round++)
		for (unsigned int state = 0; state < STATES && !error; state++)
			if (contest->outcomes[state])
				error = hold_round(contest, state, round);
	set_owners(contest, 0);
	return error;
}

void contest_free(struct contest *contest)
{
	for (unsigned int state = 0; state < STATES; state++) {
		for (unsigned int i = 0; contest->outcomes[state] && i < contest->count; i++)
			samples_free(&contest->outcomes[state][i].samples);
		free(contest->outcomes[state]);
		contest->outcomes[state] = NULL;
	}
}
