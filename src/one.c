// SPDX-License-Identifier: BSD-3-Clause
/*
 * The calls that read one key over the group, and wait for it: what most programs do. It is
 * in one piece, since it is the common case that counts here: every far instance's READ
 * is of the slot where the key was seen last, brings it, and verifies. All else, whatever
 * it is, is left to those who know how: gather.c goes on from where this has come to.
 */
#include "view.h"

#include "gather.h"
#include "handover.h"
#include "near.h"
#include "result.h"
#include "verdict.h"

#include <errno.h>

/* It is not known where the key is; or the last READ was not one of a slot. */
static __attribute__((noinline)) void aim_anew(struct op *op, uint64_t hash)
{
	fetch_begin_again(&op->fetch, place_position(op->place, hash));
	gather_aim(op);
}

/*
 * Post one READ for each far instance. Of how many instances a reading was begun: if not of
 * all @count, gather_go_on().
 */
ENTRY_INLINE unsigned int post_all(struct estate_view *view, struct request *request,
				   unsigned int count, uint64_t hash)
{
	const struct transport_operations *operations = view->transport->operations;
	struct reading *reading = request->readings;
	unsigned int awaited = 0;
	unsigned int i;

	for (i = 0; i < count; i++, reading++) {
		struct op *op = reading->op;
		uint64_t word;
		int error;

		if (unlikely(!op)) {
			reading->error = READING_NEAR;
			continue;
		}
		if (unlikely(op->endpoint->overdue))
			break;
		/* As place_position(); mostly all but the offset is as it was. */
		word = op->place->positions[hash & op->place->mask];
		if (likely(!((word ^ hash) >> 32) && op->fetch.stage == FETCH_SLOT &&
			   (uint32_t)word)) {
			op->fetch.slot = (uint32_t)word - 1;
			op->read.offset =
				op->fetch.table +
				geometry_slot_offset(op->fetch.attempt.geometry, op->fetch.slot);
		} else {
			aim_anew(op, hash);
		}
		error = operations->read(view->io, op->endpoint, &op->read);
		if (likely(!error)) {
			reading->error = READING_PENDING;
			awaited++;
			continue;
		}
		if (error == -EAGAIN)
			break;
		reading->error = error;
	}
	request->awaited = awaited;
	operations->flush(view->io);
	return i;
}

/* Until all READs have come, or the deadline has. */
static __attribute__((noinline)) void await(struct estate_view *view, struct request *request)
{
	struct gather_patience patience = { 0 };

	while (request->awaited)
		if (gather_turn(view, &patience, view_deadline(view, request)))
			return;
}

/* What came does not show the key at a glance. */
static __attribute__((noinline)) int look_closer(struct reading *reading)
{
	struct op *op = reading->op;
	int error;

	if (op->fetch.stage == FETCH_SLOT)
		fetch_begin_again(&op->fetch, op->fetch.slot);
	error = fetch_step(&op->fetch);
	if (error == FETCH_MORE) {
		op->stage = OP_FETCH;
		return READING_PENDING;
	}
	reading->value = op->fetch.value;
	reading->length = op->fetch.value_length;
	reading->stamp = op->fetch.stamp;
	if (!error)
		place_remember(op->place, op->key->words.hash, op->fetch.slot);
	return error;
}

/* At a glance. */
ENTRY_INLINE int look(struct reading *reading, const struct geometry *geometry,
		      const struct entry_key *key, uint32_t key_words)
{
	struct op *op = reading->op;
	struct glance found;

	if (unlikely(op->fetch.stage != FETCH_SLOT ||
		     !judge_glance(geometry, op->fetch.attempt.salt, key, op->fetch.slot, op->room,
				   NULL, &found, key_words)))
		return 0;
	reading->value = op->room + ((const unsigned char *)found.value - op->room);
	reading->length = found.length;
	reading->stamp = found.stamp;
	return 1;
}

/* Look at all that has come, for the first time. 0: all have a value. */
ENTRY_INLINE int look_at_all(const struct request *request, const struct geometry *geometry,
			     unsigned int count, uint32_t key_words)
{
	struct reading *reading = request->readings;
	int others = 0;

	for (; count; count--, reading++) {
		if (likely(!reading->error) &&
		    likely(look(reading, geometry, &request->keys->words, key_words)))
			continue;
		if (!reading->error)
			reading->error = look_closer(reading);
		others |= reading->error;
	}
	return others;
}

/*
 * Not all have a value: read those that are near, too. 0: now they have; -EAGAIN: somebody
 * is not done with; else some have none.
 */
static __attribute__((noinline)) int read_rest(struct estate_view *view, struct request *request)
{
	struct reading *readings = request->readings;
	int others = 0;

	if (request->lineup->far < request->lineup->count) {
		near_locate(request, &request->keys->words, readings);
		near_read(view, request, &request->keys->words, readings);
	}
	for (unsigned int i = 0; i < request->lineup->count; i++) {
		if (readings[i].error == READING_PENDING)
			return -EAGAIN;
		others |= readings[i].error;
	}
	return others ? -ENOENT : 0;
}

