/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may write a table without locked instructions.
 *
 * A table that one thread writes needs no lock, and a locked instruction on the way
 * of a put costs a sixth of it: nothing that comes after it begins before it has
 * ended. So a table is biased (Kawachiya, Koseki and Onodera, "Lock Reservation",
 * OOPSLA 2002; Dice, Moir and Scherer, "Quickly Reacquirable Locks", 2003)
 * towards the thread that writes it. That thread says that it is busy by a plain
 * store, and then looks whether the table is still its own. Another thread makes the
 * table its own, lets the kernel run a barrier on all CPUs that this process runs on
 * (membarrier(2)), and waits until nobody is busy. After that barrier the former owner
 * has either been seen to be busy, or sees that it is not the owner any more.
 *
 * Each change of owners is a turn. After BIAS_TURNS of them several threads do
 * write, and from then on they all take locks. A turn has a word of its own to be
 * busy in, which is written by nobody else ever: so the last store of a thread that
 * was held up in between cannot harm a later owner.
 */
#ifndef BIAS_H
#define BIAS_H

#include "shared.h"

#include <stdint.h>

/* Turns 1 to BIAS_TURNS have an owner. */
#define BIAS_TURNS 61
#define BIAS_PENDING 62 /* shared as soon as nobody is busy */
#define BIAS_SHARED 63 /* for good */
#define BIAS_TURN_MASK 63

struct bias {
	uint64_t owner; /* its bias_self(), plus the turn; 0: nobody has come yet */
	uint8_t busy[BIAS_TURNS + 1] __attribute__((aligned(64)));
};

/*
 * What stands for a thread: its thread pointer, which is in a register. (A thread-local
 * variable's address is found by way of memory, and that took an eighth of a put.) It has
 * zeros where the turn goes, or bias_take() sees to it that the table is shared.
 */
static inline uintptr_t bias_self(void)
{
#if defined(__x86_64__)
	uintptr_t self;

	/* ELF Handling For Thread-Local Storage (Drepper, 2013), section 3.4.6: it points to itself. */
	__asm__("mov %%fs:0, %0" : "=r"(self));
	return self;
#else
	return (uintptr_t)__builtin_thread_pointer();
#endif
}

/* Nobody's, or shared from the start if the kernel cannot do its part. */
void bias_init(struct bias *bias);

/* As bias_enter(), of a table that is another thread's or nobody's. */
uint8_t *bias_take(struct bias *bias);

static inline int bias_is_shared(const struct bias *bias)
{
	return __atomic_load_n(&bias->owner, __ATOMIC_ACQUIRE) == BIAS_SHARED;
}

/* What to give to bias_leave(), for the owner; NULL for anybody else. */
static inline __attribute__((always_inline)) uint8_t *bias_try(struct bias *bias)
{
	uint64_t owner = __atomic_load_n(&bias->owner, __ATOMIC_ACQUIRE);
	uint64_t turn = owner - bias_self();
	uint8_t *busy;

	if (unlikely(turn > BIAS_TURNS))
		return NULL;
	busy = &bias->busy[turn];
	__atomic_store_n(busy, 1, __ATOMIC_RELAXED);
	/* For the compiler; the CPU's part is the new owner's membarrier(). */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (likely(__atomic_load_n(&bias->owner, __ATOMIC_RELAXED) == owner))
		return busy;
	__atomic_store_n(busy, 0, __ATOMIC_RELEASE);
	return NULL;
}

/* What to give to bias_leave(). NULL: the table is shared, take the lock. */
static inline __attribute__((always_inline)) uint8_t *bias_enter(struct bias *bias)
{
	uint8_t *busy = bias_try(bias);

	return likely(busy != NULL) || bias_is_shared(bias) ? busy : bias_take(bias);
}

static inline __attribute__((always_inline)) void bias_leave(uint8_t *busy)
{
	__atomic_store_n(busy, 0, __ATOMIC_RELEASE);
}

#endif
