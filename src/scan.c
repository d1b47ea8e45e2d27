// SPDX-License-Identifier: BSD-3-Clause
/*
 * A scan of the global view. Geometry and hash are the same everywhere, so a
 * key has the same home bucket on all instances: home by home, the keys of each
 * instance are collected, and each key that no instance before this one had is
 * read over the whole group. No memory grows with the table, and nobody needs
 * to be asked twice who has what.
 */
#include "view.h"

#include "error.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	struct estate_view *view;
	struct view_query query;
	unsigned char *out;
	size_t out_size;
	estate_scan_fn *visit;
	void *arg;
	int *why; /* per instance: 0, or why a part of it could not be read */
	unsigned int most; /* instances that any key had */
	struct remote_key *keys; /* of one home, @count different ones */
	unsigned int count;
	unsigned int room;
};

static int reserve(struct scan *scan, unsigned int room)
{
	struct remote_key *larger;

	if (room <= scan->room)
		return 0;
	larger = realloc(scan->keys, room * sizeof(*larger));
	if (!larger)
		return error_set(-ENOMEM, "scan: no memory for %u keys of one bucket", room);
	scan->keys = larger;
	scan->room = room;
	return 0;
}

static int known(const struct scan *scan, const struct remote_key *key)
{
	for (unsigned int i = 0; i < scan->count; i++)
		if (scan->keys[i].length == key->length &&
		    !memcmp(scan->keys[i].words, key->words, scan->query.table->geometry.key_room))
			return 1;
	return 0;
}

/* Add the keys that instance @i has at @home to those of the instances before it. */
static int collect(struct scan *scan, uint64_t home, unsigned int i)
{
	const struct remote_table *place;
	unsigned int fresh;
	int found;
	int error = 0;

	place = view_place(scan->view, scan->query.table, i, &error);
	if (!place) {
		if (error != -ENOENT)
			scan->why[i] = error;
		return 0;
	}
	error = reserve(scan, scan->count + 2 * LAYOUT_SLOTS);
	if (error)
		return error;
	for (;;) {
		found = remote_home(place, home, scan->query.deadline_us, scan->keys + scan->count,
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

	fresh = scan->count;
	for (unsigned int k = 0; k < (unsigned int)found; k++) {
		struct remote_key key = scan->keys[fresh + k];

		if (!known(scan, &key))
			scan->keys[scan->count++] = key;
	}
	return 0;
}

/* Read a key over the group and show it. */
static int show(struct scan *scan, const struct remote_key *key)
{
	/* Stays as it is if the caller's reducer fails, with whatever errno value. */
	struct estate_answer answer = { .present = UINT_MAX };
	struct entry_key words;
	int error;

	table_key(scan->query.table, key->words, key->length, &words);
	scan->view->missing_count = 0;
	error = view_get(scan->view, &scan->query, &words, scan->out, scan->out_size, &answer);
	if (error && answer.present)
		return error;
	for (unsigned int m = 0; m < answer.missing; m++)
		for (unsigned int i = 0; i < scan->view->roster->count; i++)
			if (scan->view->roster->entries[i].name == answer.who[m].name)
				scan->why[i] = answer.who[m].why;
	if (error)
		return 0; /* deleted since it was found */
	if (answer.present > scan->most)
		scan->most = answer.present;
	return scan->visit(key->words, key->length, scan->out, answer.length, answer.present,
			   answer.newest, scan->arg);
}

static int walk(struct scan *scan)
{
	uint64_t homes = scan->query.table->geometry.homes;

	for (uint64_t home = 0; home < homes; home++) {
		int result = 0;

		scan->count = 0;
		if (home && scan->query.deadline_us != UINT64_MAX &&
		    clock_monotonic_us() >= scan->query.deadline_us)
			return error_set(
				-ETIMEDOUT,
				"table %s: the scan's deadline passed at bucket %llu of %llu",
				scan->query.table->name, (unsigned long long)home,
				(unsigned long long)homes);
		for (unsigned int i = 0; i < scan->view->roster->count; i++) {
			result = collect(scan, home, i);
			if (result)
				return result;
		}
		for (unsigned int k = 0; k < scan->count; k++) {
			result = show(scan, &scan->keys[k]);
			if (result)
				return result;
		}
	}
	return 0;
}

static void tell(struct scan *scan, struct estate_answer *answer)
{
	const struct roster *roster = scan->view->roster;

	*answer = (struct estate_answer){ .asked = roster->count,
					  .present = scan->most,
					  .who = scan->view->missing };
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		if (scan->why[i])
			scan->view->missing[answer->missing++] =
				(struct estate_missing){ entry->name, entry->uuid, scan->why[i] };
		else
			answer->stale += (unsigned int)view_stale(entry);
	}
	answer->answered = answer->asked - answer->missing;
}

int estate_scan_global(struct estate_view *view, struct estate_table *table,
		       const struct estate_query *query, estate_scan_fn *visit, void *arg,
		       struct estate_answer *answer)
{
	struct scan scan = { .view = view, .visit = visit, .arg = arg };
	int result;

	if (!view || !table || !visit)
		return error_set(-EINVAL, "estate_scan_global: %s is NULL",
				 !view	  ? "view"
				 : !table ? "table"
					  : "visit");
	result = reducer_init(&scan.query.reducer, &table->geometry, table->custom,
			      table->custom_arg, query);
	if (result)
		return result;
	scan.out_size = reducer_result_size(&scan.query.reducer);
	if (scan.out_size < table->geometry.value_size)
		scan.out_size = table->geometry.value_size;
	result = view_begin(view, table, query, 1, scan.out_size, UINT64_MAX, &scan.query);
	if (result)
		return result;
	scan.out = aligned_alloc(16, (scan.out_size + 15) / 16 * 16);
	scan.why = calloc(view->roster->count + 1, sizeof(*scan.why));
	if (!scan.out || !scan.why) {
		result = error_set(-ENOMEM, "scan: no memory for a value of %zu bytes",
				   scan.out_size);
		goto out;
	}
	result = walk(&scan);
	if (answer)
		tell(&scan, answer);
out:
	free(scan.keys);
	free(scan.why);
	free(scan.out);
	return result;
}
