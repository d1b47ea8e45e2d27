// SPDX-License-Identifier: BSD-3-Clause
/* Memory from the kernel. */
#include "check.h"
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((uintptr_t)2 << 20)

static const size_t sizes[] = { 1, 4095, 4096, 4097, 100000, 2 << 20, (2 << 20) + 1, 5 << 20 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static int make_file(size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* Whether a page is mapped at all: mincore() says ENOMEM of what is not. */
static int is_mapped(const void *memory)
{
	unsigned char there;
	uintptr_t page = (uintptr_t)memory / 4096 * 4096;

	return !mincore((void *)page, 1, &there);
}

static void test_private(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		unsigned char *memory = mapping_private(sizes[i]);

		assert_non_null(memory);
		/* So that huge pages can be put under all of it. */
		assert_int_equal((uintptr_t)memory % HUGE_PAGE, 0);
		for (size_t at = 0; at < sizes[i]; at++)
			assert_int_equal(memory[at], 0);
		memset(memory, 0xa5, sizes[i]);
		mapping_free(memory, sizes[i]);
		assert_false(is_mapped(memory));
		assert_false(is_mapped(memory + sizes[i] - 1));
	}
	mapping_free(NULL, 4096);
}

static void test_too_large(void **state)
{
	(void)state;
	assert_null(mapping_private((size_t)1 << 60));
}

static void test_shared(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		size_t size = (sizes[i] + 4095) / 4096 * 4096;
		int fd = make_file(size);
		unsigned char *owner = mapping_shared(fd, size, 1);
		const unsigned char *reader = mapping_shared(fd, size, 0);

		assert_non_null(owner);
		assert_non_null(reader);
		assert_ptr_not_equal(owner, reader);
		assert_int_equal((uintptr_t)owner % HUGE_PAGE, 0);
		for (size_t at = 0; at < size; at += 509) {
			owner[at] = (unsigned char)(at + i);
			assert_int_equal(reader[at], (unsigned char)(at + i));
		}
		owner[size - 1] = 99;
		assert_int_equal(reader[size - 1], 99);
		/* The file need not stay open. */
		close(fd);
		owner[0] = 77;
		assert_int_equal(reader[0], 77);
		mapping_free(owner, size);
		mapping_free((void *)(uintptr_t)reader, size);
	}
}

/* Read-only is what the kernel sees to: a system call into it fails. */
static void test_read_only(void **state)
{
	int fd = make_file(4096);
	int pair[2];
	void *reader = mapping_shared(fd, 4096, 0);

	(void)state;
	assert_non_null(reader);
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	errno = 0;
	assert_int_equal(read(pair[0], reader, 1), -1);
	assert_int_equal(errno, EFAULT);
	close(pair[0]);
	close(pair[1]);
	mapping_free(reader, 4096);
	close(fd);
}

static void test_errors(void **state)
{
	int fd = open("/dev/null", O_RDONLY);

	(void)state;
	errno = 0;
	assert_null(mapping_shared(-1, 4096, 1));
	assert_int_equal(errno, EBADF);
	assert_null(mapping_shared(fd, 4096, 1));
	close(fd);
}

static void test_populate(void **state)
{
	const size_t size = 4 << 20;
	int fd = make_file(size);
	unsigned char *memory = mapping_shared(fd, size, 1);
	unsigned char there[1024];

	(void)state;
	assert_non_null(memory);
	memory[5000] = 42;
	assert_int_equal(mapping_populate(memory + 4096, 1 << 20), 0);
	/* It is there, and as it was. */
	assert_int_equal(mincore(memory + 4096, 1 << 20, there), 0);
	for (size_t page = 0; page < (1 << 20) / 4096; page++)
		assert_true(there[page] & 1);
	assert_int_equal(memory[5000], 42);
	assert_int_equal(memory[6000], 0);
	mapping_free(memory, size);
	/* Where there is no memory to take, it says so. */
	assert_int_not_equal(mapping_populate(memory, 4096), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_private), cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_shared),	cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_errors),	cmocka_unit_test(test_populate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
