// SPDX-License-Identifier: BSD-3-Clause
/* Registries, without the members that use them. */
#include "check.h"
#include "registry.h"
#include "scratch.h"
#include "transport.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* In children, too: so a failure ends the process. */
static struct registry *open_dir(const char *folder, const char *name)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct registry *registry;
	char spec[200];

	snprintf(spec, sizeof(spec), "dir:%s", folder);
	attr.group = "g";
	attr.name = name;
	attr.registry = spec;
	attr.flags = name ? 0 : ESTATE_OBSERVER;
	if (registry_open(&attr, &registry))
		errx(1, "registry_open: %s", estate_errormsg());
	return registry;
}

static void close_registry(struct registry *registry)
{
	registry->operations->close(registry);
}

static struct registry *enter(const char *folder, const char *name)
{
	struct registry *registry = open_dir(folder, name);
	char address[REGISTRY_ADDRESS_MAX];

	if (registry->operations->claim(registry, name, address) ||
	    registry->operations->join(registry, address))
		errx(1, "entering: %s", estate_errormsg());
	return registry;
}

/* What a registry lists: "name@address " for each, sorted by nothing. */
struct listing {
	unsigned int count;
	unsigned int stop_at;
	char name[8][ESTATE_NAME_MAX];
	char address[8][REGISTRY_ADDRESS_MAX];
};

static int note(const char *name, const char *address, void *arg)
{
	struct listing *listing = arg;

	assert_in_range(listing->count, 0, 7);
	snprintf(listing->name[listing->count], ESTATE_NAME_MAX, "%s", name);
	snprintf(listing->address[listing->count], REGISTRY_ADDRESS_MAX, "%s", address);
	return ++listing->count == listing->stop_at ? -4711 : 0;
}

static struct listing list(struct registry *registry)
{
	struct listing listing = { 0 };

	assert_ok(registry->operations->list(registry, note, &listing));
	return listing;
}

static int lists(struct registry *registry, const char *name)
{
	struct listing listing = list(registry);

	for (unsigned int i = 0; i < listing.count; i++)
		if (!strcmp(listing.name[i], name))
			return 1;
	return 0;
}

static int exists(const char *folder, const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/g/%s", folder, file);
	return !access(path, F_OK);
}

