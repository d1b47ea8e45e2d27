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

/*
 * For calls that read one key and wait (one.c): the first key's readings keep their ops from
 * one call to the next, so that little is left to be set. See that they have them; 0: they cannot
 * now.
 */
int gather_stand(struct estate_view *view, struct request *request);

/* Give these back: before the request's lineup or table changes. */
void gather_leave(struct request *request);

/*
 * With standing ops, it took more than one READ each, or more time than there was: from here
 * on it is a request as any other, until it is over. Of instances from @begun on no reading was
 * begun; READING_PENDING: of the others, the READ is under way, or is to be posted if the op's
 * stage is OP_FETCH.
 */
void gather_go_on(struct estate_view *view, struct request *request, unsigned int begun);

/* What @op's fetch wants is what it will READ. */
static inline void gather_aim(struct op *op)
{
	op->read.to = op->fetch.to;
	op->read.offset = op->fetch.offset;
	op->read.length = op->fetch.length;
}

#define GATHER_DONE_MAX 32

/* Tell those who wait for what has come, at most so much; how much was it. Begins nothing new. */
ENTRY_INLINE unsigned int gather_take_some(struct estate_view *view)
{
	struct transport_done done[GATHER_DONE_MAX];
	unsigned int count = view->transport->operations->poll(view->io, done, GATHER_DONE_MAX);

	const struct transport_done *next = done;

	for (unsigned int left = count; left; left--, next++) {
		struct arrival *arrival = next->tag;

		arrival->arrived(view, arrival, next->status);
	}
	return count;
}

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
/* Now and then: go on without pages that were waited for too long. */
void gather_hurry(struct estate_view *view, uint64_t now);
/* The same: nobody waits for the pages any more. */
void gather_abandon_pages(struct request *request);

/* One turn of waiting: polls, and may sleep if nothing came for a while. -ETIMEDOUT: it is @until_us. */
int gather_turn(struct estate_view *view, struct gather_patience *patience, uint64_t until_us);

/* Wait until a request is over, which is at its deadline at the latest. */
void gather_wait(struct estate_view *view, struct request *request);

#endif