/* From here on it is a request as any other. */
static void make_ordinary(struct request *request, void *out, struct estate_answer *answer)
{
	request->count = 1;
	request->missing_count = 0;
	request->out = out;
	request->status = &request->only_status;
	request->answers = answer;
}

/* Far instances, none of which was asked yet. Returns the key's status. */
static __attribute__((noinline)) int read_anyhow(struct estate_view *view, struct request *request,
						 void *out, struct estate_answer *answer)
{
	int error;

	make_ordinary(request, out, answer);
	request->keys->pending = 1;
	error = gather_begin(view, request);
	if (error)
		return error;
	gather_wait(view, request);
	return request->only_status;
}

static __attribute__((noinline)) int go_on(struct estate_view *view, struct request *request,
					   unsigned int begun, void *out,
					   struct estate_answer *answer)
{
	make_ordinary(request, out, answer);
	gather_go_on(view, request, begun);
	return request->only_status;
}

/* There are far instances. Returns the key's status. */
ENTRY_INLINE int get_far(struct estate_view *view, struct request *request,
			 const struct geometry *geometry, void *out, struct estate_answer *answer,
			 uint32_t key_words)
{
	unsigned int count = request->lineup->count;
	unsigned int begun;
	int others;

	if (unlikely(!request->standing && !gather_stand(view, request)))
		return read_anyhow(view, request, out, answer);
	request->lease_us = handover_lease(request->lineup, request->joined);
	begun = post_all(view, request, count, request->keys->words.hash);
	if (unlikely(begun < count))
		goto on;
	gather_take_some(view);
	if (unlikely(request->awaited))
		await(view, request);
	others = look_at_all(request, geometry, count, key_words);
	if (unlikely(others)) {
		others = read_rest(view, request);
		if (others == -EAGAIN)
			goto on;
	}
	/* Somebody may hand over, or nobody has heard of a far one for too long. */
	if (unlikely(!verdict_is_leased(view, request, 1))) {
		request->distrusted = 1;
		return read_anyhow(view, request, out, answer);
	}
	if (likely(!others))
		return result_of_all(view, request, request->readings, count, out, answer);
	request->missing_count = 0;
	return result_make(view, request, request->readings, out, answer);

on:
	return go_on(view, request, begun, out, answer);
}

/* The same for keys of any length; the common one has it in line. */
static __attribute__((noinline)) int get_far_any(struct estate_view *view, struct request *request,
						 const struct geometry *geometry, void *out,
						 struct estate_answer *answer)
{
	return get_far(view, request, geometry, out, answer, geometry->key_room / 8);
}

/* Something is handed over: as a request like any other. Returns the key's status. */
static __attribute__((noinline)) int read_carefully(struct estate_view *view,
						    struct request *request, const void *key,
						    size_t key_length, void *out,
						    struct estate_answer *answer)
{
	int error;

	make_ordinary(request, out, answer);
	error = view_read_keys(view, request, 1, &key, key_length);
	return error ? error : request->only_status;
}

/* All are near. Returns the key's status. */
static __attribute__((noinline)) int get_near(struct estate_view *view, struct request *request,
					      const void *bytes, size_t key_length, void *out,
					      struct estate_answer *answer)
{
	struct entry_key *key = &request->keys->words;
	struct reading *readings = request->readings;
	unsigned int count = request->lineup->count;
	int others = 0;

	near_locate(request, key, readings);
	for (unsigned int i = 0; i < count; i++)
		readings[i].error = READING_NEAR;
	near_read(view, request, key, readings);
	if (unlikely(handover_in_sight(request->lineup)))
		return read_carefully(view, request, bytes, key_length, out, answer);
	for (unsigned int i = 0; i < count; i++)
		others |= readings[i].error;
	if (likely(!others && count))
		return result_of_all(view, request, readings, count, out, answer);
	request->missing_count = 0;
	return result_make(view, request, readings, out, answer);
}

ENTRY_INLINE int get(struct estate_view *view, struct estate_table *table, const void *key,
		     size_t key_length, const struct estate_query *query, void *out,
		     size_t out_size, struct estate_answer *answer)
{
	struct request *request;
	int status = view_check(view, table, key, key_length, out);

	if (unlikely(status))
		return status;
	request = &view->call;
	view_enter(view);
	status = view_begin(view, table, query, 1, out_size, request);
	if (likely(!status)) {
		int common = view_key(table, key, key_length, &request->keys->words);

		if (unlikely(!request->lineup->far))
			status = get_near(view, request, key, key_length, out, answer);
		else if (likely(common))
			status = get_far(view, request, &table->geometry, out, answer, 2);
		else
			status = get_far_any(view, request, &table->geometry, out, answer);
	}
	view_exit(view);
	return status;
}

int estate_query_global(struct estate_view *view, struct estate_table *table, const void *key,
			size_t key_length, const struct estate_query *query, void *out,
			size_t out_size, struct estate_answer *answer)
{
	return get(view, table, key, key_length, query, out, out_size, answer);
}

int estate_get_global(struct estate_view *view, struct estate_table *table, const void *key,
		      size_t key_length, void *out, size_t out_size, struct estate_answer *answer)
{
	return get(view, table, key, key_length, NULL, out, out_size, answer);
}
