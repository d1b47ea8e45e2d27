/* SPDX-License-Identifier: BSD-3-Clause */
/* Work on all of a large piece of memory, by all of the CPUs that the process may use. */
#ifndef PARALLEL_H
#define PARALLEL_H

#include <stddef.h>
#include <stdint.h>

#define PARALLEL_MAX 16

/* How many threads are worth it: one for each CPU, but at least @least of the @units for each. */
unsigned int parallel_threads(uint64_t units, uint64_t least);

/*
 * Run @run on each of @count parts, at most PARALLEL_MAX, of @size bytes each: the first in
 * this thread, the others in threads of their own, as far as there are any.
 */
void parallel_run(void *(*run)(void *part), void *parts, size_t size, unsigned int count);

#endif
