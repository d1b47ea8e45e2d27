/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The buckets of a table on far instances, in the order of a scan: read ahead in
 * large READs, several of them under way for each instance. What is torn in
 * them, or leads out of them, is read again by itself.
 */
#ifndef STRIPE_H
#define STRIPE_H

#include "view.h"

struct stripes;

/*
 * For a scan by @request from @home on, which was begun, and of which the far places are known.
 * Of a view there is one at a time: the last one's memory is used again. NULL
 * with a sentence.
 */
struct stripes *stripes_begin(struct estate_view *view, struct request *request, uint64_t home);

/* Whether READs of the view's stripes are under way. */
int stripes_busy(const struct estate_view *view);

/* Read everything from @home on anew: so many stripes ahead; 0: as many as are good. */
void stripes_restart(struct stripes *stripes, uint64_t home, unsigned int ahead);

/* One stripe from @home on, which has come when this returns: with all homes before the result. */
uint64_t stripes_window(struct stripes *stripes, uint64_t home);

/* How many READs there were of what was torn in a stripe, or not in it. */
uint64_t stripes_singles(const struct stripes *stripes);

/* The first @length bytes of a block of far instance @i. 0 or an error. */
int stripes_extent(struct stripes *stripes, unsigned int i, uint64_t block, uint32_t length,
		   unsigned char *value);

/*
 * Far instance @i's buckets for @home, which never is lower than at the last
 * call. *@error: why it cannot be read, -ENOENT if it has no such table.
 */
struct remote_source stripes_source(struct stripes *stripes, unsigned int i, uint64_t home,
				    int *error);

#endif
