// SPDX-License-Identifier: BSD-3-Clause
/* Joining, leaving, dying, stopping; and peers that are not what they should be. */
#include "check.h"
#include "group.h"
#include "layout.h"
#include "scratch.h"
#include "shm.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEY "key"
#define KEY_LENGTH 3

static void pause_ms(long ms)
{
	const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* Wait for @condition, for as long as a loaded machine may need. */
#define wait_for(condition)                                     \
	do {                                                    \
		int tries_ = 0;                                 \
		while (!(condition)) {                          \
			if (++tries_ > 6000)                    \
				fail_msg("never: " #condition); \
			pause_ms(5);                            \
		}                                               \
	} while (0)

/* A process with an instance that has added 1 to KEY, and then waits. */
static pid_t start_peer(const char *folder, const char *name)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		const uint64_t one = 1;
		struct estate *es;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		es = group_open(folder, name, 1 << 20);
		if (estate_add(group_counters(es, "t", 8, 1, 10), KEY, KEY_LENGTH, &one) ||
		    write(ready[1], "r", 1) != 1)
			abort();
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_peer(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A signal takes its time: until it has, the peer goes on answering. */
static void stop_peer(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

static int member_state(struct estate *es, const char *name)
{
	struct estate_member member;

	return group_find(es, name, &member) ? (int)member.state : -1;
}

static void test_stopped(void **state)
{
	char *folder = scratch_make();
	pid_t pid = start_peer(folder, "stopped");
	struct estate *es = group_open(folder, "reader", 1 << 20);
	struct estate_table *table = group_counters(es, "t", 8, 1, 10);
	struct estate_view *view = group_view(es);
	struct estate_answer answer;
	uint64_t sum;

	(void)state;
	group_wait(es, 2);
	stop_peer(pid);
	wait_for(member_state(es, "stopped") == ESTATE_MEMBER_STALE);
	assert_ok(estate_get_global(view, table, KEY, KEY_LENGTH, &sum, sizeof(sum), &answer));
	assert_int_equal(sum, 1);
	assert_int_equal(answer.asked, 2);
	assert_int_equal(answer.answered, 2);
	assert_int_equal(answer.stale, 1);
	assert_int_equal(answer.missing, 0);

	assert_int_equal(kill(pid, SIGCONT), 0);
	wait_for(member_state(es, "stopped") == ESTATE_MEMBER_LIVE);
	assert_ok(estate_get_global(view, table, KEY, KEY_LENGTH, &sum, sizeof(sum), &answer));
	assert_int_equal(answer.stale, 0);
	estate_view_close(view);
	estate_close(es);
	end_peer(pid);
	scratch_remove(folder);
}

/* One who comes while a member is stopped cannot have its region, and says who is missing. */
static void test_stopped_at_join(void **state)
{
	char *folder = scratch_make();
	pid_t pid = start_peer(folder, "stopped");
	struct estate_member member;
	struct estate_answer answer;
	struct estate_table *table;
	struct estate_view *view;
	struct estate *es;
	uint64_t sum;

	(void)state;
	stop_peer(pid);
	es = group_open(folder, "reader", 1 << 20);
	table = group_counters(es, "t", 8, 1, 10);
	view = group_view(es);
	assert_int_equal(
		estate_get_global(view, table, KEY, KEY_LENGTH, &sum, sizeof(sum), &answer),
		-EHOSTDOWN);
	assert_int_equal(answer.missing, 1);
	assert_string_equal(answer.who[0].name, "stopped");
	assert_int_equal(answer.who[0].why, -EHOSTDOWN);
	wait_for(group_find(es, "stopped", &member) && strstr(member.reason, "stopped or hung"));
	assert_int_equal(kill(pid, SIGCONT), 0);
	group_wait(es, 2);
	assert_ok(estate_get_global(view, table, KEY, KEY_LENGTH, &sum, sizeof(sum), &answer));
	assert_int_equal(sum, 1);
	estate_view_close(view);
	estate_close(es);
	end_peer(pid);
	scratch_remove(folder);
}

static void test_killed(void **state)
{
	char *folder = scratch_make();
	pid_t pid = start_peer(folder, "victim");
	struct estate *es = group_open(folder, NULL, 0);
	struct estate_table *table;
	struct estate_view *view = group_view(es);
	struct estate_answer answer;
	char path[256];
	uint64_t sum;

	(void)state;
	assert_ok(estate_table_open(es, "t", NULL, &table));
	assert_ok(estate_get_global(view, table, KEY, KEY_LENGTH, &sum, sizeof(sum), &answer));
	end_peer(pid);
	wait_for(member_state(es, "victim") == -1);
	assert_int_equal(
		estate_get_global(view, table, KEY, KEY_LENGTH, &sum, sizeof(sum), &answer),
		-ENOENT);
	assert_int_equal(answer.asked, 0);
	snprintf(path, sizeof(path), "%s/test/victim", folder);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/test/.victim.sock", folder);
	wait_for(access(path, F_OK) == -1);

	/* The name is free again, and the new one is another instance. */
	pid = start_peer(folder, "victim");
	group_wait(es, 1);
	assert_ok(estate_get_global(view, table, KEY, KEY_LENGTH, &sum, sizeof(sum), &answer));
	estate_view_close(view);
	estate_close(es);
	end_peer(pid);
	scratch_remove(folder);
}

static void test_one_name(void **state)
{
	char *folder = scratch_make();
	struct estate *es = group_open(folder, "same", 0);
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate *other = NULL;
	char registry[256];

	(void)state;
	snprintf(registry, sizeof(registry), "dir:%s", folder);
	attr.group = "test";
	attr.name = "same";
	attr.registry = registry;
	assert_error(estate_open(&attr, &other), -EEXIST, "same");
	assert_null(other);
	/* Neither did it harm the first. */
	attr.name = "another";
	assert_ok(estate_open(&attr, &other));
	group_wait(other, 2);
	estate_close(other);
	estate_close(es);
	attr.name = "same";
	assert_ok(estate_open(&attr, &es));
	estate_close(es);
	scratch_remove(folder);
}

static void test_leave_in_order(void **state)
{
	char *folder = scratch_make();
	struct estate *a = group_open(folder, "a", 1 << 20);
	struct estate *b = group_open(folder, "b", 1 << 20);
	struct estate_view *view = group_view(a);
	struct estate_member members[4];
	char path[256];

	(void)state;
	group_wait(a, 2);
	assert_int_equal(estate_members(a, members, 4), 2);
	assert_string_equal(members[0].name, "a");
	assert_true(members[0].self);
	assert_string_equal(members[1].name, "b");
	assert_false(members[1].self);
	assert_int_equal(members[1].pid, getpid());
	assert_memory_equal(members[1].uuid, b->identity.uuid, 16);
	assert_int_equal(members[1].epoch, b->identity.epoch);
	assert_error(estate_close(a), -EBUSY, "view");
	assert_ok(estate_close(b));
	snprintf(path, sizeof(path), "%s/test/b", folder);
	assert_int_equal(access(path, F_OK), -1);
	group_wait(a, 1);
	estate_view_close(view);
	assert_ok(estate_close(a));
	assert_ok(estate_close(NULL));
	scratch_remove(folder);
}

static void test_static_registry(void **state)
{
	char *folder = scratch_make();
	char list[512];
	char address[2][128];
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate_member member;
	struct estate *es[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		snprintf(address[i], sizeof(address[i]), "unix:%s/%d", folder, i);
	snprintf(list, sizeof(list), "static:%s,%s,unix:%s/nobody", address[0], address[1], folder);
	attr.group = "test";
	attr.registry = list;
	for (int i = 0; i < 2; i++) {
		attr.name = i ? "b" : "a";
		attr.listen = address[i];
		assert_ok(estate_open(&attr, &es[i]));
	}
	wait_for(member_state(es[0], "b") == ESTATE_MEMBER_LIVE);
	wait_for(member_state(es[1], "a") == ESTATE_MEMBER_LIVE);
	/* Who is on the list and not there is missing, for ever. */
	assert_int_equal(estate_members(es[0], NULL, 0), 3);
	snprintf(list, sizeof(list), "unix:%s/nobody", folder);
	assert_true(group_find(es[0], list, &member));
	assert_int_equal(member.state, ESTATE_MEMBER_MISSING);
	assert_non_null(strstr(member.reason, "nobody"));
	estate_close(es[1]);
	wait_for(member_state(es[0], "b") == ESTATE_MEMBER_MISSING);
	attr.name = "b";
	snprintf(list, sizeof(list), "static:%s", address[0]);
	assert_ok(estate_open(&attr, &es[1]));
	wait_for(member_state(es[0], "b") == ESTATE_MEMBER_LIVE);
	estate_close(es[1]);
	estate_close(es[0]);
	scratch_remove(folder);
}

static void test_bad_attributes(void **state)
{
	struct estate_attr good = ESTATE_ATTR_INIT;
	struct estate_attr attr;
	struct estate *es = NULL;
	char path[200];

	(void)state;
	good.group = "g";
	good.name = "n";
	good.registry = "dir:/tmp";
	assert_error(estate_open(NULL, &es), -EINVAL, "attr");
	assert_error(estate_open(&good, NULL), -EINVAL, "es");
	attr = good;
	attr.size = 8;
	assert_error(estate_open(&attr, &es), -EINVAL, "ESTATE_ATTR_INIT");
	attr = good;
	attr.flags = 0x80;
	assert_error(estate_open(&attr, &es), -EINVAL, "flags");
	attr = good;
	attr.group = "../up";
	assert_error(estate_open(&attr, &es), -EINVAL, "../up");
	attr.group = NULL;
	assert_error(estate_open(&attr, &es), -EINVAL, "group");
	attr = good;
	attr.name = ".hidden";
	assert_error(estate_open(&attr, &es), -EINVAL, ".hidden");
	attr.name = NULL;
	assert_error(estate_open(&attr, &es), -EINVAL, "name");
	attr = good;
	attr.registry = "etcd:http://x";
	assert_error(estate_open(&attr, &es), -ENOTSUP, "etcd:");
	attr.registry = "dir:/tmp"; /* everybody may write there */
	assert_error(estate_open(&attr, &es), -EACCES, "chmod");
	attr.registry = "dir:/proc/nowhere/at/all";
	assert_int_not_equal(estate_open(&attr, &es), 0);
	memset(path, 'x', sizeof(path));
	memcpy(path, "dir:/tmp/", 9);
	path[sizeof(path) - 1] = 0;
	attr.registry = path;
	assert_error(estate_open(&attr, &es), -ENAMETOOLONG, "shorter");
	attr.registry = "static:unix:/tmp/a";
	assert_error(estate_open(&attr, &es), -EINVAL, "listen");
	attr.listen = "tcp:1.2.3.4";
	assert_error(estate_open(&attr, &es), -EINVAL, "unix:");
	attr = good;
	attr.region_size = 100;
	assert_error(estate_open(&attr, &es), -EINVAL, "region_size");
	assert_null(es);
	assert_error(estate_members(NULL, NULL, 0), -EINVAL, "NULL");
}

/* A folder that its Unix group may write to is for all of that group: so are the sockets. */
static void test_group_folder(void **state)
{
	/* It is about Unix sockets. */
	if (getenv("ESTATE_TEST_LISTEN"))
		skip();
	char *folder = scratch_make();
	struct stat status;
	struct estate *es;
	char path[256];

	(void)state;
	assert_int_equal(chmod(folder, 02770), 0);
	es = group_open(folder, "a", 0);
	snprintf(path, sizeof(path), "%s/test/.a.sock", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0660);
	estate_close(es);
	scratch_remove(folder);

	folder = scratch_make();
	es = group_open(folder, "a", 0);
	snprintf(path, sizeof(path), "%s/test/.a.sock", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	estate_close(es);
	scratch_remove(folder);
}

/* --- Peers that are not what they should be, played by the test itself. --- */

struct impostor {
	char *folder;
	char address[128];
	int listener;
	struct estate *es; /* who meets it */
};

static void start_impostor(struct impostor *impostor)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char list[160];

	impostor->folder = scratch_make();
	snprintf(impostor->address, sizeof(impostor->address), "unix:%s/x", impostor->folder);
	assert_ok(shm_listen(impostor->address, 1, &impostor->listener));
	snprintf(list, sizeof(list), "static:%s", impostor->address);
	attr.group = "test";
	attr.registry = list;
	attr.flags = ESTATE_OBSERVER;
	assert_ok(estate_open(&attr, &impostor->es));
}

static void stop_impostor(struct impostor *impostor)
{
	estate_close(impostor->es);
	close(impostor->listener);
	scratch_remove(impostor->folder);
}

/* Answer the next who connects with these bytes and this descriptor. */
static void answer(const struct impostor *impostor, const void *bytes, size_t length, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = { 0 };
	struct iovec data = { (void *)(uintptr_t)bytes, length };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *header = &control.aligned;
	int socket = -1;

	wait_for((socket = accept4(impostor->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	sendmsg(socket, &message, MSG_NOSIGNAL);
	/* Let it read before the end comes. */
	pause_ms(20);
	close(socket);
}

/* The answer, again and again until the one that meets it says @word. */
static void expect_reason(struct impostor *impostor, const void *bytes, size_t length, int fd,
			  const char *word)
{
	struct estate_member member = { 0 };

	for (int tries = 0; tries < 200; tries++) {
		answer(impostor, bytes, length, fd);
		assert_int_equal(estate_members(impostor->es, &member, 1), 1);
		assert_int_equal(member.state, ESTATE_MEMBER_MISSING);
		if (strstr(member.reason, word))
			return;
	}
	fail_msg("\"%s\" does not say \"%s\"", member.reason, word);
}

/* A welcome as a real instance gives it, to be bent. */
static struct shm_welcome real_welcome(void)
{
	struct shm_welcome welcome = { 0 };
	struct region_identity identity = { .group = "test", .name = "x", .epoch = 1 };
	struct region region;
	int pair[2];
	struct shm_hello hello;

	assert_ok(region_create(&region, &identity, 1 << 20));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	/* shm_connect() knows the hello; here it is made as that does. */
	memset(&hello, 0, sizeof(hello));
	hello.magic = 0x006f6c6c65485345ull;
	hello.protocol = SHM_PROTOCOL;
	hello.layout = LAYOUT_VERSION;
	strcpy(hello.group, "test");
	assert_int_equal(send(pair[0], &hello, sizeof(hello), 0), sizeof(hello));
	assert_ok(shm_answer(pair[1], &identity, &region));
	assert_int_equal(recv(pair[0], &welcome, sizeof(welcome), 0), sizeof(welcome));
	close(pair[0]);
	close(pair[1]);
	region_destroy(&region);
	return welcome;
}

static int make_memfd(size_t size, unsigned int seals)
{
	int fd = memfd_create("impostor", MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void test_impostors(void **state)
{
	struct shm_welcome welcome = real_welcome();
	struct region_identity identity = { .group = "test", .name = "x", .epoch = 1 };
	struct region_identity foreign = { .group = "other", .name = "x", .epoch = 1 };
	struct shm_welcome refusal = welcome;
	struct impostor impostor;
	struct region region;
	char noise[sizeof(welcome)];
	int fd;

	(void)state;
	start_impostor(&impostor);
	memset(noise, 0xa5, sizeof(noise));
	expect_reason(&impostor, noise, sizeof(noise), -1, "not an instance");
	expect_reason(&impostor, noise, 3, -1, "not an instance");
	expect_reason(&impostor, &welcome, sizeof(welcome), -1, "no region");
	refusal.refused = -EPROTO;
	strcpy(refusal.reason, "you are too old");
	expect_reason(&impostor, &refusal, sizeof(refusal), -1, "you are too old");
	refusal.refused = 77777; /* no errno value */
	memset(refusal.reason, 'y', sizeof(refusal.reason));
	expect_reason(&impostor, &refusal, sizeof(refusal), -1, "yyyy");

	fd = make_memfd(1 << 20, F_SEAL_GROW);
	expect_reason(&impostor, &welcome, sizeof(welcome), fd, "not sealed");
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	expect_reason(&impostor, &welcome, sizeof(welcome), fd, "not sealed");
	close(fd);
	fd = make_memfd(100, F_SEAL_SHRINK);
	expect_reason(&impostor, &welcome, sizeof(welcome), fd, "too few");
	close(fd);
	fd = make_memfd(1 << 20, F_SEAL_SHRINK);
	expect_reason(&impostor, &welcome, sizeof(welcome), fd, "does not begin");
	close(fd);

	assert_ok(region_create(&region, &identity, 1 << 20));
	region_header(&region)->version = 99;
	expect_reason(&impostor, &welcome, sizeof(welcome), region.fd, "layout version 99");
	region_header(&region)->version = LAYOUT_VERSION;
	region_header(&region)->epoch++;
	expect_reason(&impostor, &welcome, sizeof(welcome), region.fd, "damaged");
	region_destroy(&region);
	assert_ok(region_create(&region, &foreign, 1 << 20));
	expect_reason(&impostor, &welcome, sizeof(welcome), region.fd, "group other");
	region_destroy(&region);
	stop_impostor(&impostor);
}

/* What an owner says to strangers, and to those of another group or version. */
static void test_strangers(void **state)
{
	/* It is about Unix sockets. */
	if (getenv("ESTATE_TEST_LISTEN"))
		skip();
	char *folder = scratch_make();
	struct estate *es = group_open(folder, "a", 1 << 20);
	struct shm_region region = { 0 };
	struct shm_hello hello = { .magic = 0x006f6c6c65485345ull,
				   .protocol = SHM_PROTOCOL,
				   .layout = LAYOUT_VERSION + 1 };
	struct shm_welcome welcome;
	char address[128];
	int socket;
	int error;

	(void)state;
	snprintf(address, sizeof(address), "unix:%s/test/.a.sock", folder);
	assert_ok(shm_connect(address, "another-group", "me", &socket));
	wait_for((error = shm_accept(socket, "another-group", &region)) != -EAGAIN);
	assert_int_equal(error, -EPERM);
	assert_non_null(strstr(estate_errormsg(), "another-group"));
	close(socket);

	assert_ok(shm_connect(address, "test", "me", &socket));
	wait_for((error = shm_accept(socket, "test", &region)) != -EAGAIN);
	assert_ok(error);
	shm_unmap(&region);
	/* A second hello that makes no sense ends the connection, and harms nobody. */
	hello.magic = 0;
	assert_int_equal(send(socket, &hello, sizeof(hello), 0), sizeof(hello));
	wait_for(recv(socket, &welcome, sizeof(welcome), MSG_DONTWAIT) == 0);
	close(socket);

	assert_ok(shm_connect(address, "test", "me", &socket));
	wait_for((error = shm_accept(socket, "test", &region)) != -EAGAIN);
	assert_ok(error);
	shm_unmap(&region);
	hello.magic = 0x006f6c6c65485345ull;
	assert_int_equal(send(socket, &hello, sizeof(hello), 0), sizeof(hello));
	wait_for((error = shm_accept(socket, "test", &region)) != -EAGAIN);
	assert_int_equal(error, -EPROTO);
	assert_non_null(strstr(estate_errormsg(), "same release"));
	close(socket);
	assert_ok(estate_close(es));
	scratch_remove(folder);
}

/* The descriptor that others get lets them neither write nor shrink. */
static void test_region_is_read_only(void **state)
{
	char *folder = scratch_make();
	struct estate *es = group_open(folder, "a", 1 << 20);

	(void)state;
	assert_int_equal(ftruncate(es->region.fd, 0), -1);
	assert_int_equal(write(es->region.fd, "x", 1), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, es->region.fd, 0),
			 MAP_FAILED);
	estate_close(es);
	scratch_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_stopped_at_join),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_one_name),
		cmocka_unit_test(test_leave_in_order),
		cmocka_unit_test(test_static_registry),
		cmocka_unit_test(test_bad_attributes),
		cmocka_unit_test(test_group_folder),
		cmocka_unit_test(test_impostors),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_region_is_read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
