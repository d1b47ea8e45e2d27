// SPDX-License-Identifier: BSD-3-Clause
#include "view.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_DEFAULT_US 10000

int estate_view_open(struct estate *es, const struct estate_view_attr *attr,
		     struct estate_view **result)
{
	struct estate_view *view;

	if (!es || !result)
		return error_set(-EINVAL, "estate_view_open: %s is NULL", es ? "view" : "es");
	if (attr && attr->size != sizeof(*attr))
		return error_set(
			-EINVAL,
			"estate_view_open: attr's size is %zu, this library expects %zu: start "
			"from ESTATE_VIEW_ATTR_INIT, built with the same headers",
			attr->size, sizeof(*attr));
	view = calloc(1, sizeof(*view));
	if (!view)
		return error_set(-ENOMEM, "estate_view_open: no memory");
	view->es = es;
	view->deadline_us = attr && attr->deadline_us ? attr->deadline_us : DEADLINE_DEFAULT_US;
	view->roster = group_roster(es->group, &view->generation);
	__atomic_add_fetch(&es->views, 1, __ATOMIC_ACQ_REL);
	*result = view;
	return 0;
}

static void forget_places(struct estate_view *view)
{
	for (unsigned int i = 0; i < ESTATE_TABLES_MAX; i++) {
		free(view->places[i]);
		view->places[i] = NULL;
	}
}

void estate_view_close(struct estate_view *view)
{
	if (!view)
		return;
	__atomic_sub_fetch(&view->es->views, 1, __ATOMIC_ACQ_REL);
	forget_places(view);
	roster_release(view->roster);
	reduce_room_free(&view->room);
	free(view->missing);
	free(view);
}

static int reserve_missing(struct estate_view *view, size_t room)
{
	struct estate_missing *larger;

	if (room <= view->missing_room)
		return 0;
	larger = realloc(view->missing, room * sizeof(*larger));
	if (!larger)
		return error_set(-ENOMEM, "no memory to say who is missing");
	view->missing = larger;
	view->missing_room = room;
	return 0;
}

static int reserve_places(struct estate_view *view, const struct estate_table *table)
{
	struct view_place *places = view->places[table->number];

	if (likely(places))
		return 0;
	/* One more than none: an observer can be alone. */
	places = calloc(view->roster->count + 1, sizeof(*places));
	if (!places)
		return error_set(-ENOMEM, "no memory for the places of table %s", table->name);
	for (unsigned int i = 0; i < view->roster->count; i++)
		places[i].state = -EAGAIN;
	view->places[table->number] = places;
	return 0;
}

int view_begin(struct estate_view *view, struct estate_table *table,
	       const struct estate_query *query, unsigned int count, size_t out_size,
	       uint64_t no_deadline_us, struct view_query *ready)
{
	uint32_t deadline_us;
	size_t result_size;
	int error;

	if (table->es != view->es)
		return error_set(-EINVAL, "table %s belongs to another instance than the view",
				 table->name);
	error = reducer_init(&ready->reducer, &table->geometry, table->custom, table->custom_arg,
			     query);
	if (error)
		return error;
	result_size = reducer_result_size(&ready->reducer);
	if (result_size > out_size)
		return error_set(-EMSGSIZE, "the result has %zu bytes, there is room for %zu",
				 result_size, out_size);
	if (unlikely(group_generation(view->es->group) != view->generation)) {
		forget_places(view);
		roster_release(view->roster);
		view->roster = group_roster(view->es->group, &view->generation);
	}
	error = reserve_places(view, table);
	if (!error)
		error = reserve_missing(view, (size_t)count * view->roster->count);
	if (!error)
		error = reduce_room_reserve(&view->room, &ready->reducer, view->roster->count,
					    out_size);
	if (error)
		return error;
	view->missing_count = 0;
	ready->table = table;
	deadline_us = query ? query->deadline_us : 0;
	ready->deadline_us = deadline_us ? clock_monotonic_us() + deadline_us : no_deadline_us;
	return 0;
}

/* Find a table in a peer's directory. */
static void look_up(const struct estate_table *table, const struct peer *peer,
		    struct view_place *place)
{
	struct region_table found;

	place->tables = region_tables(peer->region.memory);
	place->state =
		region_find_table(peer->region.memory, peer->region.size, table->name, &found);
	if (place->state)
		return;
	if (!geometry_same(&found.geometry, &table->geometry)) {
		place->state = -EPROTO;
		return;
	}
	place->table =
		(struct remote_table){ &table->geometry,
				       (const unsigned char *)peer->region.memory + found.offset,
				       found.salt };
}

