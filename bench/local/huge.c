// SPDX-License-Identifier: BSD-3-Clause
#include "huge.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)4096)

static size_t round_up(size_t bytes)
{
	return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

void *huge_alloc(size_t bytes)
{
	size_t rounded = round_up(bytes);
	char *start = mmap(NULL, rounded + HUGE_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;

	if (start == MAP_FAILED) {
		perror("mmap");
		return NULL;
	}
	before = -(uintptr_t)start % HUGE_PAGE;
	if (before)
		munmap(start, before);
	if (before != HUGE_PAGE)
		munmap(start + before + rounded, HUGE_PAGE - before);
	start += before;
	madvise(start, rounded, MADV_HUGEPAGE);
	memset(start, 0, rounded);
	return start;
}

void huge_free(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, round_up(bytes));
}

static int is_zero(const char *page)
{
	static const char zeros[SMALL_PAGE];

	return !memcmp(page, zeros, SMALL_PAGE);
}

int huge_replace(void *memory, size_t bytes)
{
	char *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *place = memory;

	if (copy == MAP_FAILED) {
		perror("mmap");
		return -1;
	}
	for (size_t i = 0; i < bytes; i += SMALL_PAGE) {
		if (!is_zero(place + i))
			memcpy(copy + i, place + i, SMALL_PAGE);
	}
	if (mmap(memory, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED) {
		perror("mmap");
		munmap(copy, bytes);
		return -1;
	}
	madvise(memory, bytes, MADV_HUGEPAGE);
	for (size_t i = 0; i < bytes; i += SMALL_PAGE) {
		if (!is_zero(copy + i))
			memcpy(place + i, copy + i, SMALL_PAGE);
	}
	munmap(copy, bytes);
	return 0;
}

void huge_malloc(char **argv)
{
	static const char tunable[] = "glibc.malloc.hugetlb=1";
	const char *set = getenv("GLIBC_TUNABLES");

	if (set && strstr(set, tunable))
		return;
	setenv("GLIBC_TUNABLES", tunable, 1);
	execv("/proc/self/exe", argv);
	perror("execv");
}
