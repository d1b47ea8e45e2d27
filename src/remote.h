/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a table in memory that somebody else writes, with nothing but that
 * memory: whatever is in it may be torn, stale or hostile.
 */
#ifndef REMOTE_H
#define REMOTE_H

#include "entry.h"
#include "geometry.h"

#include <stddef.h>
#include <stdint.h>

struct remote_table {
	const struct geometry *geometry;
	const unsigned char *buckets;
	uint32_t salt;
};

/* A value that was read. */
struct remote_value {
	void *data; /* room for the table's value_size, by the caller; aligned to 8 */
	size_t length;
	uint64_t stamp;
};

/*
 * Read one key, of which @key->crc was made with this table's salt. Returns when
 * @deadline_us (CLOCK_MONOTONIC) has passed at the latest, or soon thereafter.
 *
 * 0; -ENOENT: the key is proved absent; -ETIMEDOUT; -EBADMSG: what is there would not
 * verify, however often it was read. No sentence: a view reports these per instance.
 */
int remote_get(const struct remote_table *table, const struct entry_key *key, uint64_t deadline_us,
	       struct remote_value *value);

/* A key found by remote_home(). */
struct remote_key {
	uint32_t length;
	uint64_t words[ESTATE_KEY_MAX / 8];
};

/*
 * The live keys whose home is bucket @home, at most @max of them. Returns how
 * many there are, which may be more, or an error as remote_get() does.
 */
int remote_home(const struct remote_table *table, uint64_t home, uint64_t deadline_us,
		struct remote_key *keys, unsigned int max);

#endif
