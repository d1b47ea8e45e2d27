/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that outlives the process: all that is stored in it goes through here,
 * so that tests can take the place of libpmem and keep account of what would be
 * there after a loss of power.
 */
#ifndef PERSIST_H
#define PERSIST_H

#include <stddef.h>

struct persist {
	unsigned char *memory;
	size_t size;
	int real; /* persistent memory; otherwise a file's pages, which take system calls */
	int fd; /* that holds the lock */
};

/*
 * Map the file or DAX device @path, for this process alone; it is made, or
 * enlarged from nothing to @size bytes, if need be. 0, or a negative errno value
 * with a sentence.
 */
int persist_open(struct persist *persist, const char *path, size_t size);
/*
 * The same for one that is there, only to be read: others may read it, too, but
 * nobody have it open for himself. -EBUSY: somebody has.
 */
int persist_open_to_read(struct persist *persist, const char *path);
void persist_close(struct persist *persist);

/* Stores that are waited for together. Nothing says in which order they arrive. */
struct persist_batch {
	struct persist *persist;
	unsigned char *low; /* what was stored lies between these */
	unsigned char *high;
};

static inline struct persist_batch persist_begin(struct persist *persist)
{
	return (struct persist_batch){ persist, NULL, NULL };
}

void persist_copy(struct persist_batch *batch, void *to, const void *from, size_t length);
void persist_zero(struct persist_batch *batch, void *to, size_t length);

/* When it returns 0, all of the batch is there for good; it can be used again. -EIO with a sentence. */
int persist_drain(struct persist_batch *batch);

#endif
