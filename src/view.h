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

/* Where the values of one key at near instances are read to. */
struct near_room {
	unsigned char *memory;
	size_t size;
};

struct estate_view {
	struct estate *es;
	const uint64_t *generation; /* of the group, now */
	uint32_t deadline_us;
	unsigned int depth; /* of calls that it is in */
	struct pace pace;
	struct lineup *lineup;
	struct near_room near;
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

/* What a global read refuses: -EINVAL, with a sentence. */
int view_refuse(const struct estate_view *view, const struct estate_table *table, const void *key,
		size_t key_length, const void *out);

static inline int view_check(const struct estate_view *view, const struct estate_table *table,
			     const void *key, size_t key_length, const void *out)
{
	if (likely(view && table && key && out && key_length - 1 < table->geometry.key_size))
		return 0;
	return view_refuse(view, table, key, key_length, out);
}

/* Whether the group is still what it was when a request began. */
static inline int view_is_current(const struct estate_view *view, const struct lineup *lineup)
{
	return __atomic_load_n(view->generation, __ATOMIC_ACQUIRE) == lineup->generation;
}

/*
 * See that @request has room for @count keys' results, by the newest lineup, and knows how
 * to make them. With a sentence.
 */
int view_prepare(struct estate_view *view, struct estate_table *table,
		 const struct estate_query *query, unsigned int count, size_t out_size,
		 struct request *request);

/* The same as below, of what is rarely so. */
int view_prepared_anyhow(const struct estate_table *table, const struct estate_query *query,
			 const struct request *request);

/* Whether it is so already: the last call was the same, but for its keys. */
static inline int view_prepared(const struct estate_view *view, const struct estate_table *table,
				const struct estate_query *query, unsigned int count,
				size_t out_size, const struct request *request)
{
	const struct view_query *prepared = &request->query;

	if (unlikely(prepared->table != table || request->lineup != view->lineup ||
		     (count > 1 && count > request->ready) || out_size != request->out_size ||
		     !view_is_current(view, view->lineup)))
		return 0;
	if (!query)
		return prepared->common || view_prepared_anyhow(table, query, request);
	return view_prepared_anyhow(table, query, request);
}

/* Begin a call of @count keys, which ends with the view's deadline if the query does not say. */
static inline int view_begin(struct estate_view *view, struct estate_table *table,
			     const struct estate_query *query, unsigned int count, size_t out_size,
			     struct request *request)
{
	if (unlikely(!view_prepared(view, table, query, count, out_size, request))) {
		int error = view_prepare(view, table, query, count, out_size, request);

		if (error)
			return error;
	}
	request->query.span_us =
		query && query->deadline_us ? query->deadline_us : view->deadline_us;
	request->query.deadline_us = 0;
	return 0;
}

/*
 * By when a request that was begun is to be done. The clock is asked when somebody has to
 * wait: most calls end before anybody does.
 */
static inline uint64_t view_deadline(struct estate_view *view, struct request *request)
{
	if (!request->query.deadline_us)
		request->query.deadline_us = pace_us(&view->pace) + request->query.span_us;
	return request->query.deadline_us;
}

/* Of any length. */
void view_key_any(const struct estate_table *table, const void *bytes, size_t length,
		  struct entry_key *key);

/*
 * Make a key ready for all instances' tables: but for the CRC, which each look makes anew. Whether it is
 * a whole key of two words.
 */
ENTRY_INLINE int view_key(const struct estate_table *table, const void *bytes, size_t length,
			  struct entry_key *key)
{
	const struct geometry *geometry = &table->geometry;

	/* A whole key of constant length: hashing it becomes two dozen instructions. */
	if (unlikely(length != 16 || geometry->key_room != 16)) {
		view_key_any(table, bytes, length, key);
		return 0;
	}
	key->hash = entry_hash(geometry, bytes, 16);
	key->length = 16;
	memcpy(key->words, bytes, 16);
	key->meta = geometry->whole_meta | 16;
	return 1;
}

/* While somebody hands over: what is not counted, or not sure to be, is not there. */
void view_judge(const struct request *request, const struct entry_key *key,
		struct reading *readings);

/* Key @k's readings have all come: make its result. */
void view_reduce(struct estate_view *view, struct request *request, unsigned int k,
		 const struct reading *readings);

/*
 * Read @count keys by a request that was begun for so many, and of which out, status and answers
 * are set. 0, or an error shared by all. If there are far instances they are
 * under way then, until gather_wait() or gather_progress() ends the request.
 */
int view_read_keys(struct estate_view *view, struct request *request, unsigned int count,
		   const void *const *keys, size_t key_length);

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
	__atomic_store_n(&view->io->busy, view->depth, __ATOMIC_RELAXED);
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
