/* SPDX-License-Identifier: BSD-3-Clause */
/* What a writer holds: a home's lock, or the table as a whole if it is the only one that writes it. */
#ifndef LOCK_H
#define LOCK_H

#include "bias.h"
#include "sidecar.h"

struct hold {
	uint32_t word; /* the home's lock word, as it will be */
	uint8_t *busy; /* of bias_enter(): NULL if it is the lock that is held */
};

/* One of several locks, between bias_enter(), which returned @busy, and lock_end(). */
static inline struct hold lock_join(uint8_t *busy, uint32_t *lock)
{
	return (struct hold){ .word = likely(busy != NULL) ? __atomic_load_n(lock, __ATOMIC_RELAXED)
							   : sidecar_lock(lock),
			      .busy = busy };
}

static inline void lock_part(uint32_t *lock, struct hold hold)
{
	sidecar_unlock(lock, hold.word);
}

static inline void lock_end(uint8_t *busy)
{
	if (likely(busy != NULL))
		bias_leave(busy);
}

/* A thread takes one at a time. */
static inline struct hold lock_take(struct bias *bias, uint32_t *lock)
{
	return lock_join(bias_enter(bias), lock);
}

static inline void lock_give(uint32_t *lock, struct hold hold)
{
	lock_part(lock, hold);
	lock_end(hold.busy);
}

#endif
