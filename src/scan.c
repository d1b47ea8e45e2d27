// SPDX-License-Identifier: BSD-3-Clause
/*
 * A scan of the global view. Geometry and hash are the same everywhere, so a
 * key has the same home bucket on all instances: home by home, the entries of
 * each instance are collected, and those of one key reduced. No memory grows
 * with the table. Large values are not collected: their keys are, and each is
 * then read over the group.
 */
#include "view.h"

#include "error.h"
#include "gather.h"
#include "handover.h"
#include "stripe.h"
#include "verdict.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* An instance's entry at the home that is looked at. */
struct found {
	struct entry_copy copy;
	unsigned int instance;
	int shown; /* together with the first one of its key */
};

struct scan {
	struct estate_view *view;
	struct request *request;
	struct stripes *stripes; /* NULL: nobody is far */
	unsigned char *out;
	size_t out_size;
	estate_scan_fn *visit;
	void *arg;
	int *why; /* per instance: 0, or why a part of it could not be read */
	unsigned int most; /* instances that any key had */
	int careful; /* somebody hands over: look before and after each home */
	/* The same, if there are far instances. */
	uint64_t lease_us; /* what was read until then needs no look; see handover.h */
	uint64_t look_us; /* when the look in @before began */
	uint64_t next_look_us; /* the same of @after */
	uint64_t window_end; /* the first home that was not read between these two looks */
	struct handover *handovers; /* room for these two */
	struct handover *before;
	struct handover *after;
	struct handover_page *pages; /* as of @after */
	unsigned char *page_memory;
	struct entry_copy *copies; /* of one instance */
	struct found *found; /* of one home, by instance */
	unsigned int count;
	unsigned int room;
};

static int reserve(struct scan *scan, unsigned int room)
{
	struct entry_copy *copies;
	struct found *found;

	if (room <= scan->room)
		return 0;
	copies = realloc(scan->copies, room * sizeof(*copies));
	if (copies)
		scan->copies = copies;
	found = realloc(scan->found, room * sizeof(*found));
	if (found)
		scan->found = found;
	if (!copies || !found)
		return error_set(-ENOMEM, "scan: no memory for %u entries of one bucket", room);
	scan->room = room;
	return 0;
}

/* Where instance @i's buckets are; an error if they cannot be read. */
static int find_source(struct scan *scan, unsigned int i, uint64_t home,
		       struct remote_source *source)
{
	const struct lineup *lineup = scan->request->lineup;
	const struct remote_table *place;
	int error = 0;

	if (lineup_is_far(&lineup->roster->entries[i])) {
		*source = stripes_source(scan->stripes, i, home, &error);
		return error;
	}
	place = lineup_near(scan->request->lineup, scan->request->query.table, i, &error);
	if (!place)
		return error;
	*source = remote_source(place);
	return 0;
}

/* Add instance @i's entries at @home to those of the instances before it. */
static int collect(struct scan *scan, uint64_t home, unsigned int i)
{
	const struct geometry *geometry = &scan->request->query.table->geometry;
	struct remote_source source;
	int found;
	int error = find_source(scan, i, home, &source);

	if (error) {
		if (error != -ENOENT)
			scan->why[i] = error;
		return 0;
	}
	error = reserve(scan, scan->count + 2 * LAYOUT_SLOTS);
	if (error)
		return error;
	for (;;) {
		found = remote_home(&source, home, scan->request->query.deadline_us, scan->copies,
				    scan->room - scan->count);
		if (found < 0) {
			scan->why[i] = found;
			return 0;
		}
		if ((unsigned int)found <= scan->room - scan->count)
			break;
		/* A longer chain than there was room for: once more, with more. */
		error = reserve(scan, scan->count + (unsigned int)found);
		if (error)
			return error;
	}
	for (int c = 0; c < found; c++) {
		struct found *entry = &scan->found[scan->count++];
		const struct entry_copy *copy = &scan->copies[c];

		entry->instance = i;
		entry->shown = 0;
		entry->copy.stamp = copy->stamp;
		entry->copy.meta = copy->meta;
		memcpy(entry->copy.key, copy->key, geometry->key_room);
		memcpy(entry->copy.value, copy->value, geometry->value_room);
	}
	return 0;
}

static int same_key(const struct scan *scan, const struct found *a, const struct found *b)
{
	return META_KEY_LENGTH(a->copy.meta) == META_KEY_LENGTH(b->copy.meta) &&
	       !memcmp(a->copy.key, b->copy.key, scan->request->query.table->geometry.key_room);
}

static int visit(struct scan *scan, const struct found *entry, const struct estate_answer *answer)
{
	if (answer->present > scan->most)
		scan->most = answer->present;
	return scan->visit(entry->copy.key, META_KEY_LENGTH(entry->copy.meta), scan->out,
			   answer->length, answer->present, answer->newest, scan->arg);
}

