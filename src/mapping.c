// SPDX-License-Identifier: BSD-3-Clause
#include "mapping.h"

#include "parallel.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define SMALL_PAGE 4096
#define POPULATE_MIN (16 * HUGE_PAGE) /* per thread */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Address space that begins on a huge page, or NULL. */
static char *reserve(size_t bytes)
{
	char *start = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;
	size_t page = 4096;
	size_t rounded = (bytes + page - 1) / page * page;

	if (start == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)start % HUGE_PAGE;
	if (before)
		munmap(start, before);
	if (rounded < bytes + HUGE_PAGE - before)
		munmap(start + before + rounded, bytes + HUGE_PAGE - before - rounded);
	return start + before;
}

static void *map(size_t bytes, int protection, int flags, int fd)
{
	char *start = reserve(bytes);
	void *memory;

	if (!start)
		return NULL;
	memory = mmap(start, bytes, protection, flags | MAP_FIXED, fd, 0);
	if (memory == MAP_FAILED) {
		int error = errno;

		munmap(start, bytes);
		errno = error;
		return NULL;
	}
	/* Only advice: without huge pages all works, slower. */
	madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

void *mapping_private(size_t bytes)
{
	return map(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

void *mapping_shared(int fd, size_t bytes, int writable)
{
	return map(bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd);
}

static int take(void *memory, size_t bytes)
{
	/* An older kernel: the first touch takes the memory, as it always did. */
	return madvise(memory, bytes, MADV_POPULATE_WRITE) && errno != EINVAL ? -errno : 0;
}

int mapping_populate_to(unsigned char **taken, const unsigned char *until, unsigned char *limit)
{
	while (*taken < until) {
		unsigned char *first = *taken - (uintptr_t)*taken % SMALL_PAGE;
		unsigned char *end = first - (uintptr_t)first % HUGE_PAGE + HUGE_PAGE;
		int error;

		if (end > limit)
			end = limit;
		error = take(first, (size_t)(end - first));
		if (error)
			return error;
		*taken = end;
	}
	return 0;
}

struct part {
	char *memory;
	size_t bytes;
	int error;
};

static void *populate(void *arg)
{
	struct part *part = arg;

	part->error = take(part->memory, part->bytes);
	return NULL;
}

int mapping_populate(void *memory, size_t bytes)
{
	unsigned int threads = parallel_threads(bytes, POPULATE_MIN);
	struct part parts[PARALLEL_MAX];
	size_t each = bytes / threads / HUGE_PAGE * HUGE_PAGE;
	int error = 0;

	for (unsigned int i = 0; i < threads; i++)
		parts[i] = (struct part){ .memory = (char *)memory + i * each, .bytes = each };
	parts[threads - 1].bytes = bytes - (threads - 1) * each;
	/* Nearly all of it is the kernel clearing pages. */
	parallel_run(populate, parts, sizeof(*parts), threads);
	for (unsigned int i = 0; i < threads && !error; i++)
		error = parts[i].error;
	return error;
}

void mapping_free(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}
