// SPDX-License-Identifier: BSD-3-Clause
#include "verdict.h"

#include "gather.h"
#include "handover.h"
#include "near.h"

#include <errno.h>
#include <string.h>

#define PATIENCE_MAX_US 100000

/* The next thing to do: whoever posts READs is to begin anew. */
static void enter(struct request *request, enum request_phase phase)
{
	request->phase = phase;
	request->turn++;
	request->page_next = 0;
	request->pages_pending = 1;
}

void verdict_begin(struct request *request)
{
	request->before = NULL;
	request->looked = 0;
	request->partial = 0;
	enter(request, request->lease_us && !request->distrusted ? REQUEST_READS : REQUEST_LOOKS);
	request->distrusted = 0;
}

int verdict_is_leased_by_all(const struct request *request, unsigned int count, uint64_t now_us)
{
	unsigned int far = 0;

	if (!request->lease_us)
		return 0;
	for (unsigned int i = 0; i < request->lineup->count; i++) {
		if (!lineup_is_far(&request->lineup->roster->entries[i]) ||
		    now_us < request->joined[far++] + HANDOVER_LEASE_US)
			continue;
		/* Unless nothing of it counts: it may be dead since. */
		for (unsigned int k = 0; k < count; k++) {
			int error = request_readings(request, k)[i].error;

			if (!error || error == -ENOENT)
				return 0;
		}
	}
	return 1;
}

static void page_arrived(struct estate_view *view, struct arrival *arrival, int error)
{
	struct op *op = (struct op *)arrival;
	struct request *request = op->request;
	struct reading *page;

	if (!request) {
		op->endpoint->overdue--;
		op_give(op);
		return;
	}
	page = op->reading;
	page->error = error;
	if (error) {
		page->op = NULL;
		op_give(op);
	}
	gather_looked(view, request);
}

/* Begin to read instance @i's page. 0: begun, or it cannot be read; -EAGAIN: no room now. */
static int read_page(struct estate_view *view, struct request *request, unsigned int i)
{
	struct reading *page = &request->pages[i];
	struct op *op;
	int error;

	*page = (struct reading){ .error = READING_NEAR };
	if (!lineup_is_far(&request->lineup->roster->entries[i]))
		return 0;
	/* Whoever did not answer does not count any more. */
	if (request->before && request->before[i].error) {
		page->error = request->before[i].error;
		return 0;
	}
	if (!view->page_pool.free_count) {
		page->error = op_pool_reserve_more(&view->page_pool, view->transport, view->io,
						   LAYOUT_PAGE, 1, page_arrived);
		if (page->error)
			return 0;
	}
	op = op_take(&view->page_pool);
	page->error = gather_endpoint(view, request, i, &op->endpoint);
	if (page->error) {
		op_give(op);
		return 0;
	}
	op->request = request;
	op->reading = page;
	op->read.to = op->room;
	op->read.offset = 0;
	op->read.length = LAYOUT_PAGE;
	error = view->transport->operations->read(view->io, op->endpoint, &op->read);
	if (error) {
		op_give(op);
		page->error = error;
		return error == -EAGAIN ? error : 0;
	}
	*page = (struct reading){ .op = op, .error = READING_PENDING };
	request->pages_pending++;
	return 0;
}

/* Somebody who is dead must not take the time that is needed for all others. */
static uint64_t patience(struct estate_view *view, struct request *request)
{
	uint64_t until_us = view_deadline(view, request);
	uint64_t left;

	/* There is a result already, and a better one takes all of them. */
	if (request->partial)
		return UINT32_MAX;
	left = until_us > request->look_us ? until_us - request->look_us : 0;

	return left / 2 < PATIENCE_MAX_US ? left / 2 : PATIENCE_MAX_US;
}

int verdict_look(struct estate_view *view, struct request *request)
{
	unsigned int turn = request->turn;

	if (!request->page_next) {
		request->last_look_us = request->look_us;
		request->look_us = pace_us(&view->pace);
		request->patience_us = request->look_us + patience(view, request);
	}
	for (; request->page_next < request->lineup->roster->count; request->page_next++)
		if (read_page(view, request, request->page_next))
			return -EAGAIN;
	/* Once: what this sentinel stood for has all been begun. */
	if (request->turn == turn && request->page_next == request->lineup->roster->count) {
		request->page_next++;
		gather_looked(view, request);
	}
	return 0;
}

/* What the pages say, now that all have come: to @now. */
static int look(struct request *request, const struct handover *last, struct handover *now)
{
	const struct roster *roster = request->lineup->roster;
	struct handover_page *pages = request->look_pages;

	for (unsigned int i = 0; i < roster->count; i++) {
		const struct reading *page = &request->pages[i];

		pages[i] = (struct handover_page){ page->op ? page->op->room : NULL, page->error };
	}
	handover_look(request->lineup, request->query.table, pages, last, now);
	for (unsigned int i = 0; i < roster->count; i++)
		if (request->pages[i].op)
			op_give(request->pages[i].op);
	return handover_none(request->lineup, now);
}

/* The looks that are kept: the latest one, and the one before it. */
static struct handover *kept(const struct request *request, unsigned int which)
{
	return request->handovers + which * request->handover_room;
}

