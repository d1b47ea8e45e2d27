// SPDX-License-Identifier: BSD-3-Clause
#include "gather.h"

#include "error.h"
#include "verdict.h"

#include <errno.h>
#include <string.h>

/*
 * Polling costs a core; to sleep and be woken costs five system calls, which is more
 * than a READ takes on a good network, and about as much as on a slow one.
 */
#define SPIN_US 200
#define SPINS_PER_LOOK 16 /* at the time */

/* READs of a device that is gone are given up without an event: look again after so long. */
#define NAP_US 100000

/* An instance whose READs are overdue for so long holds nobody up any more. */
#define PATIENCE_US 1000

#define DONE_MAX 32
#define TURNS_AT_ONCE 4

/* What was read so often without verifying did not miss the deadline: it is damaged. */
#define DAMAGED_ATTEMPTS 64

static struct reading *reading_at(struct request *request, unsigned int key, unsigned int instance)
{
	return &request->readings[(size_t)key * request->lineup->roster->count + instance];
}

/* Read all values, for the first time or once more. */
static void begin_values(struct request *request)
{
	request->begun = 0;
	request->keys_left = request->count;
	request->missing_count = 0;
	for (unsigned int k = 0; k < request->count; k++)
		request->keys[k].pending = 1;
}

static void finish_key(struct estate_view *view, struct request *request, unsigned int k)
{
	struct reading *readings = reading_at(request, k, 0);

	request->status[k] = view_get(view, request, &request->keys[k].words, readings,
				      request->out + k * request->out_size,
				      request->answers ? &request->answers[k] : NULL);
	for (unsigned int i = 0; i < request->lineup->roster->count; i++)
		if (readings[i].op)
			op_give(readings[i].op);
	if (--request->keys_left)
		return;
	if (likely(verdict_of_values(view, request)))
		request->unfinished = 0;
}

void gather_looked(struct estate_view *view, struct request *request)
{
	if (--request->pages_pending || request->phase == REQUEST_SCANS)
		return;
	if (verdict_of_look(view, request))
		request->unfinished = 0;
	else if (!verdict_looks(request))
		begin_values(request);
}

static void finish_reading(struct estate_view *view, struct op *op, int error)
{
	struct request *request = op->request;
	struct reading *reading = reading_at(request, op->key, op->instance);

	reading->error = error;
	if (error) {
		reading->op = NULL;
		op_give(op);
	}
	if (!--request->keys[op->key].pending)
		finish_key(view, request, op->key);
}

static int post(struct estate_view *view, struct op *op, void *to, uint64_t offset, uint32_t length)
{
	const struct transport_read read = { op->landing, to, offset, length, &op->arrival };

	return view->transport->operations->read(view->io, op->endpoint, &read);
}

static int post_fetch(struct estate_view *view, struct op *op)
{
	op->stage = OP_FETCH;
	return post(view, op, op->fetch.to, op->fetch.offset, op->fetch.length);
}

static int post_header(struct estate_view *view, struct op *op)
{
	op->stage = OP_HEADER;
	return post(view, op, op->room, 0, sizeof(struct layout_header));
}

/* So many entries of a directory fit into an op's room. */
static unsigned int directory_batch(const struct op *op)
{
	unsigned int fit = (unsigned int)(op->pool->stride / sizeof(struct layout_table));
	unsigned int left = op->tables - op->table;

	return left < fit ? left : fit;
}

static int post_directory(struct estate_view *view, struct op *op)
{
	op->stage = OP_DIRECTORY;
	return post(view, op, op->room, LAYOUT_DIRECTORY + op->table * sizeof(struct layout_table),
		    directory_batch(op) * (uint32_t)sizeof(struct layout_table));
}

static void begin_fetch(struct op *op, const struct view_place *place)
{
	const struct entry_key *key = &op->request->keys[op->key].words;

	fetch_begin(&op->fetch, &place->far, key, place_position(place, key->hash), op->room);
}

