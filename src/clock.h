/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", OPODIS
 * 2014): 52 bits of microseconds since 1970, 12 bits of counter. It is pushed
 * forward by physical time once a tick, and by every stamp that this instance
 * reads from a peer; a write takes a stamp above both it and the entry's last.
 * So what was written after reading a peer's value is later than that value,
 * whatever the wall clocks say.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#define CLOCK_TICK_US 1000
#define CLOCK_COUNTER_BITS 12

/*
 * A peer whose clock is wrong, or who lies, must not drag ours to the end of
 * time: stamps more than this far ahead of our own wall clock are not taken over.
 */
#define CLOCK_AHEAD_MAX_US (3600ull * 1000 * 1000)

struct clock {
	uint64_t now;
};

/* The wall clock as a stamp. */
uint64_t clock_physical(void);

/* Push @clock forward to physical time. Any thread. */
void clock_tick(struct clock *clock);

/* Push @clock forward to a stamp of our own. Any thread. */
void clock_raise(struct clock *clock, uint64_t stamp);

/* Push @clock forward to a stamp that was read, and is later. Any thread. */
void clock_observe_later(struct clock *clock, uint64_t stamp);

/* The same for any stamp; few are later. */
static inline void clock_observe(struct clock *clock, uint64_t stamp)
{
	if (stamp > __atomic_load_n(&clock->now, __ATOMIC_RELAXED))
		clock_observe_later(clock, stamp);
}

/* A stamp for a write over an entry whose last stamp was @last. */
static inline uint64_t clock_stamp(const struct clock *clock, uint64_t last)
{
	uint64_t now = __atomic_load_n(&clock->now, __ATOMIC_RELAXED);

	return (now > last ? now : last) + 1;
}

/* CLOCK_MONOTONIC in microseconds: for deadlines and heartbeats. */
uint64_t clock_monotonic_us(void);

#endif
