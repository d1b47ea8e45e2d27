// SPDX-License-Identifier: BSD-3-Clause
#include "shm.h"

#include "error.h"
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SHM_MAGIC 0x006f6c6c65485345ull /* "ESHello" */
#define BACKLOG 128

static int socket_address(const char *address, struct sockaddr_un *result)
{
	const char *path = address + strlen("unix:");

	if (strncmp(address, "unix:", 5))
		return error_set(-EINVAL, "address \"%s\": must be unix:PATH", address);
	if (strlen(path) >= sizeof(result->sun_path))
		return error_set(-ENAMETOOLONG,
				 "address \"%s\": the path has more than %zu characters", address,
				 sizeof(result->sun_path) - 1);
	*result = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strcpy(result->sun_path, path);
	return 0;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? error_set(-errno, "a Unix socket: %m") : fd;
}

/* Whether a path is in use by a socket at which nobody listens any more. Keeps errno. */
static int left_by_the_dead(const struct sockaddr_un *name)
{
	int before = errno;
	struct stat status;
	int probe;
	int dead = 0;

	if (lstat(name->sun_path, &status) || !S_ISSOCK(status.st_mode))
		goto out;
	probe = new_socket();
	if (probe < 0)
		goto out;
	dead = connect(probe, (const struct sockaddr *)name, sizeof(*name)) &&
	       errno == ECONNREFUSED;
	close(probe);
out:
	errno = before;
	return dead;
}

int shm_listen(const char *address, int private_socket, int *listener)
{
	struct sockaddr_un name;
	int error = socket_address(address, &name);
	int fd;

	if (error)
		return error;
	fd = new_socket();
	if (fd < 0)
		return fd;
	error = bind(fd, (struct sockaddr *)&name, sizeof(name));
	if (error && errno == EADDRINUSE && left_by_the_dead(&name) && !unlink(name.sun_path))
		error = bind(fd, (struct sockaddr *)&name, sizeof(name));
	if (error) {
		error = error_set(-errno, "listening at %s: bind: %m", address);
		goto fail;
	}
	if (chmod(name.sun_path, private_socket ? 0600 : 0660)) {
		error = error_set(-errno, "listening at %s: chmod: %m", address);
		goto fail;
	}
	if (listen(fd, BACKLOG)) {
		error = error_set(-errno, "listening at %s: %m", address);
		goto fail;
	}
	*listener = fd;
	return 0;

fail:
	close(fd);
	return error;
}

/* Send @welcome, with @fd if there is one to give. */
static int send_welcome(int socket, struct shm_welcome *welcome, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = { 0 };
	struct iovec data = { welcome, sizeof(*welcome) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *header = &control.aligned;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(*welcome))
		return -errno;
	return 0;
}

int shm_answer(int socket, const struct region_identity *identity, const struct region *region)
{
	struct shm_welcome welcome = { .magic = SHM_MAGIC,
				       .protocol = SHM_PROTOCOL,
				       .layout = LAYOUT_VERSION,
				       .pid = getpid(),
				       .region_size = region->size };
	struct shm_hello hello = { 0 };
	ssize_t length = recv(socket, &hello, sizeof(hello), MSG_DONTWAIT);
	int error;

	if (length < 0)
		return -errno;
	if (!length)
		return -ECONNRESET;
	if ((size_t)length < offsetof(struct shm_hello, group) || hello.magic != SHM_MAGIC)
		return -EPROTO; /* a stranger: it would not understand an answer */
	if (hello.protocol != SHM_PROTOCOL || hello.layout != LAYOUT_VERSION) {
		welcome.refused = -EPROTO;
		snprintf(
			welcome.reason, sizeof(welcome.reason),
			"it speaks protocol %u with layout %u, you protocol %u with layout %u: run "
			"the same release on all instances",
			SHM_PROTOCOL, LAYOUT_VERSION, hello.protocol, hello.layout);
	} else if (length != sizeof(hello) ||
		   strncmp(hello.group, identity->group, sizeof(hello.group))) {
		welcome.refused = -EPERM;
		snprintf(welcome.reason, sizeof(welcome.reason),
			 "it is in group %s, you asked for group %.63s", identity->group,
			 hello.group);
	}
	error = send_welcome(socket, &welcome, welcome.refused ? -1 : region->fd);
	return welcome.refused ? welcome.refused : error;
}