/* The place is known. 0: a READ is posted. */
static int read_key(struct estate_view *view, struct op *op, const struct view_place *place)
{
	begin_fetch(op, place);
	return post_fetch(view, op);
}

/* The header has come. 0: a READ is posted. */
static int take_header(struct estate_view *view, struct op *op, struct view_place *place)
{
	const struct roster_entry *entry = &op->request->lineup->roster->entries[op->instance];
	struct region_identity identity;

	if (region_check(op->room, entry->peer->size, &identity))
		return -EBADMSG;
	if (memcmp(identity.uuid, entry->uuid, sizeof(identity.uuid)) ||
	    identity.epoch != entry->epoch)
		return -EHOSTDOWN;
	/* Another op was told meanwhile. */
	if (!place->state)
		return read_key(view, op, place);
	op->tables = region_tables(op->room);
	op->table = place->state == -EAGAIN ? 0 : place->tables;
	if (op->table >= op->tables)
		return place->state == -EAGAIN ? -ENOENT : place->state;
	return post_directory(view, op);
}

/* A part of the directory has come. 0: a READ is posted. */
static int take_directory(struct estate_view *view, struct op *op, struct view_place *place)
{
	const struct estate_table *table = op->request->query.table;
	const struct layout_table *raw = (const struct layout_table *)op->room;
	unsigned int batch = directory_batch(op);

	if (!place->state)
		return read_key(view, op, place);
	for (unsigned int i = 0; i < batch; i++) {
		struct region_table found;

		if (region_parse_table(
			    raw + i, op->table + i,
			    op->request->lineup->roster->entries[op->instance].peer->size, &found))
			return -EBADMSG;
		if (strcmp(found.name, table->name))
			continue;
		if (!geometry_same(&found.geometry, &table->geometry)) {
			place->state = -EPROTO;
			place->tables = op->tables;
			return -EPROTO;
		}
		place_found(place,
			    &(struct far_table){ &table->geometry, found.offset, found.salt },
			    op->table + i);
		return read_key(view, op, place);
	}
	op->table += batch;
	if (op->table < op->tables)
		return post_directory(view, op);
	place->state = -ENOENT;
	place->tables = op->tables;
	return -ENOENT;
}

static int take_fetch(struct estate_view *view, struct op *op, const struct view_place *place)
{
	int result = fetch_step(&op->fetch);

	if (result == FETCH_MORE)
		return post_fetch(view, op);
	if (result)
		return result;
	place_remember(place, op->request->keys[op->key].words.hash, op->fetch.slot);
	finish_reading(view, op, 0);
	return 0;
}

/* A READ has completed. */
static void advance(struct estate_view *view, struct arrival *arrival, int error)
{
	struct op *op = (struct op *)arrival;
	struct view_place *place;

	if (unlikely(!op->request)) {
		op->endpoint->overdue--;
		op_give(op);
		return;
	}
	place = &op->request->lineup->places[op->request->query.table->number][op->instance];
	if (likely(!error)) {
		if (likely(op->stage == OP_FETCH))
			error = take_fetch(view, op, place);
		else if (op->stage == OP_HEADER)
			error = take_header(view, op, place);
		else
			error = take_directory(view, op, place);
	}
	if (error)
		finish_reading(view, op, error);
}

static struct endpoint *endpoint_of(struct estate_view *view, const struct request *request,
				    unsigned int i)
{
	if (likely(request->lineup->generation == group_generation(view->es->group)))
		return request->lineup->endpoints[i];
	/* The group has changed since the request began. */
	return group_endpoint(view->es->group, view->io, &request->lineup->roster->entries[i]);
}

