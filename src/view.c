// SPDX-License-Identifier: BSD-3-Clause
#include "view.h"

#include "error.h"
#include "gather.h"
#include "handover.h"
#include "near.h"
#include "result.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_DEFAULT_US 10000
#define REQUESTS_DEFAULT 16

/* If there are, or may be, instances that are far. */
static int open_io(struct estate_view *view)
{
	int error;

	view->transport = group_transport(view->es->group);
	if (!view->transport || view->io)
		return 0;
	error = group_io_open(view->es->group, &view->io);
	/* The call that it is opened in began without it. */
	if (!error)
		__atomic_store_n(&view->io->busy, view->depth, __ATOMIC_SEQ_CST);
	return error;
}

/* Take over the group as it is now. */
static int renew_lineup(struct estate_view *view)
{
	struct lineup *lineup;

	lineup = lineup_make(view->es, view->io, view->lineup);
	if (!lineup)
		return error_set(-ENOMEM, "no memory for a view of the group");
	lineup_release(view->lineup);
	view->lineup = lineup;
	/* What nobody needs any more must not hold on to the peers of old. */
	for (struct request *r = view->idle; r; r = r->next) {
		lineup_release(r->lineup);
		r->lineup = NULL;
	}
	return 0;
}

int view_make(struct estate *es, const struct estate_view_attr *attr, struct estate_view **result)
{
	struct estate_view *view = calloc(1, sizeof(*view));
	int error = 0;

	if (!view)
		return error_set(-ENOMEM, "estate_view_open: no memory");
	view->es = es;
	view->generation = group_generation(es->group);
	view->deadline_us = attr && attr->deadline_us ? attr->deadline_us : DEADLINE_DEFAULT_US;
	view->request_max = attr && attr->requests ? attr->requests : REQUESTS_DEFAULT;
	error = open_io(view);
	if (!error)
		error = renew_lineup(view);
	if (error) {
		if (view->io)
			group_io_close(es->group, view->io);
		free(view);
		return error;
	}
	*result = view;
	return 0;
}

int estate_view_open(struct estate *es, const struct estate_view_attr *attr,
		     struct estate_view **result)
{
	int error;

	if (!es || !result)
		return error_set(-EINVAL, "estate_view_open: %s is NULL", es ? "view" : "es");
	if (attr && attr->size != sizeof(*attr))
		return error_set(
			-EINVAL,
			"estate_view_open: attr's size is %zu, this library expects %zu: start "
			"from ESTATE_VIEW_ATTR_INIT, built with the same headers",
			attr->size, sizeof(*attr));
	error = view_make(es, attr, result);
	if (!error)
		__atomic_add_fetch(&es->views, 1, __ATOMIC_ACQ_REL);
	return error;
}

static void free_requests(struct request *request)
{
	while (request) {
		struct request *next = request->next;

		request_free(request);
		free(request);
		request = next;
	}
}

void view_free(struct estate_view *view)
{
	if (view->io)
		group_io_close(view->es->group, view->io);
	for (unsigned int t = 0; t < ESTATE_TABLES_MAX; t++)
		op_pool_free(&view->pools[t]);
	op_pool_free(&view->page_pool);
	free(view->stripes);
	free_requests(view->requests);
	free_requests(view->idle);
	request_free(&view->call);
	request_free(&view->scan);
	lineup_release(view->lineup);
	free(view->near.memory);
	reduce_room_free(&view->room);
	free(view);
}

void estate_view_close(struct estate_view *view)
{
	if (!view)
		return;
	__atomic_sub_fetch(&view->es->views, 1, __ATOMIC_ACQ_REL);
	view_free(view);
}

int view_refuse(const struct estate_view *view, const struct estate_table *table, const void *key,
		size_t key_length, const void *out)
{
	if (!view || !table || !key || !out)
		return error_set(-EINVAL, "global read: %s is NULL",
				 !view	  ? "view"
				 : !table ? "table"
				 : !key	  ? "key"
					  : "out");
	return error_set(-EINVAL, "table %s: a key of %zu bytes, must be 1 to %u", table->name,
			 key_length, table->geometry.key_size);
}

