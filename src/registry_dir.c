// SPDX-License-Identifier: BSD-3-Clause
/*
 * A folder per group on this host, PATH/GROUP. Of a member called NAME it holds
 *
 *	NAME		says that it is there, its process id and where it listens
 *	.NAME.sock	where it listens
 *	.NAME.lock	locked (flock(2)) for as long as its process lives
 *
 * A name belongs to whoever has its lock. Who gets the lock of a name that is
 * listed knows that its owner died, and removes the three files before giving the
 * lock back; the lock file last, and a lock counts only while its file still has
 * its name, so that nobody holds a lock on a file that is gone.
 */
#include "registry.h"

#include "error.h"
#include "region.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct registry_dir {
	struct registry registry;
	int folder; /* PATH/GROUP */
	int lock; /* of our name, -1 if none */
	mode_t mode; /* of files */
	char name[ESTATE_NAME_MAX]; /* "" for an observer */
	char path[PATH_MAX];
};

static struct registry_dir *of(struct registry *registry)
{
	return (struct registry_dir *)registry;
}

static void file_name(char *file, const char *name, const char *suffix)
{
	snprintf(file, ESTATE_NAME_MAX + 8, ".%s.%s", name, suffix);
}

/* The lock of @name. -EWOULDBLOCK: its owner lives. */
static int lock_name(const struct registry_dir *dir, const char *name)
{
	char file[ESTATE_NAME_MAX + 8];

	file_name(file, name, "lock");
	for (;;) {
		struct stat locked;
		struct stat named;
		int fd = openat(dir->folder, file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
				dir->mode);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			int error = -errno;

			close(fd);
			return error;
		}
		if (!fstat(fd, &locked) && !fstatat(dir->folder, file, &named, 0) &&
		    locked.st_ino == named.st_ino)
			return fd;
		/* Its last owner removed it between our open and our lock. */
		close(fd);
	}
}

/* Remove all of @name, whose lock is @lock, and let the lock go. */
static void forget(const struct registry_dir *dir, const char *name, int lock)
{
	char file[ESTATE_NAME_MAX + 8];

	unlinkat(dir->folder, name, 0);
	file_name(file, name, "sock");
	unlinkat(dir->folder, file, 0);
	file_name(file, name, "lock");
	unlinkat(dir->folder, file, 0);
	close(lock);
}

static void address_of(const struct registry_dir *dir, const char *name,
		       char address[REGISTRY_ADDRESS_MAX])
{
	/* Cannot be cut: registry_dir_open() made sure that the longest name fits. */
	if (snprintf(address, REGISTRY_ADDRESS_MAX, "unix:%s/.%s.sock", dir->path, name) < 0)
		address[0] = 0;
}

static int claim(struct registry *registry, const char *name, char address[REGISTRY_ADDRESS_MAX])
{
	struct registry_dir *dir = of(registry);
	const struct timespec pause = { .tv_nsec = 10000000 };
	char file[ESTATE_NAME_MAX + 8];
	int lock = -EWOULDBLOCK;

	/* Somebody may hold it for a moment, to see whether its owner is dead. */
	for (unsigned int i = 0; i < 10 && lock == -EWOULDBLOCK; i++) {
		lock = lock_name(dir, name);
		if (lock == -EWOULDBLOCK)
			nanosleep(&pause, NULL);
	}
	if (lock == -EWOULDBLOCK)
		return error_set(-EEXIST,
				 "group folder %s: a live instance is called %s already: choose "
				 "another name, or end that one",
				 dir->path, name);
	if (lock < 0)
		return error_set(lock, "group folder %s: locking the name %s: %s", dir->path, name,
				 strerror(-lock));
	file_name(file, name, "sock");
	unlinkat(dir->folder, file, 0);
	dir->lock = lock;
	strcpy(dir->name, name);
	address_of(dir, name, address);
	return 0;
}

