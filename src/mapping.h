/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory from the kernel, on huge pages where it gives them: random access to a
 * table is all TLB misses otherwise.
 */
#ifndef MAPPING_H
#define MAPPING_H

#include <stddef.h>

/* Zeroed memory of this process alone; NULL if there is none. */
void *mapping_private(size_t bytes);

/* Map all of @fd, shared; @writable or read-only. NULL and errno on failure. */
void *mapping_shared(int fd, size_t bytes, int writable);

/* Take the memory of a part of a mapping now, not at the first touch. 0 or a negative errno value. */
int mapping_populate(void *memory, size_t bytes);

/*
 * The same for memory that a thread fills from the front to the end, which is @limit: it is
 * taken a huge page at a time, so that what the kernel has just cleared is filled while it is
 * in the CPU's caches. All before @until is there afterwards, and all before *@taken.
 */
int mapping_populate_to(unsigned char **taken, const unsigned char *until, unsigned char *limit);

void mapping_free(void *memory, size_t bytes);

#endif
