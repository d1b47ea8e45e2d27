/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The blocks in which a table keeps its large values. A new value goes into a
 * free block, the slot's descriptor is changed to it, and the old block is freed:
 * to the end of a queue, so that a reader who still has the old descriptor has
 * as long as possible before the block is written again.
 */
#ifndef EXTENT_H
#define EXTENT_H

#include "geometry.h"

#include <stddef.h>
#include <stdint.h>

#define NO_BLOCK UINT32_MAX

struct extent_pool {
	unsigned char *memory; /* of the table, at its extents */
	uint32_t *queue; /* free blocks, a ring of @blocks */
	uint32_t blocks;
	uint32_t block_size;
	uint32_t head;
	uint32_t count;
	uint32_t lock;
};

/* The blocks at @memory, all of them free. 0 or -ENOMEM. */
int extent_pool_init(struct extent_pool *pool, const struct geometry *geometry,
		     unsigned char *memory);
void extent_pool_destroy(struct extent_pool *pool);

/* Take all blocks whose bit in @used is set: what a recovery found. Before the pool is used. */
void extent_pool_reserve(struct extent_pool *pool, const uint64_t *used);

/*
 * A free block. There always is one soon: a table has as many as entries, and
 * some more for calls in flight, each of which frees one when it is done.
 */
uint32_t extent_take(struct extent_pool *pool);
/* The same without waiting: 1, or 0 if there is none now. */
int extent_try_take(struct extent_pool *pool, uint32_t *block);
void extent_free(struct extent_pool *pool, uint32_t block);

static inline void *extent_block(const struct extent_pool *pool, uint64_t block)
{
	return pool->memory + block * pool->block_size;
}

/*
 * Copy the value that @extent describes from @memory (the table's extents) to
 * @value, and verify the copy. 0, or -EBADMSG.
 */
int extent_load(const struct layout_extent *extent, uint32_t salt, const void *block, void *value);

/* Copy a value into @block; returns its CRC. */
uint32_t extent_store(void *block, uint32_t salt, const void *value, size_t length);

/*
 * Where a caller's function may change a value that goes into @block: the block
 * itself, which nobody's descriptor leads to. A reader with an old descriptor
 * may still be reading it, which does no harm, but ThreadSanitizer would say so:
 * for it alone, a buffer aside.
 */
void *extent_edit(const struct extent_pool *pool, void *block);
void extent_edited(void *block, void *value, size_t length);

#endif
