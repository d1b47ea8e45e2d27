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

	/* When it was found: in the landing memory, aligned to 8. */
	unsigned char *value;
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

/* Begin at the home bucket: what fetch_begin_again() does if it is not told better. */
void fetch_begin_home(struct fetch *fetch);

/* Begin anew, with what @fetch's key is now: @slot is where it was seen last, or FETCH_NO_SLOT. */
static inline void fetch_begin_again(struct fetch *fetch, uint32_t slot)
{
	const struct geometry *geometry = fetch->attempt.geometry;

	fetch->attempt.number = 1;
	fetch->attempt.doubts = 0;
	if (unlikely(slot >= geometry->slots)) {
		fetch_begin_home(fetch);
		return;
	}
	fetch->slot = slot;
	fetch->stage = FETCH_SLOT;
	fetch->offset = fetch->table + geometry_slot_offset(geometry, slot);
	fetch->length = geometry->copy_size * 2;
	fetch->to = fetch->landing;
}

/*
 * Begin: @slot is where the key was seen last, or FETCH_NO_SLOT. @key stays
 * valid until the fetch ends; @landing has fetch_room() bytes, aligned to 8.
 */
static inline void fetch_begin(struct fetch *fetch, const struct far_table *table,
			       const struct entry_key *key, uint32_t slot, unsigned char *landing)
{
	judge_begin(&fetch->attempt, table->geometry, table->salt, key, 0);
	fetch->table = table->offset;
	fetch->landing = landing;
	fetch_begin_again(fetch, slot);
}

/* The common case: the key is in this slot, and all is well. The value stays where it landed. */
ENTRY_INLINE int fetch_glance(struct fetch *fetch, uint32_t slot, const unsigned char *copies)
{
	const struct geometry *geometry = fetch->attempt.geometry;
	struct glance found;

	if (!ENTRY_KEY_WORDS(geometry, judge_glance, geometry, fetch->attempt.salt,
			     fetch->attempt.key, slot, copies, NULL, &found))
		return 0;
	fetch->slot = slot;
	fetch->value = fetch->landing + ((const unsigned char *)found.value - fetch->landing);
	fetch->value_length = found.length;
	fetch->stamp = found.stamp;
	return 1;
}

/*
 * The READ is in the landing memory. FETCH_MORE: post the next one. 0: the value
 * is there. -ENOENT: the key is proved absent. -EBADMSG: what is there would not
 * verify, however often it was read.
 */
int fetch_step(struct fetch *fetch);

#endif
