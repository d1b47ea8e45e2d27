/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether what a request has read of far instances counts every contribution once.
 *
 * Mostly the lease says so, see handover.h, which is one look at the clock. If not,
 * the request reads the first page of every far instance, then all values anew, and
 * the pages again, if need be; each of these has ended before the next one begins.
 */
#ifndef VERDICT_H
#define VERDICT_H

#include "handover.h"
#include "view.h"

/* A request's values are going to be read, for the first time; its lease is as of now, or then. */
void verdict_begin(struct request *request);

/* Whether the lease is good of all whose values were read, of @count keys, at @now_us. */
int verdict_is_leased_by_all(const struct request *request, unsigned int count, uint64_t now_us);

/* For a call that is over when its values have come: whether they are right, by the lease alone. */
static inline int verdict_is_leased(struct estate_view *view, const struct request *request,
				    unsigned int count)
{
	uint64_t now = pace_us(&view->pace);

	return likely(!handover_in_sight(request->lineup)) &&
	       (likely(now < request->lease_us) || verdict_is_leased_by_all(request, count, now));
}

/* Whether pages are read now, and not values. */
static inline int verdict_looks(const struct request *request)
{
	return request->phase == REQUEST_LOOKS || request->phase == REQUEST_LOOKS_AGAIN;
}

/* Begin to read the pages that have not been begun. 0: all were; -EAGAIN: no room now. */
int verdict_look(struct estate_view *view, struct request *request);

/* All values were read. 1: and they are right; 0: the pages are to be read now. */
int verdict_of_values(struct estate_view *view, struct request *request);

/* All pages have come. 1: the values are right; 0: pages or values are to be read now. */
int verdict_of_look(struct estate_view *view, struct request *request);

/*
 * For a scan, which waits: the pages of all far instances, copied to @memory, LAYOUT_PAGE bytes for
 * each of the roster; @pages says of whom. 0; -ETIMEDOUT: not by the query's deadline.
 */
int verdict_pages(struct estate_view *view, struct request *request, unsigned char *memory,
		  struct handover_page *pages);

/*
 * There is no time to find out: what was right but for those who are missing is the result, or else
 * nothing counts of those of whom it is not sure without READs.
 */
void verdict_late(struct estate_view *view, struct request *request);

#endif
