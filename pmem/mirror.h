/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table in a pool. A slot there has two copies as well, but its own order of
 * them: not each version of the region's comes here, and the one that does
 * overwrites the older of those that are here. So a crash at any point leaves the
 * last version that was drained. In the same way values in extents have blocks of
 * their own here: one that an entry leaves is not used again before the entry's
 * next version has been drained.
 */
#ifndef MIRROR_H
#define MIRROR_H

#include "extent.h"
#include "format.h"
#include "persist.h"
#include "table.h"

#include <pthread.h>

/* Blocks that may wait for a drain before they are free: less than are spare. */
#define MIRROR_LEFT_MAX 4

struct mirror {
	struct estate_table *table;
	struct medium *medium;
	unsigned char *memory; /* of the pool's, where the table is */
	uint8_t *current; /* one per slot: which of the pool's two copies is the newer one */

	/* Of tables with extents. */
	struct extent_pool blocks;
	uint32_t *block; /* one per slot: that of the newer copy, or NO_BLOCK */
	unsigned char *value; /* room for one, of whoever flushes */

	pthread_mutex_t flushing; /* one round at a time */
	uint64_t entries; /* in the pool, those of whose deletion no drain is known among them */
	unsigned int left_count;
	uint32_t left[MIRROR_LEFT_MAX];
	uint64_t due_us; /* of periodic ones: when the next round begins */
};

/* Of a table of the pool at @memory; every slot is free. 0 or -ENOMEM with a sentence. */
int mirror_init(struct mirror *mirror, struct estate_table *table, struct medium *medium,
		unsigned char *memory);
void mirror_destroy(struct mirror *mirror);

/* Tie it to its table: from now on what is written there comes here. 0 or -ENOMEM. */
int mirror_attach(struct mirror *mirror);

static inline struct layout_copy *mirror_copy(const struct mirror *mirror, uint32_t slot,
					      unsigned int copy)
{
	return (struct layout_copy *)(mirror->memory +
				      format_copy_offset(&mirror->table->geometry, slot, copy));
}

/* Write @copy, of an entry whose lock one has, and drain. 0 or -EIO with a sentence. */
int mirror_write(struct mirror *mirror, uint32_t slot, const struct layout_copy *copy);

/* What a slot shows now, of a table that is flushed now and then. 0 or -EIO with a sentence. */
int mirror_flush_slot(struct mirror *mirror, uint32_t slot);

/* Everything that was written before the call. 0 or -EIO with a sentence. */
int mirror_flush(struct mirror *mirror);

#endif
