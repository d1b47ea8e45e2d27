/* SPDX-License-Identifier: BSD-3-Clause */
/* A way to get a key's total over the group: all are driven by the same loop. */
#ifndef ASKER_H
#define ASKER_H

#include "group.h"

#include <stdint.h>

struct asker {
	const char *name;
	const char *how;
	size_t chunk; /* operations that are timed at once: some hundred microseconds */
	int pinned; /* whether it is one thread's work, so that a core of its own helps */

	/* 0; 1: not here; -1 after a message. */
	int (*open)(const struct group *group);
	void (*close)(void);

	/* The sums of all owners' counters. 0, or -1: fewer than all answered. */
	int (*ask)(const void *key, uint64_t totals[COUNTERS]);

	/* The same for BATCH keys, or NULL. */
	int (*ask_batch)(const void *const *keys, uint64_t totals[BATCH][COUNTERS]);
};

extern const struct asker asker_estate;
extern const struct asker asker_zmq;
extern const struct asker asker_redis;

#endif
