// SPDX-License-Identifier: BSD-3-Clause
#include "bias.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

void bias_init(struct bias *bias)
{
	*bias = (struct bias){ 0 };
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		bias->owner = BIAS_SHARED;
}

/* Until all who were owners have left; whoever comes later sees what the caller stored. */
static void wait_for_owners(const struct bias *bias)
{
	/* Cannot fail after the registration. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	for (unsigned int turn = 1; turn <= BIAS_TURNS; turn++) {
		/* It may have been preempted: on a busy core, let it run. */
		for (unsigned int spins = 1; __atomic_load_n(&bias->busy[turn], __ATOMIC_ACQUIRE);
		     spins++) {
			if (spins % 64)
				shared_pause();
			else
				sched_yield();
		}
	}
}

static uint64_t next_owner(uint64_t owner)
{
	uint64_t turn = (owner & BIAS_TURN_MASK) + 1;

	if (turn > BIAS_TURNS || bias_self() & BIAS_TURN_MASK)
		return BIAS_PENDING;
	return bias_self() + turn;
}

/*
 * Whoever finds a table that is to be shared waits as well: it cannot know how far the others are.
 */
static uint8_t *share(struct bias *bias)
{
	wait_for_owners(bias);
	__atomic_store_n(&bias->owner, BIAS_SHARED, __ATOMIC_RELEASE);
	return NULL;
}

uint8_t *bias_take(struct bias *bias)
{
	uint64_t owner = __atomic_load_n(&bias->owner, __ATOMIC_ACQUIRE);

	while (owner != BIAS_SHARED) {
		uint64_t next = next_owner(owner);
		uint8_t *busy = &bias->busy[next & BIAS_TURN_MASK];

		if (owner == BIAS_PENDING)
			return share(bias);
		if (!__atomic_compare_exchange_n(&bias->owner, &owner, next, 0, __ATOMIC_SEQ_CST,
						 __ATOMIC_ACQUIRE))
			continue;
		if (next == BIAS_PENDING)
			return share(bias);
		/* The one before us may still be waiting for those before it. */
		wait_for_owners(bias);
		__atomic_store_n(busy, 1, __ATOMIC_SEQ_CST);
		owner = __atomic_load_n(&bias->owner, __ATOMIC_SEQ_CST);
		if (owner == next)
			return busy;
		__atomic_store_n(busy, 0, __ATOMIC_RELEASE);
	}
	return NULL;
}
