// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the memory of scripts/vcluster's --pmem must be: persistent, by libpmem's
 * own judgement. Run as: vcluster-pmem-pattern write|check PATH..., each a file
 * or a DAX device. Ends with 0 if all are, and have the pattern.
 */
#include <err.h>
#include <libpmem.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SIZE (4 << 20)

static uint64_t pattern[SIZE / sizeof(uint64_t)];

/* Another one for each path, and nowhere what new memory has. */
static void make_pattern(int path)
{
	uint64_t word = (uint64_t)path;

	for (size_t i = 0; i < SIZE / sizeof(uint64_t); i++) {
		word = word * 6364136223846793005U + 1442695040888963407U;
		pattern[i] = word | 1;
	}
}

/* At least SIZE bytes. A file is made if it is to be written. */
static void *map(const char *path, int write, size_t *length)
{
	struct stat status;
	int is_pmem;
	void *memory;

	if (write && (stat(path, &status) || S_ISREG(status.st_mode)))
		memory = pmem_map_file(path, SIZE, PMEM_FILE_CREATE, 0600, length, &is_pmem);
	else
		memory = pmem_map_file(path, 0, 0, 0, length, &is_pmem);
	if (!memory)
		errx(1, "%s: %s", path, pmem_errormsg());
	if (!is_pmem || !pmem_is_pmem(memory, *length))
		errx(1, "%s is no persistent memory", path);
	if (*length < SIZE)
		errx(1, "%s has only %zu bytes", path, *length);
	return memory;
}

int main(int argc, char **argv)
{
	int write = argc > 1 && strcmp(argv[1], "write") == 0;

	if (argc < 3 || (!write && strcmp(argv[1], "check") != 0))
		errx(2, "usage: vcluster-pmem-pattern write|check PATH...");
	for (int path = 2; path < argc; path++) {
		size_t length;
		void *memory = map(argv[path], write, &length);

		make_pattern(path);
		if (write)
			pmem_memcpy_persist(memory, pattern, SIZE);
		else if (memcmp(memory, pattern, SIZE) != 0)
			errx(1, "%s does not have the pattern", argv[path]);
		if (pmem_unmap(memory, length))
			err(1, "unmap %s", argv[path]);
	}
	return 0;
}
