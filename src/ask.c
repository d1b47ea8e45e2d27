// SPDX-License-Identifier: BSD-3-Clause
#include "ask.h"

#include "error.h"
#include "shm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What every version has. */
#define ASK_HEAD offsetof(struct ask_request, zero)

void ask_make_request(struct ask_request *request, const struct region_identity *identity,
		      const char *to, const char *dead)
{
	*request = (struct ask_request){ .magic = ASK_MAGIC,
					 .version = ASK_VERSION,
					 .epoch = identity->epoch };
	memcpy(request->uuid, identity->uuid, sizeof(request->uuid));
	strcpy(request->group, identity->group);
	strcpy(request->to, to);
	strcpy(request->dead, dead);
}

void ask_make_reply(struct ask_reply *reply, enum ask_state state, int error, const char *reason)
{
	*reply = (struct ask_reply){
		.magic = ASK_MAGIC, .version = ASK_VERSION, .state = state, .error = error
	};
	snprintf(reply->reason, sizeof(reply->reason), "%s", reason);
}

/* Bytes after the final zero are nobody's, but a name without one is no name. */
static int name_in(const char field[ESTATE_NAME_MAX])
{
	return memchr(field, 0, ESTATE_NAME_MAX) && (!field[0] || region_name_valid(field));
}

static int refuse(struct ask_reply *reply, int error, const char *reason)
{
	ask_make_reply(reply, ASK_REFUSED, error, reason);
	return error;
}

int ask_check_request(const void *bytes, size_t length, const struct region_identity *identity,
		      struct ask_wish *wish, struct ask_reply *reply)
{
	struct ask_request request = { 0 };

	if (length < ASK_HEAD)
		return -EBADMSG;
	memcpy(&request, bytes, length < sizeof(request) ? length : sizeof(request));
	if (request.magic != ASK_MAGIC)
		return -EBADMSG;
	if (request.version != ASK_VERSION)
		return refuse(reply, -EPROTO, "it is of another release, which asks otherwise");
	if (length != sizeof(request) || request.zero || !name_in(request.group) ||
	    !name_in(request.to) || !name_in(request.dead))
		return refuse(reply, -EPROTO, "the question is malformed");
	if (strcmp(request.group, identity->group) != 0)
		return refuse(reply, -EPERM, "it is in another group");
	if (memcmp(request.uuid, identity->uuid, sizeof(request.uuid)) != 0 ||
	    request.epoch != identity->epoch)
		return refuse(reply, -ESRCH, "another instance was meant, or another life of it");
	if (!strcmp(request.to, identity->name))
		return refuse(reply, -EINVAL, "it cannot take itself over");
	if (!strcmp(request.dead, identity->name))
		return refuse(reply, -EINVAL, "it is not dead: it answers");
	strcpy(wish->to, request.to);
	strcpy(wish->dead, request.dead);
	return 0;
}

int ask_check_reply(const void *bytes, size_t length, struct ask_reply *reply)
{
	struct ask_reply got = { 0 };

	memcpy(&got, bytes, length < sizeof(got) ? length : sizeof(got));
	if (length < ASK_HEAD || got.magic != ASK_MAGIC)
		return error_set(-EPROTO, "what listens there is not an instance of this release");
	if (got.version != ASK_VERSION)
		return error_set(-EPROTO, "it is of another release: use that one's command");
	if (length != sizeof(got) || got.state < ASK_REFUSED || got.state > ASK_CLOSED ||
	    got.error > 0 || got.error <= -4096 ||
	    ((got.state == ASK_REFUSED || got.state == ASK_FAILED) && !got.error))
		return error_set(-EPROTO, "its answer makes no sense");
	got.reason[sizeof(got.reason) - 1] = 0;
	*reply = got;
	return 0;
}

int ask_waits(int socket)
{
	uint64_t magic;

	return recv(socket, &magic, sizeof(magic), MSG_PEEK | MSG_DONTWAIT) == sizeof(magic) &&
	       magic == ASK_MAGIC;
}

/* Whoever does not listen, or is gone, does not hear it. */
static void say(int socket, const struct ask_reply *reply)
{
	(void)!send(socket, reply, sizeof(*reply), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int ask_take(int socket, const struct region_identity *identity, struct ask_wish *wish)
{
	struct ask_request request;
	struct ask_reply reply;
	/* How long it is, and not how much of it there was room for. */
	ssize_t length = recv(socket, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
	int error;

	if (length < 0)
		return -errno;
	error = ask_check_request(&request, (size_t)length, identity, wish, &reply);
	if (error && error != -EBADMSG)
		say(socket, &reply);
	return error;
}

void ask_tell(int socket, enum ask_state state, int error, const char *reason)
{
	struct ask_reply reply;

	ask_make_reply(&reply, state, error, reason);
	say(socket, &reply);
}

int ask_send(const char *address, const struct ask_request *request, int *socket)
{
	int fd;
	int error = shm_dial(address, &fd);

	if (error)
		return error;
	if (send(fd, request, sizeof(*request), MSG_NOSIGNAL) != sizeof(*request)) {
		error = error_set(-errno, "asking at %s: %m", address);
		close(fd);
		return error;
	}
	*socket = fd;
	return 0;
}

int ask_receive(int socket, struct ask_reply *reply)
{
	struct ask_reply got;
	ssize_t length = recv(socket, &got, sizeof(got), MSG_DONTWAIT | MSG_TRUNC);

	if (length < 0)
		return errno == EAGAIN ? -EAGAIN : error_set(-errno, "its answer: %m");
	if (!length)
		return error_set(-ECONNRESET, "it closed the connection without a word");
	return ask_check_reply(&got, (size_t)length, reply);
}
