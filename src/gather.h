/* SPDX-License-Identifier: BSD-3-Clause */
/* Moving requests forward whose instances are far: posting READs, taking what came. */
#ifndef GATHER_H
#define GATHER_H

#include "view.h"

/*
 * Begin @request, of which query, count, out and status are set, and the keys
 * are ready; the view has been entered. When it is over, its unfinished is 0.
 * -ENOMEM and what registering memory can say, with a sentence.
 */
int gather_begin(struct estate_view *view, struct request *request);

/* Whether something came. Never sleeps. */
int gather_progress(struct estate_view *view);

/* End a request now: what has not come is missing. */
void gather_expire(struct estate_view *view, struct request *request);

/* Of one who waits; zeros at first. */
struct gather_patience {
	unsigned int turns;
	uint64_t sleep_us; /* when to sleep, if nothing comes until then */
};

/* For verdicts: where instance @i is to be read. 0, or why it cannot be. */
int gather_endpoint(struct estate_view *view, const struct request *request, unsigned int i,
		    struct endpoint **endpoint);
/* The same: one page less is pending. */
void gather_looked(struct estate_view *view, struct request *request);
/* The same: nobody waits for the pages any more. */
void gather_abandon_pages(struct request *request);

/* One turn of waiting: polls, and may sleep if nothing came for a while. -ETIMEDOUT: it is @until_us. */
int gather_turn(struct estate_view *view, struct gather_patience *patience, uint64_t until_us);

/* Wait until a request is over, which is at its deadline at the latest. */
void gather_wait(struct estate_view *view, struct request *request);

#endif
