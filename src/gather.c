// SPDX-License-Identifier: BSD-3-Clause
#include "gather.h"

#include "error.h"
#include "near.h"
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

/* What was read so often without verifying did not miss the deadline: it is damaged. */
#define DAMAGED_ATTEMPTS 64

#define TURNS_AT_ONCE 4
#define HURRY_US 1000

/* Read all values, for the first time or once more. */
static void begin_values(struct request *request)
{
	request->begun = 0;
	request->begun_instances = 0;
	request->keys_left = request->count;
	request->missing_count = 0;
	for (unsigned int k = 0; k < request->count; k++)
		request->keys[k].pending = 1;
}

/* All that the far instances say to a key has come. */
static inline void have_all(struct estate_view *view, struct request *request,
			    struct request_key *key)
{
	unsigned int k = (unsigned int)(key - request->keys);
	struct reading *readings = request_readings(request, k);

	if (request->lineup->far < request->lineup->count) {
		near_locate(request, &key->words, readings);
		near_read(view, request, &key->words, readings);
	}
	if (unlikely(request->before != NULL))
		view_judge(request, &key->words, readings);
	view_reduce(view, request, k, readings);
}

static void finish_key(struct estate_view *view, struct request *request, struct request_key *key)
{
	unsigned int k = (unsigned int)(key - request->keys);
	struct reading *readings = request_readings(request, k);

	have_all(view, request, key);
	for (unsigned int i = 0; i < request->lineup->count; i++)
		if (likely(readings[i].op != NULL))
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
	struct request_key *key = op->key;

	op->reading->value = op->fetch.value;
	op->reading->length = op->fetch.value_length;
	op->reading->stamp = op->fetch.stamp;
	op->reading->error = error;
	if (unlikely(error)) {
		op->reading->op = NULL;
		op_give(op);
	}
	if (!--key->pending)
		finish_key(view, request, key);
}

static inline int post(struct estate_view *view, struct op *op, void *to, uint64_t offset,
		       uint32_t length)
{
	op->read.to = to;
	op->read.offset = offset;
	op->read.length = length;
	return view->transport->operations->read(view->io, op->endpoint, &op->read);
}

static inline int post_fetch(struct estate_view *view, struct op *op)
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

/* The place is known. 0: a READ is posted. */
static inline int read_key(struct estate_view *view, struct op *op, const struct view_place *place)
{
	const struct entry_key *key = &op->key->words;

	fetch_begin(&op->fetch, &place->far, key, place_position(place, key->hash), op->room);
	return post_fetch(view, op);
}

/* Whom it asks. */
static const struct roster_entry *entry_of(const struct op *op)
{
	const struct request *request = op->request;
	const struct reading *first =
		request_readings(request, (unsigned int)(op->key - request->keys));

	return &request->lineup->roster->entries[op->reading - first];
}

