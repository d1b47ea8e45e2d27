/* SPDX-License-Identifier: BSD-3-Clause */
/* The strings that the monitor looks for. */
#ifndef MONITOR_PATTERNS_H
#define MONITOR_PATTERNS_H

#include <stddef.h>

struct patterns {
	const char **strings; /* the caller's; they must outlive this */
	size_t count;
};

/* Returns 0, -EINVAL for an empty string or -ENOMEM. */
int patterns_add(struct patterns *patterns, const char *string);

void patterns_free(struct patterns *patterns);

/*
 * How many of the patterns the payload contains, each counted once. A pattern
 * that is cut by the end of a packet is not found: streams are not reassembled.
 */
size_t patterns_found(const struct patterns *patterns, const void *payload, size_t length);

#endif