/* Tell those who wait for what has come; whether anything has. Begins nothing new. */
static int take_arrivals(struct estate_view *view)
{
	const struct transport_operations *operations = view->transport->operations;
	struct transport_done done[DONE_MAX];
	unsigned int count;
	int came = 0;

	/* All of it first: what it is followed by has room in the queues then. */
	while ((count = operations->poll(view->io, done, DONE_MAX)) > 0) {
		for (unsigned int i = 0; i < count; i++) {
			struct arrival *arrival = done[i].tag;

			arrival->arrived(view, arrival, done[i].status);
		}
		came = 1;
	}
	return came;
}

/* It did not answer in time, and still does not: nobody waits for it again. */
static int is_stuck(struct estate_view *view, const struct endpoint *endpoint)
{
	take_arrivals(view);
	return endpoint->overdue && clock_monotonic_us() > endpoint->overdue_us + PATIENCE_US;
}

int gather_endpoint(struct estate_view *view, const struct request *request, unsigned int i,
		    struct endpoint **endpoint)
{
	*endpoint = endpoint_of(view, request, i);
	if (!*endpoint)
		return -EHOSTDOWN;
	return unlikely((*endpoint)->overdue) && is_stuck(view, *endpoint) ? -ETIMEDOUT : 0;
}

/* Begin to read instance @i, which is far. 0: begun, or decided; -EAGAIN: no room now. */
static int begin_far(struct estate_view *view, struct request *request, unsigned int k,
		     unsigned int i)
{
	const struct estate_table *table = request->query.table;
	const struct view_place *place = &request->lineup->places[table->number][i];
	struct reading *reading = reading_at(request, k, i);
	struct endpoint *endpoint;
	struct op *op;
	int error;

	reading->op = NULL;
	reading->error = gather_endpoint(view, request, i, &endpoint);
	if (reading->error)
		return 0;
	op = op_take(&view->pools[table->number]);
	if (!op)
		return -EAGAIN;
	op->arrival.arrived = advance;
	op->request = request;
	op->endpoint = endpoint;
	op->key = k;
	op->instance = i;
	error = likely(!place->state) ? read_key(view, op, place) : post_header(view, op);
	if (error) {
		op_give(op);
		if (error != -EAGAIN)
			reading->error = error;
		return error == -EAGAIN ? error : 0;
	}
	reading->op = op;
	reading->error = READING_PENDING;
	request->keys[k].pending++;
	return 0;
}

/* Begin as many readings as there is room for. 0: all of them. */
static int begin_readings(struct estate_view *view, struct request *request)
{
	const struct roster *roster = request->lineup->roster;

	while (request->begun < (size_t)request->count * roster->count) {
		unsigned int k = (unsigned int)(request->begun / roster->count);
		unsigned int i = (unsigned int)(request->begun % roster->count);

		if (!lineup_is_far(&roster->entries[i]))
			*reading_at(request, k, i) = (struct reading){ NULL, READING_NEAR };
		else if (begin_far(view, request, k, i))
			return -EAGAIN;
		request->begun++;
		if (i + 1 == roster->count && !--request->keys[k].pending)
			finish_key(view, request, k);
	}
	return 0;
}

/* Begin what it wants to read now. 0: all of it. */
static int begin_request(struct estate_view *view, struct request *request)
{
	/* What is decided without a READ leads to the next question, but not for ever. */
	for (unsigned int turns = 0; request->unfinished; turns++) {
		unsigned int turn = request->turn;

		if (turns == TURNS_AT_ONCE) {
			view->unsettled = 1;
			return 0;
		}
		if (verdict_looks(request) ? verdict_look(view, request)
					   : begin_readings(view, request))
			return -EAGAIN;
		if (request->turn == turn)
			return 0;
	}
	return 0;
}

/* One after the other: if two had a part of the ops each, neither might end. */
static void begin_more(struct estate_view *view)
{
	view->unsettled = 0;
	for (struct request *r = view->requests; r; r = r->next)
		if (begin_request(view, r))
			break;
	view->transport->operations->flush(view->io);
}

