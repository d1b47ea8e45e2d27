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

void mapping_free(void *memory, size_t bytes);

#endif
