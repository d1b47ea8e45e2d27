// SPDX-License-Identifier: BSD-3-Clause
/* By libpmem (pmem_flush(3), pmem_memmove_persist(3)). */
#include "medium.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE 64

static int lock(int fd, int kind, const char *path)
{
	if (!flock(fd, kind | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK)
		return error_set(
			-EBUSY, "pool %s: another process has it open: \"fuser -v %s\" tells which",
			path, path);
	return error_set(-errno, "pool %s: flock: %m", path);
}

/* A file that has nothing in it yet gets its size, and all of its blocks. */
static int enlarge(int fd, const char *path, size_t size)
{
	struct stat status;
	int error;

	if (fstat(fd, &status))
		return error_set(-errno, "pool %s: fstat: %m", path);
	if (S_ISCHR(status.st_mode) || (S_ISREG(status.st_mode) && status.st_size))
		return 0;
	if (!S_ISREG(status.st_mode))
		return error_set(-EINVAL, "pool %s: neither a file nor a DAX device", path);
	error = posix_fallocate(fd, 0, (off_t)size);
	if (error) {
		ftruncate(fd, 0);
		return error_set(-error, "pool %s: no room for its %zu bytes: %s", path, size,
				 strerror(error));
	}
	return 0;
}

static int map(struct medium *medium, const char *path)
{
	medium->failed = 0;
	medium->memory = pmem_map_file(path, 0, 0, 0, &medium->size, &medium->real);
	if (medium->memory)
		return 0;
	return error_set(-errno, "pool %s: pmem_map_file: %m %s", path, pmem_errormsg());
}

int medium_open(struct medium *medium, const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int error;

	if (fd < 0)
		return error_set(-errno, "pool %s: open: %m", path);
	error = lock(fd, LOCK_EX, path);
	if (!error)
		error = enlarge(fd, path, size);
	if (!error)
		error = map(medium, path);
	if (error) {
		close(fd);
		return error;
	}
	medium->fd = fd;
	return 0;
}

/* Something that a pool can be in. */
static int check_kind(int fd, const char *path)
{
	struct stat status;

	if (fstat(fd, &status))
		return error_set(-errno, "pool %s: fstat: %m", path);
	if (!S_ISCHR(status.st_mode) && !S_ISREG(status.st_mode))
		return error_set(-EINVAL, "pool %s: neither a file nor a DAX device", path);
	if (S_ISREG(status.st_mode) && !status.st_size)
		return error_set(-EBADMSG, "pool %s: it is empty: there is no pool in it", path);
	return 0;
}

int medium_open_to_read(struct medium *medium, const char *path)
{
	/* Of a FIFO, not to wait for who writes it. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int error;

	if (fd < 0)
		return error_set(-errno, "pool %s: open: %m", path);
	error = check_kind(fd, path);
	if (!error)
		error = lock(fd, LOCK_SH, path);
	/* pmem_map_file() asks for leave to write, and maps DAX devices as they want it. */
	if (!error)
		error = map(medium, path);
	if (error) {
		close(fd);
		return error;
	}
	medium->fd = fd;
	/* Nothing is written from here on, not by a mistake either. */
	mprotect(medium->memory, medium->size, PROT_READ);
	return 0;
}

void medium_close(struct medium *medium)
{
	pmem_unmap(medium->memory, medium->size);
	close(medium->fd);
}

static void stored(struct persist_batch *batch, unsigned char *to, size_t length)
{
	if (!batch->low || to < batch->low)
		batch->low = to;
	if (to + length > batch->high)
		batch->high = to + length;
}

void medium_copy(struct persist_batch *batch, void *to, const void *from, size_t length)
{
	/*
	 * Past the caches, and nothing is read: pmem_memcpy() does so from 256 bytes on only, as
	 * it would have to for parts of lines. Of whole lines it pays for the first one.
	 */
	const unsigned int whole = ((uintptr_t)to | length) % LINE ? 0 : PMEM_F_MEM_NONTEMPORAL;

	if (batch->medium->real) {
		pmem_memcpy(to, from, length, PMEM_F_MEM_NODRAIN | whole);
		return;
	}
	memcpy(to, from, length);
	stored(batch, to, length);
}

void medium_zero(struct persist_batch *batch, void *to, size_t length)
{
	if (batch->medium->real) {
		pmem_memset(to, 0, length, PMEM_F_MEM_NODRAIN);
		return;
	}
	memset(to, 0, length);
	stored(batch, to, length);
}

int medium_drain(struct persist_batch *batch)
{
	int error = 0;

	if (batch->medium->real) {
		pmem_drain();
		return 0;
	}
	/* Of what lies between, the kernel writes only the pages that were changed. */
	if (batch->low && pmem_msync(batch->low, (size_t)(batch->high - batch->low)))
		error = error_set(-errno, "writing the pool: msync: %m");
	batch->low = batch->high = NULL;
	return error ? -EIO : 0;
}
