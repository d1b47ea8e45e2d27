/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ways to do the same, timed in rounds in which each takes its turn, with the
 * owners idle and busy, so that a slow minute of the machine slows all of them.
 */
#ifndef CONTEST_H
#define CONTEST_H

#include "control.h"
#include "samples.h"

#include <infiniband/verbs.h>
#include <jansson.h>

#define WAYS_MAX 12
#define ROUNDS_MAX 1000
#define STATES 2 /* of the owners */

/* One operation. 0, or a negative errno value after a message. */
typedef int contest_run(void *arg);

struct way {
	const char *name;
	contest_run *run;
	void *arg;
	contest_run *begin; /* before each turn; may be NULL */
	double units; /* that one operation does: messages, or bytes */
	unsigned int operations; /* in a turn; 0: as the options say */
};

struct outcome {
	struct samples samples;
	double medians[ROUNDS_MAX];
	double p99s[ROUNDS_MAX];
	struct usage usage;
	double ns; /* all turns together */
	double reads; /* READs that one operation posts */
};

struct contest {
	const struct options *options;
	const struct control *control;
	struct ibv_context *device;
	const char *unit; /* "READ", "key", "MB" */
	double unit_size; /* how many of a way's units are one of these */
	unsigned int count;
	struct way ways[WAYS_MAX];
	struct outcome *outcomes[STATES]; /* NULL: not wanted */
	struct usage rest[STATES]; /* what owners do in a second without any of it */
};

/* The way's number. */
unsigned int contest_add(struct contest *contest, struct way way);

/* 0, or -1 after a message. Owners are idle afterwards. */
int contest_hold(struct contest *contest);

/* A table for people, and what goes to the JSON file. */
json_t *contest_report(struct contest *contest, const char *title);

/*
 * How many times @of's time, or rate, is @to's: per round, while owners are idle.
 * @aim: what is aimed at: at most so much of a time, at least of a rate; 0: nothing.
 */
#define RATIO_TIME 0
#define RATIO_RATE 1
void contest_ratio(const struct contest *contest, json_t *report, unsigned int of, unsigned int to,
		   int kind, double aim);

void contest_free(struct contest *contest);

#endif
