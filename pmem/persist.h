/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storing in a medium for good. A drain that fails is its last: the kernel says once
 * that pages could not be written, and takes them for clean then (fsync(2)), so that a later
 * drain may succeed without them. From then on nothing is stored, so that what was drained
 * before stays, and each drain says so.
 */
#ifndef PERSIST_H
#define PERSIST_H

#include "medium.h"
#include "shared.h"

static inline struct persist_batch persist_begin(struct medium *medium)
{
	return (struct persist_batch){ medium, NULL, NULL };
}

static inline int persist_has_failed(const struct medium *medium)
{
	return __atomic_load_n(&medium->failed, __ATOMIC_ACQUIRE);
}

static inline void persist_copy(struct persist_batch *batch, void *to, const void *from,
				size_t length)
{
	if (unlikely(persist_has_failed(batch->medium)))
		return;
	medium_copy(batch, to, from, length);
}

static inline void persist_zero(struct persist_batch *batch, void *to, size_t length)
{
	if (unlikely(persist_has_failed(batch->medium)))
		return;
	medium_zero(batch, to, length);
}

/* When it returns 0, all of the batch is there for good; it can be used again. -EIO with a sentence. */
int persist_drain(struct persist_batch *batch);

/* Whether a drain has failed: 0, or -EIO with a sentence. */
int persist_check(const struct medium *medium);

#endif
