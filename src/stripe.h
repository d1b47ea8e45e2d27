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
 * For a scan by @request, which was begun, and of which the far places are known.
 * Of a view there is one at a time: the last one's memory is used again. NULL
 * with a sentence.
 */
struct stripes *stripes_begin(struct estate_view *view, struct request *request);

/*
 * Far instance @i's buckets for @home, which never is lower than at the last
 * call. *@error: why it cannot be read, -ENOENT if it has no such table.
 */
struct remote_source stripes_source(struct stripes *stripes, unsigned int i, uint64_t home,
				    int *error);

#endif