const struct remote_table *view_place(struct estate_view *view, const struct estate_table *table,
				      unsigned int i, int *error)
{
	const struct roster_entry *entry = &view->roster->entries[i];
	struct view_place *place = &view->places[table->number][i];

	if (likely(!place->state))
		return &place->table;
	if (entry->self) {
		place->table =
			(struct remote_table){ &table->geometry, table->buckets, table->salt };
		place->state = 0;
		return &place->table;
	}
	if (!entry->peer) {
		*error = -EHOSTDOWN;
		return NULL;
	}
	/* Not there, or damaged, at the last look: another one if the directory has changed. */
	if (place->state == -EAGAIN || place->tables != region_tables(entry->peer->region.memory))
		look_up(table, entry->peer, place);
	*error = place->state;
	return place->state ? NULL : &place->table;
}

/* One instance's value, to where the reduction wants it. 0, -ENOENT, or why it is missing. */
static int read_instance(struct estate_view *view, const struct view_query *query, unsigned int i,
			 struct entry_key *key, struct remote_value *value)
{
	const struct estate_table *table = query->table;
	const struct remote_table *place;
	int error;

	if (view->roster->entries[i].self) {
		entry_key_salt(key, table->salt, table->geometry.key_room / 8);
		return table_get(table, key, value->data, table->geometry.value_size,
				 &value->length, &value->stamp);
	}
	place = view_place(view, table, i, &error);
	if (!place)
		return error;
	entry_key_salt(key, place->salt, table->geometry.key_room / 8);
	return remote_get(place, key, query->deadline_us, value);
}

int view_get(struct estate_view *view, const struct view_query *query, struct entry_key *key,
	     void *out, size_t out_size, struct estate_answer *answer)
{
	const struct roster *roster = view->roster;
	struct estate_missing *who = view->missing + view->missing_count;
	struct estate_answer result = { .asked = roster->count, .who = who };
	struct reduction reduction;
	int error;

	reduction_start(&reduction, &query->reducer, &view->room);
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];
		struct remote_value value = { .data = reduction.next };

		error = read_instance(view, query, i, key, &value);
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
	view->missing_count += result.missing;
	result.present = reduction.present;
	result.oldest = reduction.oldest;
	result.newest = reduction.newest;
	if (reduction.present) {
		clock_observe(&view->es->clock, reduction.newest);
		error = reduction_finish(&reduction, &view->room, out, out_size, &result.length);
	} else if (result.missing) {
		error = error_set(
			-EHOSTDOWN,
			"table %s: %u of %u instances do not have the key, %s and %u more did "
			"not answer: look at the answer's who",
			query->table->name, result.answered, result.asked, who[0].name,
			result.missing - 1);
	} else {
		error = error_literal(-ENOENT, "no instance has the key");
	}
	if (answer && (!error || (!reduction.present)))
		*answer = result;
	return error;
}

static int check_key(const struct estate_view *view, const struct estate_table *table,
		     const void *key, size_t key_length, const void *out)
{
	if (unlikely(!view || !table || !key || !out))
		return error_set(-EINVAL, "global read: %s is NULL",
				 !view	  ? "view"
				 : !table ? "table"
				 : !key	  ? "key"
					  : "out");
	if (unlikely(key_length < 1 || key_length > table->geometry.key_size))
		return error_set(-EINVAL, "table %s: a key of %zu bytes, must be 1 to %u",
				 table->name, key_length, table->geometry.key_size);
	return 0;
}

int estate_query_global(struct estate_view *view, struct estate_table *table, const void *key,
			size_t key_length, const struct estate_query *query, void *out,
			size_t out_size, struct estate_answer *answer)
{
	struct view_query ready;
	struct entry_key words;
	int error = check_key(view, table, key, key_length, out);

	if (!error)
		error = view_begin(view, table, query, 1, out_size,
				   clock_monotonic_us() + (view ? view->deadline_us : 0), &ready);
	if (error)
		return error;
	table_key(table, key, key_length, &words);
	return view_get(view, &ready, &words, out, out_size, answer);
}

int estate_get_global(struct estate_view *view, struct estate_table *table, const void *key,
		      size_t key_length, void *out, size_t out_size, struct estate_answer *answer)
{
	return estate_query_global(view, table, key, key_length, NULL, out, out_size, answer);
}

int estate_query_batch(struct estate_view *view, struct estate_table *table, unsigned int count,
		       const void *const *keys, size_t key_length, const struct estate_query *query,
		       void *out, size_t out_size, int *status, struct estate_answer *answers)
{
	struct view_query ready;
	int found = 0;
	int error = check_key(view, table, keys, key_length, out);

	if (error)
		return error;
	if (!status)
		return error_set(-EINVAL, "estate_query_batch: status is NULL");
	for (unsigned int i = 0; i < count; i++)
		if (!keys[i])
			return error_set(-EINVAL, "estate_query_batch: key %u is NULL", i);
	error = view_begin(view, table, query, count, out_size,
			   clock_monotonic_us() + view->deadline_us, &ready);
	if (error)
		return error;
	for (unsigned int i = 0; i < count; i++) {
		struct entry_key words;

		table_key(table, keys[i], key_length, &words);
		status[i] = view_get(view, &ready, &words, (char *)out + i * out_size, out_size,
				     answers ? &answers[i] : NULL);
		found += !status[i];
	}
	return found;
}
