/* SPDX-License-Identifier: BSD-3-Clause */
/* What estate-bench can time. doc/benchmarks.md explains each. */
#ifndef MODES_H
#define MODES_H

#include "contest.h"
#include "reader.h"
#include "wire.h"

/* All that is connected to the peers. */
struct client {
	const struct options *options;
	struct control control;
	struct wires wires;
	struct estate *es; /* an observer */
};

/* 0, or -1 after a message. Results are added to @report. */
int mode_raw_read(struct client *client, json_t *report);
int mode_get(struct client *client, json_t *report);
int mode_global(struct client *client, json_t *report);
int mode_batch(struct client *client, json_t *report);
int mode_scan(struct client *client, json_t *report);
int mode_rpc(struct client *client, json_t *report);

/* A contest of @client, still without ways. */
struct contest mode_contest(struct client *client, const char *unit, double unit_size);

#endif
