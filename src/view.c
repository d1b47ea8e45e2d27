// SPDX-License-Identifier: BSD-3-Clause
#include "view.h"

#include "error.h"
#include "gather.h"
#include "handover.h"

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

int view_begin(struct estate_view *view, struct estate_table *table,
	       const struct estate_query *query, unsigned int count, size_t out_size,
	       uint64_t no_deadline_us, struct request *request)
{
	struct lineup *lineup;
	uint32_t deadline_us;
	size_t result_size;
	int error;

	if (table->es != view->es)
		return error_set(-EINVAL, "table %s belongs to another instance than the view",
				 table->name);
	error = reducer_init(&request->query.reducer, &table->geometry, table->custom,
			     table->custom_arg, query);
	if (error)
		return error;
	result_size = reducer_result_size(&request->query.reducer);
	if (result_size > out_size)
		return error_set(-EMSGSIZE, "the result has %zu bytes, there is room for %zu",
				 result_size, out_size);
	if (unlikely(group_generation(view->es->group) != view->lineup->generation)) {
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
	if (!error)
		error = request_reserve(request, count, lineup->roster->count, lineup->far > 0);
	if (!error)
		error = reduce_room_reserve(&view->room, &request->query.reducer,
					    lineup->roster->count, out_size);
	if (error)
		return error;
	request->missing_count = 0;
	request->count = count;
	request->out_size = out_size;
	request->query.table = table;
	deadline_us = query ? query->deadline_us : 0;
	request->query.deadline_us =
		deadline_us ? pace_us(&view->pace) + deadline_us : no_deadline_us;
	return 0;
}

/* One instance's value, to where the reduction wants it. 0, -ENOENT, or why it is missing. */
static int read_near(struct request *request, unsigned int i, struct entry_key *key,
		     struct remote_value *value)
{
	const struct estate_table *table = request->query.table;
	const struct remote_table *place;
	int error;

	if (request->lineup->roster->entries[i].self) {
		entry_key_salt(key, table->salt, table->geometry.key_room / 8);
		return table_get(table, key, value->data, table->geometry.value_size,
				 &value->length, &value->stamp);
	}
	place = lineup_near(request->lineup, table, i, &error);
	if (!place)
		return error;
	entry_key_salt(key, place->salt, table->geometry.key_room / 8);
	return remote_get(place, key, request->query.deadline_us, value);
}

static int take_reading(const struct reading *reading, struct remote_value *value)
{
	const struct fetch *fetch;

	if (reading->error)
		return reading->error;
	fetch = &reading->op->fetch;
	memcpy(value->data, fetch->value, fetch->value_length);
	value->length = fetch->value_length;
	value->stamp = fetch->stamp;
	return 0;
}

int view_get(struct estate_view *view, struct request *request, struct entry_key *key,
	     const struct reading *readings, void *out, struct estate_answer *answer)
{
	const struct roster *roster = request->lineup->roster;
	struct estate_missing *who = request->missing + request->missing_count;
	struct estate_answer result = { .asked = roster->count, .who = who };
	const struct reducer *reducer = &request->query.reducer;
	struct reduction reduction;
	int error;

	reduction_start(&reduction, reducer, &view->room);
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];
		struct remote_value value = { .data = reduction.next };
		enum handover_finding found = HANDOVER_COUNTS;

		if (unlikely(request->before != NULL))
			found = handover_judge(&request->before[i],
					       geometry_home(reducer->geometry, key->hash));
		if (unlikely(found != HANDOVER_COUNTS))
			error = found == HANDOVER_TAKEN	    ? -ENOENT
				: found == HANDOVER_MISSING ? request->before[i].error
							    : -EAGAIN;
		else if (!readings || readings[i].error == READING_NEAR)
			error = read_near(request, i, key, &value);
		else
			error = take_reading(&readings[i], &value);
		if (likely(!error)) {
			reduction_add(&reduction, value.length, value.stamp, entry->name,
				      entry->uuid, entry->epoch);
		} else if (error != -ENOENT) {
			who[result.missing++] =
				(struct estate_missing){ entry->name, entry->uuid, error };
			continue;
		}
		result.answered++;
		result.stale += (unsigned int)view_stale(entry);
	}
	request->missing_count += result.missing;
	result.present = reduction.present;
	result.oldest = reduction.oldest;
	result.newest = reduction.newest;
	if (reduction.present) {
		clock_observe(&view->es->clock, reduction.newest);
		error = reduction_finish(&reduction, &view->room, out, request->out_size,
					 &result.length);
	} else if (result.missing) {
		error = error_set(
			-EHOSTDOWN,
			"table %s: %u of %u instances do not have the key, %s and %u more did "
			"not answer: look at the answer's who",
			request->query.table->name, result.answered, result.asked, who[0].name,
			result.missing - 1);
	} else {
		error = error_literal(-ENOENT, "no instance has the key");
	}
	if (answer && (!error || (!reduction.present)))
		*answer = result;
	return error;
}

/* All keys, once, from instances that are all near. */
static void read_all(struct estate_view *view, struct request *request, const void *const *keys,
		     size_t key_length)
{
	request->missing_count = 0;
	for (unsigned int k = 0; k < request->count; k++) {
		struct entry_key words;

		table_key(request->query.table, keys[k], key_length, &words);
		request->status[k] =
			view_get(view, request, &words, NULL, request->out + k * request->out_size,
				 request->answers ? &request->answers[k] : NULL);
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
		if (pace_us(&view->pace) >= request->query.deadline_us) {
			if (!held)
				read_what_is_sure(view, request, keys, key_length, before);
			break;
		}
		sched_yield();
	}
	request->before = NULL;
	return 0;
}

int view_read_keys(struct estate_view *view, struct request *request, const void *const *keys,
		   size_t key_length)
{
	const struct estate_table *table = request->query.table;

	if (likely(!request->lineup->far)) {
		int error = 0;

		read_all(view, request, keys, key_length);
		if (unlikely(handover_in_sight(request->lineup)))
			error = read_carefully(view, request, keys, key_length);
		if (error)
			return error;
		request->unfinished = 0;
		request->begun = (size_t)request->count * request->lineup->roster->count;
		return 0;
	}
	for (unsigned int k = 0; k < request->count; k++)
		table_key(table, keys[k], key_length, &request->keys[k].words);
	return gather_begin(view, request);
}