/* Read a key over the group and show it: for values that are in extents. */
static int show_large(struct scan *scan, const struct found *entry)
{
	/* Stays as it is if the caller's reducer fails, with whatever errno value. */
	struct estate_answer answer = { .present = UINT_MAX };
	struct request *request = scan->request;
	const void *key = entry->copy.key;
	int status = 0;
	int error;

	request->out = scan->out;
	request->status = &status;
	request->answers = &answer;
	error = view_read_keys(scan->view, request, 1, &key, META_KEY_LENGTH(entry->copy.meta));
	if (error)
		return error;
	if (request->lineup->far)
		gather_wait(scan->view, request);
	if (status && answer.present)
		return status;
	for (unsigned int m = 0; m < answer.missing; m++)
		for (unsigned int i = 0; i < request->lineup->roster->count; i++)
			if (request->lineup->roster->entries[i].name == answer.who[m].name)
				scan->why[i] = answer.who[m].why;
	/* Deleted since it was found, if it is not there. */
	return status ? 0 : visit(scan, entry, &answer);
}

/* Reduce what was found of a key, from @first on, and show it. */
static int show(struct scan *scan, unsigned int first)
{
	const struct request *request = scan->request;
	const struct roster *roster = request->lineup->roster;
	struct reduce_room *room = &scan->view->room;
	struct estate_answer answer = { 0 };
	struct reduction reduction;
	int error;

	reduction_start(&reduction, &request->query.reducer, room);
	for (unsigned int f = first; f < scan->count; f++) {
		struct found *entry = &scan->found[f];
		const struct roster_entry *owner = &roster->entries[entry->instance];
		struct layout_extent extent;
		size_t length;

		if (entry->shown || !same_key(scan, &scan->found[first], entry))
			continue;
		entry->shown = 1;
		if (judge_value(&request->query.table->geometry, &entry->copy, &length, &extent) !=
		    FOUND) {
			scan->why[entry->instance] = -EBADMSG;
			continue;
		}
		reduction_add(&reduction, (unsigned char *)entry->copy.value, length,
			      entry->copy.stamp, owner->name, owner->uuid, owner->epoch);
	}
	if (!reduction.present)
		return 0;
	clock_observe(&scan->view->es->clock, reduction.newest);
	answer.present = reduction.present;
	answer.newest = reduction.newest;
	error = reduction_finish(&reduction, scan->out, scan->out_size, &answer.length);
	return error ? error : visit(scan, &scan->found[first], &answer);
}

static int show_all(struct scan *scan)
{
	int large = scan->request->query.table->geometry.blocks > 0;

	for (unsigned int f = 0; f < scan->count; f++) {
		int result;

		if (scan->found[f].shown)
			continue;
		if (large)
			for (unsigned int g = f + 1; g < scan->count; g++)
				if (same_key(scan, &scan->found[f], &scan->found[g]))
					scan->found[g].shown = 1;
		result = large ? show_large(scan, &scan->found[f]) : show(scan, f);
		if (result)
			return result;
	}
	return 0;
}

/* The entries of all instances at @home, of those that count. */
static int collect_all(struct scan *scan, uint64_t home, const struct handover *before)
{
	int result = 0;

	scan->count = 0;
	for (unsigned int i = 0; i < scan->request->lineup->roster->count && !result; i++) {
		if (!before || handover_judge(&before[i], home) == HANDOVER_COUNTS)
			result = collect(scan, home, i);
		else if (before[i].error)
			scan->why[i] = before[i].error;
	}
	return result;
}

/* The same while somebody hands over: until nothing of this home was moved meanwhile. */
static int collect_carefully(struct scan *scan, uint64_t home)
{
	struct request *request = scan->request;
	const struct lineup *lineup = request->lineup;
	const struct estate_table *table = request->query.table;
	int error = request_reserve_handovers(request, lineup->roster->count);
	struct handover *before = request->handovers;
	struct handover *after = before + lineup->roster->count;

	while (!error) {
		handover_look(lineup, table, NULL, NULL, before);
		error = collect_all(scan, home, before);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		handover_look(lineup, table, NULL, NULL, after);
		if (handover_steady(lineup, before, after, home))
			break;
		if (clock_monotonic_us() >= request->query.deadline_us)
			return error_set(
				-ETIMEDOUT,
				"table %s: the scan's deadline passed at bucket %llu, which is "
				"being handed over",
				table->name, (unsigned long long)home);
		sched_yield();
	}
	return error;
}

static int too_late(const struct scan *scan, uint64_t home)
{
	return error_set(-ETIMEDOUT,
			 "table %s: the scan's deadline passed at bucket %llu, which is being "
			 "handed over",
			 scan->request->query.table->name, (unsigned long long)home);
}

