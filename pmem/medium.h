/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that outlives the process: all that is stored in it goes through here,
 * so that tests can take the place of libpmem and keep account of what would be
 * there after a loss of power. persist.h is what others use.
 */
#ifndef MEDIUM_H
#define MEDIUM_H

#include <stddef.h>

struct medium {
	unsigned char *memory;
	size_t size;
	int real; /* persistent memory; otherwise a file's pages, which take system calls */
	int fd; /* that holds the lock */
	int failed; /* see persist.h */
};

/*
 * Map the file or DAX device @path, for this process alone; it is made, or
 * enlarged from nothing to @size bytes, if need be. 0, or a negative errno value
 * with a sentence.
 */
int medium_open(struct medium *medium, const char *path, size_t size);
/*
 * The same for one that is there, only to be read: others may read it, too, but
 * nobody have it open for himself. -EBUSY: somebody has.
 */
int medium_open_to_read(struct medium *medium, const char *path);
void medium_close(struct medium *medium);

/* Stores that are waited for together. Nothing says in which order they arrive. */
struct persist_batch {
	struct medium *medium;
	unsigned char *low; /* what was stored lies between these */
	unsigned char *high;
};

void medium_copy(struct persist_batch *batch, void *to, const void *from, size_t length);
void medium_zero(struct persist_batch *batch, void *to, size_t length);

/* 0: all of the batch is there for good, and it is empty. -EIO with a sentence: nobody knows. */
int medium_drain(struct persist_batch *batch);

#endif
