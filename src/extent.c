// SPDX-License-Identifier: BSD-3-Clause
#include "extent.h"

#include "crc.h"
#include "sidecar.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* Copy and check piece by piece, so that the second pass finds the first's in the cache. */
#define PIECE 16384

int extent_pool_init(struct extent_pool *pool, const struct geometry *geometry,
		     unsigned char *memory)
{
	if (!geometry->blocks)
		return 0;
	pool->queue = malloc(geometry->blocks * sizeof(*pool->queue));
	if (!pool->queue)
		return -ENOMEM;
	pool->memory = memory;
	pool->blocks = (uint32_t)geometry->blocks;
	pool->block_size = geometry->block_size;
	pool->count = pool->blocks;
	for (uint32_t i = 0; i < pool->blocks; i++)
		pool->queue[i] = i;
	return 0;
}

void extent_pool_destroy(struct extent_pool *pool)
{
	free(pool->queue);
}

void extent_pool_reserve(struct extent_pool *pool, const uint64_t *used)
{
	pool->head = 0;
	pool->count = 0;
	for (uint32_t block = 0; block < pool->blocks; block++)
		if (!(used[block / 64] >> block % 64 & 1))
			pool->queue[pool->count++] = block;
}

int extent_try_take(struct extent_pool *pool, uint32_t *block)
{
	int taken;

	sidecar_lock(&pool->lock);
	taken = pool->count > 0;
	if (taken) {
		*block = pool->queue[pool->head];
		pool->head = pool->head + 1 == pool->blocks ? 0 : pool->head + 1;
		pool->count--;
	}
	sidecar_unlock(&pool->lock, 0);
	return taken;
}

uint32_t extent_take(struct extent_pool *pool)
{
	uint32_t block;

	while (!extent_try_take(pool, &block))
		sched_yield();
	return block;
}

void extent_free(struct extent_pool *pool, uint32_t block)
{
	uint64_t tail;

	sidecar_lock(&pool->lock);
	tail = (uint64_t)pool->head + pool->count;
	pool->queue[tail < pool->blocks ? tail : tail - pool->blocks] = block;
	pool->count++;
	sidecar_unlock(&pool->lock, 0);
}

int extent_load(const struct layout_extent *extent, uint32_t salt, const void *block, void *value)
{
	uint32_t crc = salt;

	for (uint32_t done = 0; done < extent->length;) {
		uint32_t piece = extent->length - done;

		if (piece > PIECE)
			piece = PIECE;
		shared_copy_from((unsigned char *)value + done, (const unsigned char *)block + done,
				 piece);
		crc = crc_bytes(crc, (unsigned char *)value + done, piece);
		done += piece;
	}
	return crc == extent->crc ? 0 : -EBADMSG;
}

uint32_t extent_store(void *block, uint32_t salt, const void *value, size_t length)
{
	uint32_t crc = salt;

	for (size_t done = 0; done < length;) {
		size_t piece = length - done;

		if (piece > PIECE)
			piece = PIECE;
		crc = crc_bytes(crc, (const unsigned char *)value + done, piece);
		shared_copy_to((unsigned char *)block + done, (const unsigned char *)value + done,
			       piece);
		done += piece;
	}
	return crc;
}

#ifdef SHARED_TSAN
void *extent_edit(const struct extent_pool *pool, void *block)
{
	void *value = malloc(pool->block_size);

	(void)block;
	if (!value)
		abort();
	return value;
}

void extent_edited(void *block, void *value, size_t length)
{
	shared_copy_to(block, value, length);
	free(value);
}
#else
void *extent_edit(const struct extent_pool *pool, void *block)
{
	(void)pool;
	return block;
}

void extent_edited(void *block, void *value, size_t length)
{
	(void)block;
	(void)value;
	(void)length;
}
#endif