static uint64_t home_of(const struct request *request, unsigned int k)
{
	return geometry_home(&request->query.table->geometry, request->keys[k].words.hash);
}

static int all_sure(const struct request *request, const struct handover *at)
{
	for (unsigned int k = 0; k < request->count; k++)
		if (!handover_sure(request->lineup, at, home_of(request, k)))
			return 0;
	return 1;
}

static int all_held(const struct request *request, const struct handover *after)
{
	for (unsigned int k = 0; k < request->count; k++)
		if (!handover_held(request->lineup, request->before, after, home_of(request, k)))
			return 0;
	return 1;
}

/* Values that are read from now on are judged by @before. */
static int read_values(struct request *request, const struct handover *before)
{
	request->before = before;
	request->partial = 0;
	request->lease_us = request->look_us + HANDOVER_LEASE_US;
	enter(request, REQUEST_READS);
	return 0;
}

int verdict_of_values(struct estate_view *view, struct request *request)
{
	int in_time = pace_us(&view->pace) < request->lease_us;
	int right = request->before ? in_time && !handover_in_sight(request->lineup) &&
					      handover_none(request->lineup, request->before)
				    : verdict_is_leased(view, request, request->count);

	/* Nobody was sealed, and whoever is now is not being adopted yet. */
	if (likely(right)) {
		request->before = NULL;
		return 1;
	}
	if (!request->before || !in_time) {
		request->before = NULL;
		request->looked = 0;
		enter(request, REQUEST_LOOKS);
	} else {
		enter(request, REQUEST_LOOKS_AGAIN);
	}
	return 0;
}

int verdict_of_look(struct estate_view *view, struct request *request)
{
	int again = request->phase == REQUEST_LOOKS_AGAIN;
	struct handover *last = kept(request, request->latest);
	struct handover *now = kept(request, !request->latest);
	int in_time = pace_us(&view->pace) < request->last_look_us + HANDOVER_LEASE_US;
	int none;

	/* What was seen so long ago may have been anything since. */
	if (request->looked && !in_time)
		request->looked = 0;
	none = look(request, request->looked ? last : NULL, now);
	request->latest = !request->latest;
	if (again && in_time && all_held(request, now)) {
		/* Right, but for those who are missing: if there is time, until nobody is. */
		request->partial = !all_sure(request, request->before);
		if (!request->partial) {
			request->before = NULL;
			return 1;
		}
	}
	/* A far record is not sure before it was seen twice, and there may be one. */
	if (none || (request->looked++ && (!request->partial || all_sure(request, now))))
		return read_values(request, now);
	enter(request, REQUEST_LOOKS);
	return 0;
}

int verdict_pages(struct estate_view *view, struct request *request, unsigned char *memory,
		  struct handover_page *pages)
{
	const struct roster *roster = request->lineup->roster;
	struct gather_patience patience = { 0 };

	enter(request, REQUEST_SCANS);
	while (verdict_look(view, request) || request->pages_pending) {
		view->transport->operations->flush(view->io);
		if (gather_turn(view, &patience, view_deadline(view, request))) {
			gather_abandon_pages(request);
			return -ETIMEDOUT;
		}
	}
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct reading *page = &request->pages[i];

		pages[i] = (struct handover_page){ NULL, page->error };
		if (!page->op)
			continue;
		pages[i].memory =
			memcpy(memory + (size_t)i * LAYOUT_PAGE, page->op->room, LAYOUT_PAGE);
		op_give(page->op);
	}
	return 0;
}

/* Of those whose memory is mapped: whoever is sealed is not sure. */
static void look_near(struct request *request, struct handover *now)
{
	const struct roster *roster = request->lineup->roster;
	struct handover_page *pages = request->look_pages;

	for (unsigned int i = 0; i < roster->count; i++)
		pages[i] = (struct handover_page){ NULL, -EAGAIN };
	handover_look(request->lineup, request->query.table, pages, NULL, now);
	for (unsigned int i = 0; i < roster->count; i++)
		now[i].unsure = 1;
}

/* A key of those who are mapped, and what is known of all others. */
static void read_near(struct estate_view *view, struct request *request, unsigned int k)
{
	struct entry_key *key = &request->keys[k].words;
	struct reading *readings = request_readings(request, k);

	for (unsigned int i = 0; i < request->lineup->count; i++)
		readings[i] = (struct reading){
			.error = lineup_is_far(&request->lineup->roster->entries[i]) ? -EAGAIN
										     : READING_NEAR,
		};
	near_locate(request, key, readings);
	near_read(view, request, key, readings);
	view_judge(request, key, readings);
	view_reduce(view, request, k, readings);
}

void verdict_late(struct estate_view *view, struct request *request)
{
	struct handover *now = kept(request, 1);

	request->before = NULL;
	if (request->partial)
		return;
	request->before = now;
	do {
		look_near(request, now);
		request->missing_count = 0;
		for (unsigned int k = 0; k < request->count; k++)
			read_near(view, request, k);
	} while (handover_changed(request->lineup, now));
	request->before = NULL;
}