void view_key_any(const struct estate_table *table, const void *bytes, size_t length,
		  struct entry_key *key)
{
	entry_key_init(key, &table->geometry, table->salt, bytes, length,
		       table->geometry.key_room / 8);
}

int view_prepared_anyhow(const struct estate_table *table, const struct estate_query *query,
			 const struct request *request)
{
	const struct view_query *prepared = &request->query;

	/* The table's own function may be another one by now. */
	if (prepared->reduce == ESTATE_REDUCE_MERGE &&
	    (prepared->reducer.call != table->custom || prepared->reducer.arg != table->custom_arg))
		return 0;
	if (!query)
		return prepared->reduce == ESTATE_REDUCE_MERGE;
	return query->size == sizeof(*query) && query->reduce == prepared->reduce &&
	       query->call == prepared->call && query->arg == prepared->arg;
}

int view_prepare(struct estate_view *view, struct estate_table *table,
		 const struct estate_query *query, unsigned int count, size_t out_size,
		 struct request *request)
{
	struct view_query *prepared = &request->query;
	struct lineup *lineup;
	size_t result_size;
	int error;

	gather_leave(request);
	prepared->table = NULL;
	if (table->es != view->es)
		return error_set(-EINVAL, "table %s belongs to another instance than the view",
				 table->name);
	error = reducer_init(&prepared->reducer, &table->geometry, table->custom, table->custom_arg,
			     query);
	if (error)
		return error;
	result_size = reducer_result_size(&prepared->reducer);
	if (result_size > out_size)
		return error_set(-EMSGSIZE, "the result has %zu bytes, there is room for %zu",
				 result_size, out_size);
	if (!view_is_current(view, view->lineup)) {
		error = open_io(view);
		if (!error)
			error = renew_lineup(view);
		if (error)
			return error;
	}
	lineup = view->lineup;
	if (request->lineup != lineup) {
		lineup_release(request->lineup);
		request->lineup = lineup;
		lineup->references++;
	}
	error = lineup_reserve(lineup, table);
	if (!error && lineup->far < lineup->count)
		error = near_reserve(&view->near, table, lineup->count);
	if (!error)
		error = request_reserve(request, count ? count : 1, lineup->count, lineup->far > 0);
	if (!error)
		error = reduce_room_reserve(&view->room, &prepared->reducer, lineup->count,
					    out_size);
	if (error)
		return error;
	request->ready = count;
	request->out_size = out_size;
	prepared->table = table;
	prepared->reduce = query ? query->reduce : ESTATE_REDUCE_MERGE;
	prepared->common = prepared->reduce == ESTATE_REDUCE_MERGE && prepared->reducer.plain;
	prepared->call = query ? query->call : NULL;
	prepared->arg = query ? query->arg : NULL;
	return 0;
}

void view_judge(const struct request *request, const struct entry_key *key,
		struct reading *readings)
{
	uint64_t home = geometry_home(&request->query.table->geometry, key->hash);

	for (unsigned int i = 0; i < request->lineup->count; i++) {
		switch (handover_judge(&request->before[i], home)) {
		case HANDOVER_COUNTS:
			break;
		case HANDOVER_TAKEN:
			readings[i].error = -ENOENT;
			break;
		case HANDOVER_MISSING:
			readings[i].error = request->before[i].error;
			break;
		default:
			readings[i].error = -EAGAIN;
			break;
		}
	}
}

void view_reduce(struct estate_view *view, struct request *request, unsigned int k,
		 const struct reading *readings)
{
	request->status[k] =
		result_make(view, request, readings, request->out + k * request->out_size,
			    request->answers ? &request->answers[k] : NULL);
}

