/* SPDX-License-Identifier: BSD-3-Clause */
/* Over how many instances a capture is split, from which packet on. */
#ifndef MONITOR_PLAN_H
#define MONITOR_PLAN_H

#include <argp.h>
#include <stdint.h>

#define PLAN_STEPS_MAX 64

struct step {
	uint64_t first; /* the packet that it begins with, from 0 */
	unsigned int instances;
	enum {
		STEP_LATER,
		STEP_WAITING, /* for this number of instances */
		STEP_RUNNING,
		STEP_RIGHT, /* at its end the global view had what was sent */
		STEP_WRONG,
	} state;
};

struct plan {
	struct step steps[PLAN_STEPS_MAX];
	unsigned int count;
	unsigned int begun; /* the first so many; the last of them runs */
};

/* Reads "PACKET:INSTANCES,..."; changes @text. */
void plan_parse(struct plan *plan, char *text, const struct argp_state *state);

/* The step that runs, or NULL. */
struct step *plan_current(struct plan *plan);

/* The step that begins with this packet, if it has not begun, or NULL. */
struct step *plan_next(struct plan *plan, uint64_t packet);

#endif