int gather_begin(struct estate_view *view, struct request *request)
{
	const struct estate_table *table = request->query.table;
	struct request **last = &view->requests;
	int error = op_pool_reserve(&view->pools[table->number], view->transport, view->io,
				    fetch_room(&table->geometry), request->lineup->far);

	if (error)
		return error;
	request->unfinished = request->count;
	verdict_begin(view, request);
	begin_values(request);
	while (*last)
		last = &(*last)->next;
	request->next = NULL;
	*last = request;
	begin_more(view);
	return 0;
}

static void end(struct estate_view *view, struct request *request)
{
	for (struct request **link = &view->requests; *link; link = &(*link)->next) {
		if (*link == request) {
			*link = request->next;
			return;
		}
	}
}

int gather_progress(struct estate_view *view)
{
	int came = take_arrivals(view);

	if (came || unlikely(view->unsettled))
		begin_more(view);
	return came;
}

/* Nobody waits for @op any more; its READ will come, or fail, some day. Why it has no value. */
static int abandon(struct op *op)
{
	op->request = NULL;
	if (!op->endpoint->overdue++)
		op->endpoint->overdue_us = clock_monotonic_us();
	if (op->stage == OP_FETCH && op->fetch.attempt.number > DAMAGED_ATTEMPTS)
		return -EBADMSG;
	return -ETIMEDOUT;
}

void gather_abandon_pages(struct request *request)
{
	for (unsigned int i = 0; i < request->page_next && i < request->lineup->roster->count;
	     i++) {
		struct reading *page = &request->pages[i];

		if (page->error == READING_PENDING)
			abandon(page->op);
		else if (page->op)
			op_give(page->op);
		*page = (struct reading){ NULL, -ETIMEDOUT };
	}
}

/* What has not come of its values is missing. */
static void abandon_values(struct estate_view *view, struct request *request)
{
	const struct roster *roster = request->lineup->roster;
	unsigned int turn = request->turn;

	for (unsigned int k = 0; k < request->count && request->turn == turn; k++) {
		struct request_key *key = &request->keys[k];

		if (!key->pending)
			continue;
		for (unsigned int i = 0; i < roster->count; i++) {
			struct reading *reading = reading_at(request, k, i);

			if ((size_t)k * roster->count + i >= request->begun)
				*reading =
					(struct reading){ NULL, lineup_is_far(&roster->entries[i])
									? -ETIMEDOUT
									: READING_NEAR };
			if (reading->error != READING_PENDING)
				continue;
			*reading = (struct reading){ NULL, abandon(reading->op) };
		}
		key->pending = 0;
		finish_key(view, request, k);
	}
	request->begun = (size_t)request->count * roster->count;
}

void gather_expire(struct estate_view *view, struct request *request)
{
	if (verdict_looks(request))
		gather_abandon_pages(request);
	else
		abandon_values(view, request);
	if (request->unfinished)
		verdict_late(view, request);
	request->unfinished = 0;
	end(view, request);
}

int gather_turn(struct estate_view *view, struct gather_patience *patience, uint64_t until_us)
{
	int came = gather_progress(view);
	uint64_t now;

	if (++patience->turns % SPINS_PER_LOOK) {
		if (!came)
			shared_pause();
		return 0;
	}
	now = pace_us(&view->pace);
	if (now >= until_us)
		return -ETIMEDOUT;
	if (came || !patience->sleep_us)
		patience->sleep_us = now + SPIN_US;
	else if (now >= patience->sleep_us)
		view->transport->operations->wait(view->io, until_us - now < NAP_US ? until_us
										    : now + NAP_US);
	return 0;
}

void gather_wait(struct estate_view *view, struct request *request)
{
	struct gather_patience patience = { 0 };

	while (request->unfinished) {
		if (gather_turn(view, &patience, request->query.deadline_us)) {
			gather_expire(view, request);
			return;
		}
	}
	end(view, request);
}
