// SPDX-License-Identifier: BSD-3-Clause
/* Listening and connecting; the handshake with all kinds of peers is in test_member.c. */
#include "check.h"
#include "scratch.h"
#include "shm.h"

#include <estate/error.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void address_in(const char *folder, const char *name, char address[128])
{
	snprintf(address, 128, "unix:%s/%s", folder, name);
}

static mode_t mode_of(const char *address)
{
	struct stat status;

	assert_int_equal(stat(address + strlen("unix:"), &status), 0);
	return status.st_mode & 07777;
}

/* Let the listener take the next connection. */
static int take(int listener)
{
	struct pollfd waiting = { .fd = listener, .events = POLLIN };
	int fd;

	assert_int_equal(poll(&waiting, 1, 30000), 1);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	return fd;
}

static void test_listen_and_connect(void **state)
{
	const struct region_identity identity = { .group = "g", .name = "n", .epoch = 5 };
	char *folder = scratch_make();
	char address[128];
	struct shm_region got = { 0 };
	struct region region;
	int listener;
	int client;
	int server;

	(void)state;
	address_in(folder, "s", address);
	assert_ok(region_create(&region, &identity, 1 << 20));
	assert_ok(shm_listen(address, 1, &listener));
	assert_int_equal(mode_of(address), 0600);
	assert_ok(shm_connect(address, "g", "me", &client));
	/* Nothing to answer on one side, nothing answered on the other: not an error. */
	assert_int_equal(shm_accept(client, "g", &got), -EAGAIN);
	server = take(listener);
	assert_ok(shm_answer(server, &identity, &region));
	assert_int_equal(shm_answer(server, &identity, &region), -EAGAIN);
	assert_ok(shm_accept(client, "g", &got));
	assert_int_equal(got.pid, getpid());
	assert_int_equal(got.size, region.size);
	assert_int_equal(got.identity.epoch, 5);
	assert_string_equal(got.identity.name, "n");
	region_header(&region)->heartbeat = 123;
	assert_int_equal(region_heartbeat(got.memory), 123);
	shm_unmap(&got);
	assert_null(got.memory);
	/* The end of either side is seen by the other. */
	close(client);
	assert_int_equal(shm_answer(server, &identity, &region), -ECONNRESET);
	close(server);
	assert_ok(shm_connect(address, "g", "me", &client));
	server = take(listener);
	close(server);
	assert_int_not_equal(shm_accept(client, "g", &got), 0);
	close(client);
	close(listener);
	region_destroy(&region);
	scratch_remove(folder);
}

static void test_taken(void **state)
{
	char *folder = scratch_make();
	char address[128];
	int listener;
	int second = 4711;
	int client;

	(void)state;
	address_in(folder, "s", address);
	assert_ok(shm_listen(address, 0, &listener));
	assert_int_equal(mode_of(address), 0660);
	assert_error(shm_listen(address, 1, &second), -EADDRINUSE, address);
	assert_int_equal(second, 4711);
	/* The first one goes on as before. */
	assert_int_equal(mode_of(address), 0660);
	assert_ok(shm_connect(address, "g", "", &client));
	close(client);
	close(listener);
	scratch_remove(folder);
}

/* Its process died: nobody listens, but the file is there. */
static void test_left_behind(void **state)
{
	char *folder = scratch_make();
	char address[128];
	int listener;
	int client = 4711;

	(void)state;
	address_in(folder, "s", address);
	assert_ok(shm_listen(address, 1, &listener));
	close(listener);
	assert_error(shm_connect(address, "g", "", &client), -ECONNREFUSED, address);
	assert_int_equal(client, 4711);
	assert_ok(shm_listen(address, 1, &listener));
	assert_ok(shm_connect(address, "g", "", &client));
	close(client);
	close(listener);
	scratch_remove(folder);
}

/* What is no socket was not left by an instance: it is somebody's, and stays. */
static void test_file_in_the_way(void **state)
{
	char *folder = scratch_make();
	char address[128];
	struct stat status;
	int listener = -1;
	int fd;

	(void)state;
	address_in(folder, "precious", address);
	fd = open(address + strlen("unix:"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "data", 4), 4);
	close(fd);
	assert_error(shm_listen(address, 1, &listener), -EADDRINUSE, "precious");
	assert_int_equal(stat(address + strlen("unix:"), &status), 0);
	assert_true(S_ISREG(status.st_mode));
	assert_int_equal(status.st_size, 4);
	assert_int_equal(listener, -1);
	scratch_remove(folder);
}

static void test_bad_addresses(void **state)
{
	char *folder = scratch_make();
	struct sockaddr_un name;
	char address[200];
	int fd = 4711;

	(void)state;
	assert_error(shm_listen("tcp:1.2.3.4", 1, &fd), -EINVAL, "unix:PATH");
	assert_error(shm_connect("tcp:1.2.3.4", "g", "", &fd), -EINVAL, "unix:PATH");
	/* One character too many, and just as many as fit. */
	memset(address, 'x', sizeof(address));
	memcpy(address, "unix:/", 6);
	address[5 + sizeof(name.sun_path)] = 0;
	assert_error(shm_listen(address, 1, &fd), -ENAMETOOLONG, "107");
	assert_error(shm_connect(address, "g", "", &fd), -ENAMETOOLONG, "107");
	snprintf(address, sizeof(address), "unix:%s/", folder);
	memset(address + strlen(address), 'x', sizeof(address) - strlen(address));
	address[5 + sizeof(name.sun_path) - 1] = 0;
	assert_error(shm_connect(address, "g", "", &fd), -ENOENT, "xxx");
	assert_int_equal(fd, 4711);
	assert_ok(shm_listen(address, 1, &fd));
	close(fd);
	fd = 4711;
	snprintf(address, sizeof(address), "unix:%s/no/such/folder", folder);
	assert_error(shm_listen(address, 1, &fd), -ENOENT, "folder");
	assert_error(shm_connect(address, "g", "", &fd), -ENOENT, "folder");
	assert_int_equal(fd, 4711);
	scratch_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen_and_connect), cmocka_unit_test(test_taken),
		cmocka_unit_test(test_left_behind),	   cmocka_unit_test(test_file_in_the_way),
		cmocka_unit_test(test_bad_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