/* The header has come. 0: a READ is posted. */
static int take_header(struct estate_view *view, struct op *op, struct view_place *place)
{
	const struct roster_entry *entry = entry_of(op);
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

		if (region_parse_table(raw + i, op->table + i, entry_of(op)->peer->size, &found))
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

static int take_fetch(struct estate_view *view, struct op *op)
{
	int result = fetch_step(&op->fetch);

	if (unlikely(result == FETCH_MORE))
		return post_fetch(view, op);
	if (unlikely(result))
		return result;
	/* Unless it was where it was remembered to be. */
	if (op->fetch.stage != FETCH_SLOT)
		place_remember(op->place, op->key->words.hash, op->fetch.slot);
	finish_reading(view, op, 0);
	return 0;
}

/* A READ has completed. */
static void advance(struct estate_view *view, struct arrival *arrival, int error)
{
	struct op *op = (struct op *)arrival;

	if (unlikely(!op->request)) {
		op->endpoint->overdue--;
		op_give(op);
		return;
	}
	if (likely(!error)) {
		if (likely(op->stage == OP_FETCH))
			error = take_fetch(view, op);
		else if (op->stage == OP_HEADER)
			error = take_header(view, op, op->place);
		else
			error = take_directory(view, op, op->place);
	}
	if (unlikely(error))
		finish_reading(view, op, error);
}

/* To a far instance of the lineup, if there is one; @current: the group is as it was. */
static inline struct endpoint *endpoint_of(struct estate_view *view, const struct request *request,
					   unsigned int i, int current)
{
	if (likely(current))
		return request->lineup->endpoints[i];
	/* The group has changed since the request began. */
	return group_endpoint(view->es->group, view->io, &request->lineup->roster->entries[i]);
}

/* Tell those who wait for what has come; whether anything has. Begins nothing new. */
static int take_arrivals(struct estate_view *view)
{
	unsigned int count;
	int came = 0;

	/* All of it first: what it is followed by has room in the queues then. */
	do {
		count = gather_take_some(view);
		came |= count > 0;
	} while (count == GATHER_DONE_MAX);
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
	*endpoint = endpoint_of(view, request, i, view_is_current(view, request->lineup));
	if (!*endpoint)
		return -EHOSTDOWN;
	return unlikely((*endpoint)->overdue) && is_stuck(view, *endpoint) ? -ETIMEDOUT : 0;
}

/* Begin to read a far instance at @endpoint. 0: begun, or decided; -EAGAIN: no room now. */
static inline int begin_far(struct estate_view *view, struct request *request,
			    struct request_key *key, struct reading *reading,
			    struct view_place *place, struct endpoint *endpoint)
{
	struct op *op;
	int error;

	reading->op = NULL;
	reading->error = -ETIMEDOUT;
	if (unlikely(endpoint->overdue) && is_stuck(view, endpoint))
		return 0;
	op = op_take(&view->pools[request->query.table->number]);
	if (unlikely(!op))
		return -EAGAIN;
	op->request = request;
	op->endpoint = endpoint;
	op->key = key;
	op->reading = reading;
	op->place = place;
	error = likely(!place->state) ? read_key(view, op, place) : post_header(view, op);
	if (unlikely(error)) {
		op_give(op);
		if (error != -EAGAIN)
			reading->error = error;
		return error == -EAGAIN ? error : 0;
	}
	reading->op = op;
	reading->error = READING_PENDING;
	key->pending++;
	return 0;
}

/* Begin as many readings as there is room for. 0: all of them. */
static int begin_readings(struct estate_view *view, struct request *request)
{
	const struct lineup *lineup = request->lineup;
	struct view_place *places = lineup->places[request->query.table->number];
	int current = view_is_current(view, lineup);

	for (; request->begun < request->count; request->begun++) {
		struct request_key *key = &request->keys[request->begun];
		struct reading *readings = request_readings(request, request->begun);

		for (unsigned int i = request->begun_instances; i < lineup->count; i++) {
			struct endpoint *endpoint = endpoint_of(view, request, i, current);

			if (unlikely(request->before && request->before[i].error)) {
				/* Its page could not be read. */
				readings[i].op = NULL;
				readings[i].error = request->before[i].error;
			} else if (unlikely(!endpoint)) {
				int far = lineup_is_far(&lineup->roster->entries[i]);

				readings[i].op = NULL;
				readings[i].error = far ? -EHOSTDOWN : READING_NEAR;
			} else if (begin_far(view, request, key, &readings[i], &places[i],
					     endpoint)) {
				request->begun_instances = i;
				return -EAGAIN;
			}
		}
		request->begun_instances = 0;
		if (!--key->pending)
			finish_key(view, request, key);
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

/* It is an op like all others from now on. */
static void stand_down(struct op *op)
{
	op->arrival.arrived = advance;
}

void gather_leave(struct request *request)
{
	for (unsigned int i = 0; request->standing && i < request->lineup->count; i++) {
		struct op *op = request->readings[i].op;

		if (!op)
			continue;
		stand_down(op);
		op_give(op);
	}
	request->standing = 0;
}

static void append(struct estate_view *view, struct request *request)
{
	struct request **last = &view->requests;

	while (*last)
		last = &(*last)->next;
	request->next = NULL;
	*last = request;
}

int gather_begin(struct estate_view *view, struct request *request)
{
	const struct estate_table *table = request->query.table;
	int error;

	gather_leave(request);
	error = op_pool_reserve(&view->pools[table->number], view->transport, view->io,
				&table->geometry, request->lineup->far, advance);

	if (error)
		return error;
	view_deadline(view, request);
	request->unfinished = request->count;
	request->lease_us = handover_lease(request->lineup, request->joined);
	verdict_begin(request);
	begin_values(request);
	append(view, request);
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

/* At the deadline: what was not begun, or has not come, is missing. */
static void expire_key(struct request *request, unsigned int k)
{
	const struct lineup *lineup = request->lineup;
	struct reading *readings = request_readings(request, k);
	unsigned int begun = k < request->begun	   ? lineup->count
			     : k == request->begun ? request->begun_instances
						   : 0;

	for (unsigned int i = 0; i < lineup->count; i++) {
		struct reading *reading = &readings[i];
		int far = lineup_is_far(&lineup->roster->entries[i]);

		if (i >= begun) {
			reading->op = NULL;
			reading->error = far ? -ETIMEDOUT : READING_NEAR;
		} else if (reading->error == READING_PENDING) {
			reading->error = abandon(reading->op);
			reading->op = NULL;
		}
	}
}

void gather_abandon_pages(struct request *request)
{
	for (unsigned int i = 0; i < request->page_next && i < request->lineup->count; i++) {
		struct reading *page = &request->pages[i];

		if (page->error == READING_PENDING)
			abandon(page->op);
		else if (page->op)
			op_give(page->op);
		*page = (struct reading){ .error = -ETIMEDOUT };
	}
}

static void abandon_values(struct estate_view *view, struct request *request)
{
	unsigned int turn = request->turn;

	for (unsigned int k = 0; k < request->count && request->turn == turn; k++) {
		struct request_key *key = &request->keys[k];

		if (!key->pending)
			continue;
		expire_key(request, k);
		key->pending = 0;
		finish_key(view, request, key);
	}
	request->begun = request->count;
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

void gather_hurry(struct estate_view *view, uint64_t now)
{
	for (struct request *r = view->requests; r; r = r->next) {
		unsigned int count = r->lineup->count;

		if (!r->unfinished || !verdict_looks(r) || r->page_next <= count ||
		    now < r->patience_us)
			continue;
		for (unsigned int i = 0; i < count; i++) {
			struct reading *page = &r->pages[i];

			if (page->error != READING_PENDING)
				continue;
			abandon(page->op);
			*page = (struct reading){ .error = -ETIMEDOUT };
			view->unsettled = 1;
			gather_looked(view, r);
			/* That was the last one of this look. */
			if (!verdict_looks(r) || r->page_next <= count)
				break;
		}
	}
}

int gather_turn(struct estate_view *view, struct gather_patience *patience, uint64_t until_us)
{
	int came = gather_progress(view);
	uint64_t nap = NAP_US;
	uint64_t now;

	if (++patience->turns % SPINS_PER_LOOK) {
		if (!came)
			shared_pause();
		return 0;
	}
	now = pace_us(&view->pace);
	if (now >= until_us)
		return -ETIMEDOUT;
	/* Somebody looks for pages, and may have to go on without one. */
	if (unlikely(view->requests && verdict_looks(view->requests))) {
		gather_hurry(view, now);
		nap = HURRY_US;
	}
	if (came || !patience->sleep_us)
		patience->sleep_us = now + SPIN_US;
	else if (now >= patience->sleep_us)
		view->transport->operations->wait(view->io,
						  until_us - now < nap ? until_us : now + nap);
	return 0;
}

void gather_wait(struct estate_view *view, struct request *request)
{
	struct gather_patience patience = { 0 };

	/* Mostly all of it comes at once, and there is nothing more to begin. */
	take_arrivals(view);
	if (likely(!request->unfinished)) {
		end(view, request);
		if (unlikely(view->requests != NULL))
			begin_more(view);
		return;
	}
	begin_more(view);
	while (request->unfinished) {
		if (gather_turn(view, &patience, view_deadline(view, request))) {
			gather_expire(view, request);
			return;
		}
	}
	end(view, request);
}

/* A standing op's READ has come. */
static void count(struct estate_view *view, struct arrival *arrival, int error)
{
	struct op *op = (struct op *)arrival;

	(void)view;
	op->reading->error = error;
	op->request->awaited--;
}

int gather_stand(struct estate_view *view, struct request *request)
{
	const struct lineup *lineup = request->lineup;
	const struct estate_table *table = request->query.table;
	struct view_place *places = lineup->places[table->number];
	struct request_key *key = request->keys;

	for (unsigned int i = 0; i < lineup->count; i++)
		if (lineup_is_far(&lineup->roster->entries[i]) &&
		    (!lineup->endpoints[i] || places[i].state || !places[i].positions))
			return 0;
	if (op_pool_reserve(&view->pools[table->number], view->transport, view->io,
			    &table->geometry, lineup->far, advance))
		return 0;
	for (unsigned int i = 0; i < lineup->count; i++) {
		struct reading *reading = &request->readings[i];
		struct op *op = NULL;

		if (lineup->endpoints[i])
			op = op_take(&view->pools[table->number]);
		reading->op = op;
		if (!op)
			continue;
		op->arrival.arrived = count;
		op->request = request;
		op->endpoint = lineup->endpoints[i];
		op->key = key;
		op->reading = reading;
		op->place = &places[i];
		op->stage = OP_STANDING;
		fetch_begin(&op->fetch, &places[i].far, &key->words, 0, op->room);
		gather_aim(op);
	}
	request->standing = 1;
	return 1;
}

void gather_go_on(struct estate_view *view, struct request *request, unsigned int begun)
{
	struct request_key *key = request->keys;

	view_deadline(view, request);
	request->standing = 0;
	request->unfinished = 1;
	verdict_begin(request);
	/* Some of them are being read already. */
	request->phase = REQUEST_READS;
	begin_values(request);
	request->begun_instances = begun;
	for (unsigned int i = 0; i < request->lineup->count; i++) {
		struct reading *reading = &request->readings[i];
		struct op *op = reading->op;

		if (!op) {
			reading->error = READING_NEAR;
			continue;
		}
		stand_down(op);
		if (i >= begun) {
			op_give(op);
			reading->op = NULL;
			continue;
		}
		if (reading->error != READING_PENDING)
			continue;
		/* Under way, or with another READ to be posted. */
		if (op->stage == OP_STANDING)
			op->stage = OP_FETCH;
		else
			reading->error = post_fetch(view, op);
		if (!reading->error || reading->error == READING_PENDING) {
			reading->error = READING_PENDING;
			key->pending++;
		}
	}
	append(view, request);
	begin_more(view);
	gather_wait(view, request);
}
