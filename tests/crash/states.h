/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything that memory may be after a loss of power, from what a recorder took
 * down. What was stored and not drained since may be there or not, each line for
 * itself, and any of the versions that a line had since it was drained last. Just
 * before a drain all of that is possible which is at any point since the drain
 * before it; and when a call has returned, more is promised: these are the points
 * that are looked at.
 */
#ifndef STATES_H
#define STATES_H

#include "recorder.h"

/* Of so many combinations all are looked at; of more, so many. */
#define STATES_EXHAUSTIVE 4096

struct states {
	/*
	 * What gets through as a whole: 64, a cache line; or 8, for lines that leave the
	 * cache, or a buffer where stores are combined, when only a part was stored.
	 */
	unsigned int unit;
	unsigned int limit; /* looked at where there are more combinations than that */
	uint64_t random; /* the seed, and what became of it */
	/* So many there were. */
	uint64_t points;
	uint64_t sampled; /* points where not all were looked at */
	uint64_t images;
};

struct states_caller {
	/* The test wrote @note. Whether it promises something, so that this is a point to look at. */
	int (*note)(void *arg, uint64_t note);
	/* Judge an image. Anything but 0 ends it all. */
	int (*check)(void *arg, const unsigned char *image);
	void *arg;
};

/* Of memory that was as @start before. Returns the first that is not 0 of what check() says. */
int states_visit(struct states *states, const struct recorder *recorder, const unsigned char *start,
		 size_t size, const struct states_caller *caller);

uint64_t states_random(uint64_t *state);

#endif