/* Read the far ones' pages, and look: to scan->after. @last: NULL, or the look before this one. */
static int look_far(struct scan *scan, const struct handover *last)
{
	struct request *request = scan->request;

	scan->next_look_us = clock_monotonic_us();
	if (verdict_pages(scan->view, request, scan->page_memory, scan->pages))
		return -ETIMEDOUT;
	handover_look(request->lineup, request->query.table, scan->pages, last, scan->after);
	return 0;
}

static int in_time(const struct scan *scan)
{
	return clock_monotonic_us() < scan->look_us + HANDOVER_LEASE_US;
}

/* What the last look said is what the next values are judged by. */
static void go_on_from(struct scan *scan)
{
	struct handover *other = scan->before;

	scan->before = scan->after;
	scan->after = other;
	scan->look_us = scan->next_look_us;
}

/* Read a part of the far tables between two looks: as much of it as one READ takes. */
static int open_window(struct scan *scan, uint64_t home)
{
	int error = 0;

	if (scan->look_us && in_time(scan)) {
		go_on_from(scan);
	} else {
		/* A far record is not sure before it was seen twice. */
		error = look_far(scan, NULL);
		go_on_from(scan);
		if (!error)
			error = look_far(scan, scan->before);
		go_on_from(scan);
	}
	if (error)
		return error;
	if (handover_none(scan->request->lineup, scan->before)) {
		/* That was it. */
		scan->careful = 0;
		scan->lease_us = scan->look_us + HANDOVER_LEASE_US;
		scan->look_us = 0;
		scan->window_end = 0;
		stripes_restart(scan->stripes, home, 0);
		return 0;
	}
	scan->window_end = stripes_window(scan->stripes, home);
	return look_far(scan, scan->before);
}

/* Whether what was collected of @home between the two looks is what counts. */
static int collect_judged(struct scan *scan, uint64_t home, int *steady)
{
	const struct request *request = scan->request;
	uint64_t singles = stripes_singles(scan->stripes);
	int error = collect_all(scan, home, scan->before);

	/* What was not in the stripes was read after the look. */
	if (!error && singles != stripes_singles(scan->stripes))
		error = look_far(scan, scan->before);
	else
		handover_look(request->lineup, request->query.table, scan->pages, scan->before,
			      scan->after);
	*steady = !error && in_time(scan) &&
		  handover_steady(request->lineup, scan->before, scan->after, home);
	return error;
}

static int collect_far_carefully(struct scan *scan, uint64_t home)
{
	int steady = 0;
	int error = 0;

	while (scan->careful && !steady && !error) {
		if (home >= scan->window_end)
			error = open_window(scan, home);
		if (!error && scan->careful)
			error = collect_judged(scan, home, &steady);
		if (!steady)
			scan->window_end = 0;
		if (!steady && clock_monotonic_us() >= scan->request->query.deadline_us)
			error = -ETIMEDOUT;
	}
	return error == -ETIMEDOUT ? too_late(scan, home) : error;
}

/* Whether what was read until now has nothing of an adoption that has begun meanwhile. */
static int is_leased(struct scan *scan)
{
	const struct lineup *lineup = scan->request->lineup;
	uint64_t now = pace_us(&scan->view->pace);

	if (now >= scan->lease_us || handover_in_sight(lineup))
		return 0;
	/* One that begins before the last one has ended goes on where that ends. */
	if (scan->lease_us - now < HANDOVER_LEASE_US / 2) {
		uint64_t next = handover_lease(lineup, scan->request->joined);

		if (next > scan->lease_us)
			scan->lease_us = next;
	}
	return 1;
}

static int collect_far(struct scan *scan, uint64_t home)
{
	int error;

	if (!scan->careful) {
		error = collect_all(scan, home, NULL);
		if (error || is_leased(scan))
			return error;
		/* Whoever shows it may have taken his time: once more, if nobody hands over. */
		scan->lease_us = handover_lease(scan->request->lineup, scan->request->joined);
		if (clock_monotonic_us() < scan->lease_us) {
			stripes_restart(scan->stripes, home, 0);
			error = collect_all(scan, home, NULL);
			if (error || is_leased(scan))
				return error;
		}
		scan->careful = 1;
		scan->look_us = 0;
		scan->window_end = 0;
	}
	error = collect_far_carefully(scan, home);
	return error || scan->careful ? error : collect_far(scan, home);
}

static int collect_home(struct scan *scan, uint64_t home)
{
	int error = 0;

	if (scan->stripes)
		return collect_far(scan, home);
	if (!scan->careful)
		error = collect_all(scan, home, NULL);
	if (!scan->careful && handover_in_sight(scan->request->lineup))
		scan->careful = 1;
	if (!error && scan->careful)
		error = collect_carefully(scan, home);
	return error;
}