static int has_news(const struct registry *registry)
{
	struct pollfd poll_fd = { .fd = registry->event_fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0;
}

static void test_life(void **state)
{
	char *folder = scratch_make();
	struct registry *a = open_dir(folder, "a");
	struct registry *watcher = open_dir(folder, NULL);
	char address[REGISTRY_ADDRESS_MAX];
	char expected[REGISTRY_ADDRESS_MAX];
	char path[256];
	char text[32] = "";
	struct listing listing;
	FILE *file;

	(void)state;
	snprintf(expected, sizeof(expected), "unix:%s/g/.a.sock", folder);
	assert_ok(a->operations->claim(a, "a", address));
	assert_string_equal(address, expected);
	/* Claimed is not listed yet: nobody listens there. */
	assert_int_equal(list(watcher).count, 0);
	assert_ok(a->operations->join(a, address));
	assert_true(has_news(watcher));
	listing = list(watcher);
	assert_int_equal(listing.count, 1);
	assert_string_equal(listing.name[0], "a");
	assert_string_equal(listing.address[0], expected);
	assert_false(has_news(watcher));
	/* Nobody lists itself. */
	assert_int_equal(list(a).count, 0);
	/* For people: the process. */
	snprintf(path, sizeof(path), "%s/g/a", folder);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_int_equal(atoi(text), getpid());

	a->operations->leave(a);
	assert_true(has_news(watcher));
	assert_int_equal(list(watcher).count, 0);
	assert_false(exists(folder, "a"));
	assert_false(exists(folder, ".a.sock"));
	assert_false(exists(folder, ".a.lock"));
	a->operations->leave(a);
	close_registry(a);
	close_registry(watcher);
	scratch_remove(folder);
}

static void test_list(void **state)
{
	char *folder = scratch_make();
	struct registry *a = enter(folder, "a");
	struct registry *b = enter(folder, "b");
	struct registry *c = enter(folder, "c");
	struct listing listing = { .stop_at = 2 };
	char path[256];
	int fd;

	(void)state;
	assert_int_equal(list(a).count, 2);
	assert_true(lists(a, "b"));
	assert_true(lists(a, "c"));
	assert_false(lists(a, "a"));
	assert_true(lists(c, "a"));
	/* Files that are nobody's name are not listed. */
	snprintf(path, sizeof(path), "%s/g/.hidden", folder);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/g/not a name", folder);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(list(a).count, 2);
	/* What the visitor returns ends it. */
	assert_int_equal(a->operations->list(a, note, &listing), -4711);
	assert_int_equal(listing.count, 2);
	/* To close is to leave. */
	close_registry(b);
	assert_false(lists(a, "b"));
	assert_int_equal(list(a).count, 1);
	close_registry(c);
	close_registry(a);
	scratch_remove(folder);
}

static void test_claimed_twice(void **state)
{
	char *folder = scratch_make();
	struct registry *first = enter(folder, "same");
	struct registry *second = open_dir(folder, "same");
	struct registry *third = open_dir(folder, NULL);
	char address[REGISTRY_ADDRESS_MAX] = "untouched";

	(void)state;
	assert_error(second->operations->claim(second, "same", address), -EEXIST, "same");
	assert_string_equal(address, "untouched");
	/* Its failure, and its end, do the first one no harm; nor does a look whether it is dead. */
	close_registry(second);
	assert_true(lists(third, "same"));
	third->operations->reap(third, "same");
	assert_true(lists(third, "same"));
	assert_true(exists(folder, ".same.lock"));
	/* Once the first one is gone, the name is free. */
	first->operations->leave(first);
	second = open_dir(folder, "same");
	assert_ok(second->operations->claim(second, "same", address));
	assert_ok(second->operations->join(second, address));
	assert_true(lists(third, "same"));
	/* The first one's end does not take the second one's name away. */
	close_registry(first);
	assert_true(lists(third, "same"));
	assert_true(exists(folder, ".same.lock"));
	close_registry(second);
	close_registry(third);
	scratch_remove(folder);
}

/* A process that enters the registry, says so, and waits to be killed. */
static pid_t start_member(const char *folder, const char *name)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		enter(folder, name);
		if (write(ready[1], "r", 1) != 1)
			abort();
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void kill_member(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_stale_name(void **state)
{
	char *folder = scratch_make();
	struct registry *reader = open_dir(folder, NULL);
	struct registry *heir;
	pid_t pid = start_member(folder, "victim");
	char path[256];
	int fd;

	(void)state;
	/* It lives: nothing happens to it. */
	reader->operations->reap(reader, "victim");
	assert_true(lists(reader, "victim"));
	kill_member(pid);
	/* It died without a word, and left all it had. */
	snprintf(path, sizeof(path), "%s/g/.victim.sock", folder);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(lists(reader, "victim"));
	assert_true(exists(folder, ".victim.lock"));
	reader->operations->reap(reader, "victim");
	assert_false(lists(reader, "victim"));
	assert_false(exists(folder, "victim"));
	assert_false(exists(folder, ".victim.sock"));
	assert_false(exists(folder, ".victim.lock"));
	/* Nor does reaping somebody who never was leave anything. */
	reader->operations->reap(reader, "nobody");
	assert_false(exists(folder, ".nobody.lock"));

	/* Unreaped, its name can be claimed by the next one at once. */
	pid = start_member(folder, "victim");
	kill_member(pid);
	assert_true(lists(reader, "victim"));
	heir = enter(folder, "victim");
	reader->operations->reap(reader, "victim");
	assert_true(lists(reader, "victim"));
	close_registry(heir);
	assert_false(lists(reader, "victim"));
	close_registry(reader);
	scratch_remove(folder);
}

#define RACERS 4
#define RACES 60

/* Try for a name again and again; whoever has it must be alone with it. */
static void race(const char *folder)
{
	char token[256];

	snprintf(token, sizeof(token), "%s/token", folder);
	for (int i = 0; i < RACES;) {
		struct registry *registry = open_dir(folder, "prize");
		char address[REGISTRY_ADDRESS_MAX];
		int error = registry->operations->claim(registry, "prize", address);

		if (!error) {
			int fd;

			if (registry->operations->join(registry, address))
				_exit(2);
			fd = open(token, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
			if (fd < 0)
				_exit(3);
			close(fd);
			/* Let others look whether we are dead. */
			sched_yield();
			if (unlink(token))
				_exit(4);
			i++;
		} else if (error != -EEXIST) {
			_exit(5);
		}
		registry->operations->reap(registry, "prize");
		close_registry(registry);
	}
	_exit(0);
}

static void test_races(void **state)
{
	char *folder = scratch_make();
	struct registry *reader = open_dir(folder, NULL);
	pid_t pids[RACERS];

	(void)state;
	for (int i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			race(folder);
		}
	}
	for (int i = 0; i < RACERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_int_equal(list(reader).count, 0);
	assert_false(exists(folder, ".prize.lock"));
	close_registry(reader);
	scratch_remove(folder);
}

static void test_folders(void **state)
{
	char *folder = scratch_make();
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct registry *registry = NULL;
	struct stat status;
	char spec[300];
	char path[256];

	(void)state;
	attr.group = "g";
	attr.name = "a";
	attr.registry = spec;
	/* Made if they are not there, for this user alone. */
	snprintf(spec, sizeof(spec), "dir:%s/new", folder);
	assert_ok(registry_open(&attr, &registry));
	assert_true(registry->private_socket);
	close_registry(registry);
	snprintf(path, sizeof(path), "%s/new/g", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	/* But not what is above them. */
	registry = NULL;
	snprintf(spec, sizeof(spec), "dir:%s/not/there", folder);
	assert_error(registry_open(&attr, &registry), -ENOENT, "mkdir");
	/* One that everybody may write to is not safe: the folder, or the group's in it. */
	assert_int_equal(chmod(path, 0777), 0);
	snprintf(spec, sizeof(spec), "dir:%s/new", folder);
	assert_error(registry_open(&attr, &registry), -EACCES, "chmod");
	assert_int_equal(chmod(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/new", folder);
	assert_int_equal(chmod(path, 0702), 0);
	assert_error(registry_open(&attr, &registry), -EACCES, "chmod");
	assert_int_equal(chmod(path, 0700), 0);
	/* A file is no folder. */
	snprintf(path, sizeof(path), "%s/new/file", folder);
	{
		int fd = open(path, O_CREAT | O_WRONLY, 0600);

		assert_true(fd >= 0);
		close(fd);
	}
	snprintf(spec, sizeof(spec), "dir:%s/new/file", folder);
	assert_error(registry_open(&attr, &registry), -ENOTDIR, "not a folder");
	assert_null(registry);
	/* The name that is just short enough for a socket's path, and the one that is not. */
	{
		char name[ESTATE_NAME_MAX];
		size_t room = 107 - strlen(folder) - strlen("/new/g/..sock");
		size_t length = room < sizeof(name) ? room : sizeof(name) - 1;

		assert_true(length < sizeof(name));
		memset(name, 'n', sizeof(name));
		name[length] = 0;
		attr.name = name;
		snprintf(spec, sizeof(spec), "dir:%s/new", folder);
		assert_ok(registry_open(&attr, &registry));
		close_registry(registry);
	}
	registry = NULL;
	memset(path, 'x', 100);
	path[100] = 0;
	attr.name = "a";
	snprintf(spec, sizeof(spec), "dir:/%s", path);
	assert_error(registry_open(&attr, &registry), -ENAMETOOLONG, "107");
	assert_null(registry);
	scratch_remove(folder);
}

/* Where "dir:" is, by the environment. */
static void test_default_folder(void **state)
{
	char *folder = scratch_make();
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct registry *registry;
	char path[256];
	struct stat status;

	(void)state;
	attr.group = "g";
	attr.name = "a";
	snprintf(path, sizeof(path), "%s/named", folder);
	setenv("ESTATE_DIR", path, 1);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	assert_ok(registry_open(&attr, &registry));
	close_registry(registry);
	snprintf(path, sizeof(path), "%s/named/g", folder);
	assert_int_equal(stat(path, &status), 0);
	unsetenv("ESTATE_DIR");
	attr.registry = "dir:";
	assert_ok(registry_open(&attr, &registry));
	close_registry(registry);
	snprintf(path, sizeof(path), "%s/estate/g", folder);
	assert_int_equal(stat(path, &status), 0);
	unsetenv("XDG_RUNTIME_DIR");
	scratch_remove(folder);
}

static int try_static(const char *spec, const char *listen, unsigned int flags,
		      struct registry **registry)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;

	attr.group = "g";
	attr.name = flags ? NULL : "a";
	attr.registry = spec;
	attr.listen = listen;
	attr.flags = flags;
	return registry_open(&attr, registry);
}

static void test_static(void **state)
{
	struct registry *registry;
	struct listing listing;
	char address[REGISTRY_ADDRESS_MAX];

	(void)state;
	assert_ok(try_static("static:unix:/a,unix:/me,unix:/b", "unix:/me", 0, &registry));
	assert_ok(registry->operations->claim(registry, "a", address));
	assert_string_equal(address, "unix:/me");
	assert_ok(registry->operations->join(registry, address));
	listing = list(registry);
	/* One's own address is not a peer's. */
	assert_int_equal(listing.count, 2);
	assert_string_equal(listing.address[0], "unix:/a");
	assert_string_equal(listing.address[1], "unix:/b");
	assert_string_equal(listing.name[0], "");
	assert_int_equal(registry->event_fd, -1);
	/* Nobody is ever forgotten. */
	registry->operations->reap(registry, "");
	assert_int_equal(list(registry).count, 2);
	listing = (struct listing){ .stop_at = 1 };
	assert_int_equal(registry->operations->list(registry, note, &listing), -4711);
	registry->operations->leave(registry);
	close_registry(registry);

	/* One's own address last, first, alone; an address that begins like one's own. */
	assert_ok(try_static("static:unix:/a,unix:/me", "unix:/me", 0, &registry));
	assert_int_equal(list(registry).count, 1);
	close_registry(registry);
	assert_ok(try_static("static:unix:/me,unix:/me2,unix:/m", "unix:/me", 0, &registry));
	listing = list(registry);
	assert_int_equal(listing.count, 2);
	assert_string_equal(listing.address[0], "unix:/me2");
	assert_string_equal(listing.address[1], "unix:/m");
	close_registry(registry);
	assert_ok(try_static("static:unix:/me", "unix:/me", 0, &registry));
	assert_int_equal(list(registry).count, 0);
	close_registry(registry);
	/* An observer listens nowhere, and reads all of them. */
	assert_ok(try_static("static:unix:/a,unix:/b", NULL, ESTATE_OBSERVER, &registry));
	assert_int_equal(list(registry).count, 2);
	close_registry(registry);
}

/* Addresses on the network; a host's name is looked up at once. */
static void test_static_network(void **state)
{
	struct registry *registry;
	struct listing listing;

	(void)state;
	assert_ok(try_static("static:192.0.2.1:1,verbs:192.0.2.2:2,[2001:db8::1]:3,"
			     "verbs:[2001:db8::2]:4,192.0.2.3:5,unix:/a",
			     "192.0.2.3:5", 0, &registry));
	listing = list(registry);
	assert_int_equal(listing.count, 5);
	assert_string_equal(listing.address[0], "192.0.2.1:1");
	assert_string_equal(listing.address[1], "verbs:192.0.2.2:2");
	assert_string_equal(listing.address[2], "[2001:db8::1]:3");
	assert_string_equal(listing.address[3], "verbs:[2001:db8::2]:4");
	assert_string_equal(listing.address[4], "unix:/a");
	close_registry(registry);
	assert_ok(try_static("static:verbs:localhost:7,localhost:8", NULL, ESTATE_OBSERVER,
			     &registry));
	listing = list(registry);
	assert_true(!strcmp(listing.address[0], "verbs:127.0.0.1:7") ||
		    !strcmp(listing.address[0], "verbs:[::1]:7"));
	assert_true(!strcmp(listing.address[1], "127.0.0.1:8") ||
		    !strcmp(listing.address[1], "[::1]:8"));
	close_registry(registry);
	registry = NULL;
	assert_error(try_static("static:no-such-host.invalid:7", NULL, ESTATE_OBSERVER, &registry),
		     -EADDRNOTAVAIL, "no-such-host.invalid");
	assert_null(registry);
}

static void test_addresses(void **state)
{
	static const char *const none[] = { "",	   "unix:/a:1", "host",	  ":1",	    "a:",
					    "a:b", "a/b:1",	"verbs:", "verbs:1" };

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(transport_address(none[i]), 0);
	assert_int_equal(transport_address("192.0.2.1:7471"), TRANSPORT_OR_SHM);
	assert_int_equal(transport_address("mlx5_0:0"), TRANSPORT_OR_SHM);
	assert_int_equal(transport_address("[::1]:1"), TRANSPORT_OR_SHM);
	assert_int_equal(transport_address("verbs:a:1"), TRANSPORT_ONLY);
}

static void test_static_errors(void **state)
{
	struct registry *registry = NULL;
	char longest[REGISTRY_ADDRESS_MAX + 1];
	char spec[400];

	(void)state;
	assert_error(try_static("static:unix:/a", NULL, 0, &registry), -EINVAL, "listen");
	assert_error(try_static("static:unix:/a", "tcp:/me", 0, &registry), -EINVAL, "tcp:/me");
	assert_error(try_static("static:unix:/a", "unix:", 0, &registry), -EINVAL, "unix:PATH");
	assert_error(try_static("static:unix:/a", "", 0, &registry), -EINVAL, "unix:PATH");
	assert_error(try_static("static:tcp:1.2.3.4", "unix:/me", 0, &registry), -EINVAL,
		     "tcp:1.2.3.4");
	assert_error(try_static("static:unix:/a,,unix:/b", "unix:/me", 0, &registry), -EINVAL,
		     "\"\"");
	assert_error(try_static("static:unix:/a,unix:", "unix:/me", 0, &registry), -EINVAL,
		     "\"unix:\"");
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "unix:", 5);
	longest[REGISTRY_ADDRESS_MAX] = 0;
	snprintf(spec, sizeof(spec), "static:unix:/a,%s,unix:/b", longest);
	assert_error(try_static(spec, "unix:/me", 0, &registry), -ENAMETOOLONG, "128");
	assert_error(try_static("static:unix:/a", longest, 0, &registry), -ENAMETOOLONG, "128");
	assert_error(try_static("etcd:x", "unix:/me", 0, &registry), -ENOTSUP, "etcd:x");
	assert_error(try_static("", "unix:/me", 0, &registry), -ENOTSUP, "dir:PATH");
	assert_null(registry);
	longest[REGISTRY_ADDRESS_MAX - 1] = 0;
	snprintf(spec, sizeof(spec), "static:%s,unix:/b", longest);
	assert_ok(try_static(spec, "unix:/me", 0, &registry));
	assert_string_equal(list(registry).address[0], longest);
	close_registry(registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),	       cmocka_unit_test(test_list),
		cmocka_unit_test(test_claimed_twice),  cmocka_unit_test(test_stale_name),
		cmocka_unit_test(test_races),	       cmocka_unit_test(test_folders),
		cmocka_unit_test(test_default_folder), cmocka_unit_test(test_static),
		cmocka_unit_test(test_static_network), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_static_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
