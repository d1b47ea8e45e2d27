/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread's handle for global reads. Takes no lock but when the group has changed. */
#ifndef VIEW_H
#define VIEW_H

#include "member.h"
#include "reduce.h"
#include "remote.h"
#include "store.h"

#include <estate/view.h>

/* Where an instance has a table. */
struct view_place {
	int state; /* 0: @table is it; -EAGAIN: to be looked up; else why it cannot be read */
	unsigned int tables; /* how many its directory had when it was looked up */
	struct remote_table table;
};

struct estate_view {
	struct estate *es;
	uint32_t deadline_us;
	uint64_t generation;
	struct roster *roster;
	struct view_place *places[ESTATE_TABLES_MAX]; /* one per roster entry; NULL: not used yet */
	struct estate_missing *missing;
	size_t missing_room;
	size_t missing_count;
	struct reduce_room room;
};

/* A query on a table, checked, and by when it must be done. */
struct view_query {
	struct estate_table *table;
	struct reducer reducer;
	uint64_t deadline_us; /* CLOCK_MONOTONIC */
};

/*
 * Begin a call: take over the newest roster, see that there is room for @count
 * keys' results. @no_deadline: what a query without one gets. With a sentence.
 */
int view_begin(struct estate_view *view, struct estate_table *table,
	       const struct estate_query *query, unsigned int count, size_t out_size,
	       uint64_t no_deadline_us, struct view_query *ready);

/* One key, which is ready but for the salt. As estate_query_global(). */
int view_get(struct estate_view *view, const struct view_query *query, struct entry_key *key,
	     void *out, size_t out_size, struct estate_answer *answer);

/* Whether a member's heart stopped beating. */
static inline int view_stale(const struct roster_entry *entry)
{
	return entry->peer && __atomic_load_n(&entry->peer->stale, __ATOMIC_RELAXED);
}

/* Where roster entry @i has the table, for the scan; NULL: *@error says why it cannot be read. */
const struct remote_table *view_place(struct estate_view *view, const struct estate_table *table,
				      unsigned int i, int *error);

#endif
