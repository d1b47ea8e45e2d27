/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding a key in a peer's memory by READs: which one to post, and what came of
 * it. A key that was read before is one READ of its slot; another one is one READ
 * of the two buckets where it can be. Only a key in an overflow chain, a value in
 * an extent, and what was torn take more.
 */
#ifndef FETCH_H
#define FETCH_H

#include "judge.h"

#include <stddef.h>
#include <stdint.h>

/* A table in a peer's region. */
struct far_table {
	const struct geometry *geometry;
	uint64_t offset; /* of its first bucket */
	uint32_t salt;
};

#define FETCH_NO_SLOT UINT32_MAX
#define FETCH_MORE 1

enum fetch_stage {
	FETCH_SLOT,
	FETCH_HOME,
	FETCH_CHAIN,
	FETCH_EXTENT
};

struct fetch {
	/* The READ to post: @length bytes of the peer's region from @offset, to @to. */
	uint64_t offset;
	uint32_t length;
	unsigned char *to;

	/* When it was found. */
	const void *value;
	size_t value_length;
	uint64_t stamp;
	uint32_t slot; /* where it is; before: where it is looked for */

	enum fetch_stage stage;
	uint64_t table; /* offset */
	unsigned char *landing;
	uint64_t steps; /* along the chain */
	struct layout_extent extent;
	struct attempt attempt;
};

/* Bytes of landing memory that a fetch in a table needs. */
size_t fetch_room(const struct geometry *geometry);

/*
 * Begin: @slot is where the key was seen last, or FETCH_NO_SLOT. @key stays
 * valid until the fetch ends; @landing has fetch_room() bytes, aligned to 8.
 */
void fetch_begin(struct fetch *fetch, const struct far_table *table, const struct entry_key *key,
		 uint32_t slot, unsigned char *landing);

/*
 * The READ is in the landing memory. FETCH_MORE: post the next one. 0: the value
 * is there. -ENOENT: the key is proved absent. -EBADMSG: what is there would not
 * verify, however often it was read.
 */
int fetch_step(struct fetch *fetch);

#endif
