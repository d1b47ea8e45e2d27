/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* Room for some of the longest frames. */
#define SEND_BUFFER (4 * (int)sizeof(union channel_message))
#define BACKLOG 16

static int fill_address(struct sockaddr_un *address, const char *path)
{
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strcpy(address->sun_path, path);
	return 0;
}

static void set_buffer(int channel)
{
	int bytes = SEND_BUFFER;

	/* The system may allow less: then less is under way, but every frame still fits. */
	setsockopt(channel, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

int channel_listen(const char *path)
{
	struct sockaddr_un address;
	int listener;
	int error = fill_address(&address, path);

	if (error)
		return error;
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0)
		return -errno;
	/* Who may connect sees the traffic: nobody else than this user. */
	if (fchmod(listener, 0700) ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, BACKLOG)) {
		error = -errno;
		close(listener);
		return error;
	}
	return listener;
}

int channel_accept(int listener)
{
	int channel = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (channel < 0)
		return -errno;
	set_buffer(channel);
	return channel;
}

int channel_connect(const char *path)
{
	struct sockaddr_un address;
	int channel;
	int error = fill_address(&address, path);

	if (error)
		return error;
	channel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (channel < 0)
		return -errno;
	if (connect(channel, (struct sockaddr *)&address, sizeof(address))) {
		error = -errno;
		close(channel);
		return error;
	}
	set_buffer(channel);
	return channel;
}

int channel_send(int channel, const void *head, size_t head_length, const void *body,
		 size_t body_length, int now)
{
	/* sendmsg() does not change what it sends, but its interface does not say so. */
	struct iovec parts[2] = {
		{ .iov_base = (void *)(uintptr_t)head, .iov_len = head_length },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = body_length },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = body ? 2 : 1 };

	while (sendmsg(channel, &message, MSG_NOSIGNAL | (now ? MSG_DONTWAIT : 0)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int well_formed(const union channel_message *message, size_t length)
{
	if (length < sizeof(message->type))
		return 0;
	switch (message->type) {
	case CHANNEL_HELLO:
		return length == sizeof(message->hello) && message->hello.name[0] &&
		       memchr(message->hello.name, 0, sizeof(message->hello.name));
	case CHANNEL_FRAME:
		return length >= sizeof(message->frame) &&
		       length - sizeof(message->frame) == message->frame.captured;
	case CHANNEL_LEAVE:
		return length == sizeof(message->leave);
	case CHANNEL_ENTRY:
		return length == sizeof(message->entry) &&
		       message->entry.key_length <= sizeof(message->entry.key) &&
		       message->entry.value_length <= sizeof(message->entry.values);
	default:
		return 0;
	}
}

int channel_receive(int channel, union channel_message *message)
{
	ssize_t length = recv(channel, message, sizeof(*message), MSG_DONTWAIT | MSG_TRUNC);

	if (length < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (!length)
		return 0;
	if ((size_t)length > sizeof(*message) || !well_formed(message, (size_t)length))
		return -EBADMSG;
	return (int)length;
}