int shm_dial(const char *address, int *socket)
{
	struct sockaddr_un peer;
	int error = socket_address(address, &peer);
	int fd;

	if (error)
		return error;
	fd = new_socket();
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&peer, sizeof(peer))) {
		error = error_set(-errno, "connecting to %s: %m", address);
		close(fd);
		return error;
	}
	*socket = fd;
	return 0;
}

int shm_connect(const char *address, const char *group, const char *name, int *socket)
{
	struct shm_hello hello = { .magic = SHM_MAGIC,
				   .protocol = SHM_PROTOCOL,
				   .layout = LAYOUT_VERSION };
	int fd;
	int error = shm_dial(address, &fd);

	if (error)
		return error;
	strcpy(hello.group, group);
	strcpy(hello.name, name);
	if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello)) {
		error = error_set(-errno, "connecting to %s: saying hello: %m", address);
		close(fd);
		return error;
	}
	*socket = fd;
	return 0;
}

/* Receive a welcome and the descriptor with it, -1 if there is none. */
static int receive_welcome(int socket, struct shm_welcome *welcome, int *fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = { 0 };
	struct iovec data = { welcome, sizeof(*welcome) };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	ssize_t length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *header;

	*fd = -1;
	if (length < 0)
		return errno == EAGAIN ? -EAGAIN : error_set(-errno, "its welcome: %m");
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(header), sizeof(int));
	if (!length)
		return error_set(-ECONNRESET, "it closed the connection during the handshake");
	if (length != sizeof(*welcome) || welcome->magic != SHM_MAGIC)
		return error_set(-EPROTO, "what listens there is not an instance of this release");
	if (welcome->refused) {
		welcome->reason[sizeof(welcome->reason) - 1] = 0;
		return error_set(welcome->refused < 0 && welcome->refused > -4096 ? welcome->refused
										  : -EPROTO,
				 "it refused: %s", welcome->reason);
	}
	return 0;
}

/* Map what the peer gave, if it is what it should be. */
static int map_region(int fd, const char *group, struct shm_region *region)
{
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);
	int error;

	/* A file that could be shrunk would kill us with SIGBUS one day. */
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &status))
		return error_set(-EPROTO, "its region is not sealed: it could be shrunk under us");
	region->size = (size_t)status.st_size;
	if (region->size < LAYOUT_TABLES)
		return error_set(-EBADMSG, "its region has %zu bytes, too few for a header",
				 region->size);
	region->memory = mapping_shared(fd, region->size, 0);
	if (!region->memory)
		return error_set(-errno, "mapping its region of %zu bytes: %m", region->size);
	error = region_check(region->memory, region->size, &region->identity);
	if (!error && strcmp(region->identity.group, group))
		error = error_set(-EPROTO, "its region is of group %s, not %s",
				  region->identity.group, group);
	if (error)
		shm_unmap(region);
	return error;
}

int shm_accept(int socket, const char *group, struct shm_region *region)
{
	struct shm_welcome welcome;
	int fd;
	int error = receive_welcome(socket, &welcome, &fd);

	if (!error && fd < 0)
		error = error_set(-EPROTO, "it gave no region");
	if (!error) {
		region->pid = welcome.pid;
		error = map_region(fd, group, region);
	}
	if (fd >= 0)
		close(fd);
	return error;
}

void shm_unmap(struct shm_region *region)
{
	mapping_free((void *)(uintptr_t)region->memory, region->size);
	region->memory = NULL;
}