static int join(struct registry *registry, const char *address)
{
	struct registry_dir *dir = of(registry);
	char file[ESTATE_NAME_MAX + 8];
	int fd;

	/* Complete at once, for those who look. */
	file_name(file, dir->name, "new");
	unlinkat(dir->folder, file, 0);
	fd = openat(dir->folder, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, dir->mode);
	if (fd < 0)
		return error_set(-errno, "group folder %s: entering %s: %m", dir->path, dir->name);
	dprintf(fd, "%d\n%s\n", (int)getpid(), address);
	close(fd);
	if (renameat(dir->folder, file, dir->folder, dir->name))
		return error_set(-errno, "group folder %s: entering %s: %m", dir->path, dir->name);
	return 0;
}

static void leave(struct registry *registry)
{
	struct registry_dir *dir = of(registry);

	if (dir->lock < 0)
		return;
	forget(dir, dir->name, dir->lock);
	dir->lock = -1;
}

/* The address that a member's file says; 0 if it says none. */
static int read_address(const struct registry_dir *dir, const char *name,
			char address[REGISTRY_ADDRESS_MAX])
{
	char text[REGISTRY_ADDRESS_MAX + 16];
	int fd = openat(dir->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t length;
	char *start;

	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return 0;
	text[length] = 0;
	start = strchr(text, '\n');
	if (!start)
		return 0;
	start++;
	start[strcspn(start, "\n")] = 0;
	if (!*start || strlen(start) >= REGISTRY_ADDRESS_MAX)
		return 0;
	strcpy(address, start);
	return 1;
}

static int list(struct registry *registry, registry_visit_fn *visit, void *arg)
{
	struct registry_dir *dir = of(registry);
	struct dirent *entry;
	char drained[4096];
	int fd = openat(dir->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries;
	int error = 0;

	/* What comes after this point is news again. */
	while (read(dir->registry.event_fd, drained, sizeof(drained)) > 0)
		;
	if (fd < 0)
		return error_set(-errno, "group folder %s: %m", dir->path);
	entries = fdopendir(fd);
	if (!entries) {
		error = error_set(-errno, "group folder %s: %m", dir->path);
		close(fd);
		return error;
	}
	while (!error && (entry = readdir(entries))) {
		char address[REGISTRY_ADDRESS_MAX];

		if (!region_name_valid(entry->d_name) || !strcmp(entry->d_name, dir->name))
			continue;
		if (!read_address(dir, entry->d_name, address))
			address_of(dir, entry->d_name, address);
		error = visit(entry->d_name, address, arg);
	}
	closedir(entries);
	return error;
}

static void reap(struct registry *registry, const char *name)
{
	struct registry_dir *dir = of(registry);
	int lock = lock_name(dir, name);

	if (lock >= 0)
		forget(dir, name, lock);
}

static void close_dir(struct registry *registry)
{
	struct registry_dir *dir = of(registry);

	leave(registry);
	if (dir->registry.event_fd >= 0)
		close(dir->registry.event_fd);
	if (dir->folder >= 0)
		close(dir->folder);
	free(dir);
}

static const struct registry_operations operations = {
	.claim = claim,
	.join = join,
	.leave = leave,
	.list = list,
	.reap = reap,
	.close = close_dir,
};

static int default_path(char *path)
{
	const char *named = getenv("ESTATE_DIR");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int length;

	if (named && *named)
		length = snprintf(path, PATH_MAX, "%s", named);
	else if (runtime && *runtime)
		length = snprintf(path, PATH_MAX, "%s/estate", runtime);
	else if (!geteuid())
		length = snprintf(path, PATH_MAX, "/run/estate");
	else
		length = snprintf(path, PATH_MAX, "/tmp/estate-%u", (unsigned int)geteuid());
	return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/*
 * Make a folder with @mode if it is not there, and see that nobody whom its
 * owner did not choose can plant entries in it.
 */
static int safe_folder(const char *path, mode_t mode, struct stat *status)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(-errno,
				 "registry folder %s: mkdir: %m: create it, or name another "
				 "one with dir:PATH",
				 path);
	if (stat(path, status))
		return error_set(-errno, "registry folder %s: %m", path);
	if (!S_ISDIR(status->st_mode))
		return error_set(-ENOTDIR, "registry folder %s is not a folder", path);
	if (status->st_uid == geteuid() && mode != 0700 && !(status->st_mode & 070)) {
		/* Just made, under a folder that its Unix group shares. */
		if (!chmod(path, mode))
			status->st_mode = (status->st_mode & S_IFMT) | mode;
	}
	if (status->st_mode & S_IWOTH)
		return error_set(
			-EACCES,
			"registry folder %s: everybody may write to it, so that anybody could "
			"pose as a member: chmod o-w %s",
			path, path);
	if (status->st_uid != geteuid() && status->st_uid && !(status->st_mode & S_IWGRP))
		return error_set(-EACCES, "registry folder %s belongs to another user (uid %u)",
				 path, (unsigned int)status->st_uid);
	return 0;
}

int registry_local_address(const char *network, char address[REGISTRY_ADDRESS_MAX])
{
	struct sockaddr_un socket;
	struct stat status;
	char path[PATH_MAX];
	int error = default_path(path);

	if (!error && strlen(path) + strlen(network) + sizeof("/.sock") > sizeof(socket.sun_path))
		error = -ENAMETOOLONG;
	if (error)
		return error_set(error, "registry folder: its path is too long for a socket in it");
	error = safe_folder(path, 0700, &status);
	if (error)
		return error;
	if (snprintf(address, REGISTRY_ADDRESS_MAX, "unix:%s/%s.sock", path, network) < 0)
		address[0] = 0;
	return 0;
}

int registry_dir_open(const struct estate_attr *attr, const char *rest, struct registry **registry)
{
	struct registry_dir *dir = calloc(1, sizeof(*dir));
	struct sockaddr_un socket;
	struct stat status;
	mode_t mode;
	int error;

	if (!dir)
		return error_set(-ENOMEM, "no memory for a registry");
	dir->registry = (struct registry){ .operations = &operations, .event_fd = -1 };
	dir->folder = -1;
	dir->lock = -1;

	if (*rest)
		error = snprintf(dir->path, PATH_MAX, "%s", rest) < PATH_MAX ? 0 : -ENAMETOOLONG;
	else
		error = default_path(dir->path);
	/* Every name of a member must make a path that fits into a socket's address. */
	if (error || strlen(dir->path) + 1 + strlen(attr->group) + sizeof("/..sock") +
				     (attr->name ? strlen(attr->name) : 1) >
			     sizeof(socket.sun_path)) {
		error = error_set(
			-ENAMETOOLONG,
			"registry folder %s/%s: a socket's path in it would have more than "
			"%zu characters: use a shorter one",
			rest, attr->group, sizeof(socket.sun_path) - 1);
		goto fail;
	}
	error = safe_folder(dir->path, 0700, &status);
	if (error)
		goto fail;
	mode = status.st_mode & (S_ISGID | 0770);
	strcat(dir->path, "/");
	strcat(dir->path, attr->group);
	error = safe_folder(dir->path, mode & S_IWGRP ? mode : 0700, &status);
	if (error)
		goto fail;
	dir->mode = status.st_mode & S_IWGRP ? 0660 : 0600;
	dir->registry.private_socket = !(status.st_mode & S_IWGRP);

	dir->folder = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->folder < 0) {
		error = error_set(-errno, "registry folder %s: %m", dir->path);
		goto fail;
	}
	dir->registry.event_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (dir->registry.event_fd < 0 ||
	    inotify_add_watch(dir->registry.event_fd, dir->path,
			      IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR) < 0) {
		error = error_set(-errno,
				  "registry folder %s: inotify: %m (the limits are in "
				  "/proc/sys/fs/inotify)",
				  dir->path);
		goto fail;
	}
	*registry = &dir->registry;
	return 0;

fail:
	close_dir(&dir->registry);
	return error;
}
