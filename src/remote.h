/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a table in memory that somebody else writes, with nothing but that
 * memory: whatever is in it may be torn, stale or hostile.
 */
#ifndef REMOTE_H
#define REMOTE_H

#include "geometry.h"
#include "judge.h"

#include <stddef.h>
#include <stdint.h>

struct remote_table {
	const struct geometry *geometry;
	const unsigned char *buckets;
	uint32_t salt;
};

/* A value that was read. */
struct remote_value {
	void *data; /* room for the table's value_size rounded up to 8, by the caller; aligned to 8 */
	size_t length;
	uint64_t stamp;
	uint32_t slot; /* where it was */
};

/*
 * Look for the key in @slot alone, whose copies are at @copies. 0: it is not proved to be
 * there, and may be anywhere.
 */
ENTRY_INLINE int remote_glance(const struct remote_table *table, const struct entry_key *key,
			       uint32_t slot, const unsigned char *copies,
			       struct remote_value *value)
{
	struct glance glance;

	if (!ENTRY_KEY_WORDS(table->geometry, judge_glance, table->geometry, table->salt, key, slot,
			     copies, value->data, &glance))
		return 0;
	value->length = glance.length;
	value->stamp = glance.stamp;
	value->slot = slot;
	return 1;
}

/*
 * Read one key. Returns when @deadline_us (CLOCK_MONOTONIC) has passed at the latest, or soon thereafter.
 *
 * 0; -ENOENT: the key is proved absent; -ETIMEDOUT; -EBADMSG: what is there would not
 * verify, however often it was read. No sentence: a view reports these per instance.
 */
int remote_get(const struct remote_table *table, const struct entry_key *key, uint64_t deadline_us,
	       struct remote_value *value);

/* A table's buckets for remote_home(), wherever they come from. */
struct remote_source {
	const struct geometry *geometry;
	uint32_t salt;
	/*
	 * Bucket @number, as it is for attempt 1, 2, ... to read one home; NULL, and
	 * *@error is why it cannot be read.
	 */
	const unsigned char *(*bucket)(void *arg, uint64_t number, unsigned int attempt,
				       int *error);
	void *arg;
};

/* Of memory that is mapped. @table stays where it is. */
struct remote_source remote_source(const struct remote_table *table);

/*
 * The live entries whose home is bucket @home, at most @max of them. Returns how
 * many there are, which may be more, or an error as remote_get() does.
 */
int remote_home(const struct remote_source *source, uint64_t home, uint64_t deadline_us,
		struct entry_copy *found, unsigned int max);

#endif