/* All keys, once, from instances that are all near. */
static void read_all(struct estate_view *view, struct request *request, const void *const *keys,
		     size_t key_length)
{
	request->missing_count = 0;
	for (unsigned int first = 0; first < request->count; first += REQUEST_NEAR) {
		unsigned int count = request->count - first;

		if (count > REQUEST_NEAR)
			count = REQUEST_NEAR;
		for (unsigned int k = 0; k < count; k++) {
			struct entry_key *key = &request->keys[k].words;

			view_key(request->query.table, keys[first + k], key_length, key);
			near_locate(request, key, request_readings(request, k));
		}
		for (unsigned int k = 0; k < count; k++) {
			struct entry_key *key = &request->keys[k].words;
			struct reading *readings = request_readings(request, k);

			for (unsigned int i = 0; i < request->lineup->count; i++)
				readings[i].error = READING_NEAR;
			near_read(view, request, key, readings);
			if (unlikely(request->before != NULL))
				view_judge(request, key, readings);
			view_reduce(view, request, first + k, readings);
		}
	}
}

/* What counted of each key's home before it was read was nobody else's until now; and nobody was missing. */
static int all_held(const struct request *request, const void *const *keys, size_t key_length,
		    const struct handover *after, int *sure)
{
	const struct geometry *geometry = &request->query.table->geometry;

	*sure = 1;
	for (unsigned int k = 0; k < request->count; k++) {
		uint64_t home = geometry_home(geometry, entry_hash(geometry, keys[k], key_length));

		if (!handover_held(request->lineup, request->before, after, home))
			return 0;
		*sure &= handover_sure(request->lineup, request->before, home);
	}
	return 1;
}

/* At the deadline: nothing counts of those of whom it is not sure. */
static void read_what_is_sure(struct estate_view *view, struct request *request,
			      const void *const *keys, size_t key_length, struct handover *now)
{
	do {
		handover_look(request->lineup, request->query.table, NULL, NULL, now);
		for (unsigned int i = 0; i < request->lineup->roster->count; i++)
			now[i].unsure = 1;
		read_all(view, request, keys, key_length);
	} while (handover_changed(request->lineup, now));
}

/*
 * The same while somebody hands over: until nothing of it was moved meanwhile. At the
 * deadline, an instance of which something still is on its way is missing (-EAGAIN).
 */
static __attribute__((noinline)) int read_carefully(struct estate_view *view,
						    struct request *request,
						    const void *const *keys, size_t key_length)
{
	const struct lineup *lineup = request->lineup;
	struct handover *before;
	struct handover *after;
	int error = request_reserve_handovers(request, lineup->roster->count);

	if (error)
		return error;
	before = request->handovers;
	after = before + lineup->roster->count;
	request->before = before;
	for (;;) {
		int held;
		int sure;

		handover_look(lineup, request->query.table, NULL, NULL, before);
		read_all(view, request, keys, key_length);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		handover_look(lineup, request->query.table, NULL, NULL, after);
		held = all_held(request, keys, key_length, after, &sure);
		if (held && sure)
			break;
		if (pace_us(&view->pace) >= view_deadline(view, request)) {
			if (!held)
				read_what_is_sure(view, request, keys, key_length, before);
			break;
		}
		sched_yield();
	}
	request->before = NULL;
	return 0;
}

int view_read_keys(struct estate_view *view, struct request *request, unsigned int count,
		   const void *const *keys, size_t key_length)
{
	const struct estate_table *table = request->query.table;

	request->count = count;
	request->missing_count = 0;
	if (likely(!request->lineup->far)) {
		int error = 0;

		read_all(view, request, keys, key_length);
		if (unlikely(handover_in_sight(request->lineup)))
			error = read_carefully(view, request, keys, key_length);
		if (error)
			return error;
		request->unfinished = 0;
		request->begun = request->count;
		return 0;
	}
	for (unsigned int k = 0; k < request->count; k++) {
		view_key(table, keys[k], key_length, &request->keys[k].words);
		request->keys[k].pending = 1;
	}
	return gather_begin(view, request);
}