static int walk(struct scan *scan)
{
	const struct request *request = scan->request;
	uint64_t homes = request->query.table->geometry.homes;

	for (uint64_t home = 0; home < homes; home++) {
		int result;

		if (home && request->query.deadline_us != UINT64_MAX &&
		    pace_us(&scan->view->pace) >= request->query.deadline_us)
			return error_set(
				-ETIMEDOUT,
				"table %s: the scan's deadline passed at bucket %llu of %llu",
				request->query.table->name, (unsigned long long)home,
				(unsigned long long)homes);
		result = collect_home(scan, home);
		if (!result)
			result = show_all(scan);
		if (result)
			return result;
	}
	return 0;
}

static void tell(struct scan *scan, struct estate_answer *answer)
{
	struct request *request = scan->request;
	const struct roster *roster = request->lineup->roster;

	*answer = (struct estate_answer){ .asked = roster->count,
					  .present = scan->most,
					  .who = request->missing };
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		if (scan->why[i])
			request->missing[answer->missing++] =
				(struct estate_missing){ entry->name, entry->uuid, scan->why[i] };
		else
			answer->stale += (unsigned int)view_stale(entry);
	}
	answer->answered = answer->asked - answer->missing;
}

/*
 * Learn where the far instances have the table, by reading any key of it, and
 * begin to read their buckets.
 */
static int begin_far(struct scan *scan)
{
	static const unsigned char any[ESTATE_KEY_MAX];
	struct request *request = scan->request;
	uint64_t deadline_us = request->query.deadline_us;
	const void *key = any;
	int status;
	int error;

	request->out = scan->out;
	request->status = &status;
	request->answers = NULL;
	/* Without a deadline, whoever does not say so in a second is missing. */
	if (deadline_us == UINT64_MAX)
		request->query.deadline_us = clock_monotonic_us() + 1000000;
	error = view_read_keys(scan->view, request, 1, &key,
			       request->query.table->geometry.key_size);
	if (error)
		return error;
	gather_wait(scan->view, request);
	request->query.deadline_us = deadline_us;
	scan->handovers =
		calloc((size_t)request->lineup->roster->count * 2, sizeof(*scan->handovers));
	scan->pages = calloc(request->lineup->roster->count, sizeof(*scan->pages));
	scan->page_memory =
		aligned_alloc(LAYOUT_PAGE, (size_t)request->lineup->roster->count * LAYOUT_PAGE);
	if (!scan->handovers || !scan->pages || !scan->page_memory)
		return error_set(-ENOMEM, "scan: no memory for %u instances",
				 request->lineup->roster->count);
	scan->before = scan->handovers;
	scan->after = scan->handovers + request->lineup->roster->count;
	/* All that is read is read after this. */
	scan->lease_us = handover_lease(request->lineup, request->joined);
	scan->stripes = stripes_begin(scan->view, request, 0);
	return scan->stripes ? 0 : -ENOMEM;
}

static int run(struct scan *scan, struct estate_table *table, const struct estate_query *query,
	       struct estate_answer *answer)
{
	struct request *request = scan->request;
	int result = reducer_init(&request->query.reducer, &table->geometry, table->custom,
				  table->custom_arg, query);

	if (result)
		return result;
	scan->out_size = reducer_result_size(&request->query.reducer);
	if (scan->out_size < table->geometry.value_size)
		scan->out_size = table->geometry.value_size;
	result = view_begin(scan->view, table, query, 1, scan->out_size, request);
	if (result)
		return result;
	if (query && query->deadline_us)
		view_deadline(scan->view, request);
	else
		request->query.deadline_us = UINT64_MAX;
	scan->out = aligned_alloc(16, (scan->out_size + 15) / 16 * 16);
	scan->why = calloc(request->lineup->roster->count + 1, sizeof(*scan->why));
	if (!scan->out || !scan->why)
		return error_set(-ENOMEM, "scan: no memory for a value of %zu bytes",
				 scan->out_size);
	if (request->lineup->far)
		result = begin_far(scan);
	if (result)
		return result;
	result = walk(scan);
	if (answer)
		tell(scan, answer);
	return result;
}

int estate_scan_global(struct estate_view *view, struct estate_table *table,
		       const struct estate_query *query, estate_scan_fn *show_entry, void *arg,
		       struct estate_answer *answer)
{
	struct scan scan = { .view = view, .visit = show_entry, .arg = arg };
	int result;

	if (!view || !table || !show_entry)
		return error_set(-EINVAL, "estate_scan_global: %s is NULL",
				 !view	  ? "view"
				 : !table ? "table"
					  : "visit");
	scan.request = &view->scan;
	view_enter(view);
	result = run(&scan, table, query, answer);
	view_exit(view);
	free(scan.handovers);
	free(scan.pages);
	free(scan.page_memory);
	free(scan.copies);
	free(scan.found);
	free(scan.why);
	free(scan.out);
	return result;
}
