/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread's handle for global reads. Takes no lock but when the group has changed. */
#ifndef VIEW_H
#define VIEW_H

#include "lineup.h"
#include "op.h"
#include "pace.h"
#include "reduce.h"
#include "request.h"
#include "store.h"

#include <estate/view.h>

struct estate_view {
	struct estate *es;
	uint32_t deadline_us;
	unsigned int depth; /* of calls that it is in */
	struct pace pace;
	struct lineup *lineup;
	struct reduce_room room;
	struct request call; /* of the calls that wait for their result */
	struct request scan;

	/* For far instances. */
	struct transport *transport; /* NULL: the instance has none */
	struct transport_io *io;
	struct op_pool pools[ESTATE_TABLES_MAX];
	struct op_pool page_pool; /* of verdicts */
	int unsettled; /* a request could go on without a READ that comes */
	struct stripes *stripes; /* of scans */
	struct request *requests; /* under way, the oldest first */
	struct request *idle;
	unsigned int request_count; /* that were made */
	unsigned int request_max;
};

/* A view that the instance's user has no part in, and does not have to close. */
int view_make(struct estate *es, const struct estate_view_attr *attr, struct estate_view **view);
void view_free(struct estate_view *view);

/*
 * Begin a call: take over the newest lineup, see that @request has room for
 * @count keys' results. @no_deadline: what a query without one gets. With a
 * sentence.
 */
int view_begin(struct estate_view *view, struct estate_table *table,
	       const struct estate_query *query, unsigned int count, size_t out_size,
	       uint64_t no_deadline_us, struct request *request);

/*
 * One key, which is ready but for the salt. As estate_query_global(). @readings:
 * of the far instances, NULL if there are none.
 */
int view_get(struct estate_view *view, struct request *request, struct entry_key *key,
	     const struct reading *readings, void *out, struct estate_answer *answer);

/*
 * Read the keys of a request that was begun, and of which out, status and answers
 * are set. 0, or an error shared by all. If there are far instances they are
 * under way then, until gather_wait() or gather_progress() ends the request.
 */
int view_read_keys(struct estate_view *view, struct request *request, const void *const *keys,
		   size_t key_length);

/*
 * Between these two, what the view's io holds stays where it is: the background
 * thread looks at busy after it made something unreachable, the view at the
 * group after it set busy; one of both sees. Calls nest: a scan's visitor may read.
 */
static inline void view_enter(struct estate_view *view)
{
	view->depth++;
	if (!view->io)
		return;
	__atomic_store_n(&view->io->busy, view->depth, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void view_exit(struct estate_view *view)
{
	view->depth--;
	if (view->io)
		__atomic_store_n(&view->io->busy, view->depth, __ATOMIC_RELEASE);
}

/* Whether a member's heart stopped beating. */
static inline int view_stale(const struct roster_entry *entry)
{
	return entry->peer && __atomic_load_n(&entry->peer->stale, __ATOMIC_RELAXED);
}

#endif
