/* SPDX-License-Identifier: BSD-3-Clause */
#include "outlets.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "clock.h"

#define REFRESH (50 * MILLISECOND) /* how often it is asked who is there */

static int rebuild_share(struct outlets *outlets)
{
	share_clear(&outlets->share);
	for (unsigned int i = 0; i < outlets->count; i++) {
		struct outlet *outlet = &outlets->list[i];

		if (outlet->state != OUTLET_SHARING || !outlet->live)
			continue;
		outlets->sharing[outlets->share.count] = outlet;
		if (share_add(&outlets->share, outlet->name))
			return -ENOMEM;
	}
	return 0;
}

static int refresh(struct outlets *outlets)
{
	int error = members_refresh(&outlets->members, outlets->es);

	if (error)
		return error;
	for (unsigned int i = 0; i < outlets->count; i++) {
		struct outlet *outlet = &outlets->list[i];

		outlet->live = members_live(&outlets->members, outlet->name);
	}
	outlets->refreshed = clock_now();
	return rebuild_share(outlets);
}

static int close_outlet(struct outlets *outlets, struct outlet *outlet)
{
	if (outlet->state == OUTLET_SHARING)
		warnx("%s went without a word: what it had counted went with it", outlet->name);
	close(outlet->channel);
	*outlet = outlets->list[--outlets->count];
	return rebuild_share(outlets);
}

static void accept_outlet(struct outlets *outlets)
{
	int channel = channel_accept(outlets->listener);

	if (channel < 0)
		return;
	if (outlets->count == OUTLETS_MAX) {
		warnx("there is no room for more than %d instances", OUTLETS_MAX);
		close(channel);
		return;
	}
	outlets->list[outlets->count++] = (struct outlet){ .channel = channel };
}

static void wait_for_room(const struct outlet *outlet)
{
	struct pollfd writable = { .fd = outlet->channel, .events = POLLOUT };

	poll(&writable, 1, OUTLETS_WAIT_MS);
}

int outlets_deliver(struct outlets *outlets, uint64_t hash, const void *head, size_t head_length,
		    const void *body, size_t body_length)
{
	for (;;) {
		unsigned int index = share_pick(&outlets->share, hash);
		struct outlet *outlet;
		int error;

		if (index == SHARE_NOBODY)
			return -EAGAIN;
		outlet = outlets->sharing[index];
		error = channel_send(outlet->channel, head, head_length, body, body_length, 1);
		if (error == -EAGAIN) {
			wait_for_room(outlet);
			error = refresh(outlets);
		} else if (error == -EPIPE || error == -ECONNRESET) {
			error = close_outlet(outlets, outlet);
		} else {
			return error;
		}
		if (error)
			return error;
	}
}

static int greet(struct outlets *outlets, struct outlet *outlet, const char *name)
{
	for (unsigned int i = 0; i < outlets->count; i++) {
		if (strcmp(outlets->list[i].name, name))
			continue;
		warnx("a second instance called %s is not taken", name);
		return close_outlet(outlets, outlet);
	}
	memcpy(outlet->name, name, sizeof(outlet->name));
	outlet->state = OUTLET_SHARING;
	return refresh(outlets);
}

/* What was sent before stays readable; then the instance sees the end of the stream. */
static int let_go(struct outlets *outlets, struct outlet *outlet)
{
	outlet->state = OUTLET_LEAVING;
	shutdown(outlet->channel, SHUT_WR);
	return rebuild_share(outlets);
}

static int pass_entry(struct outlets *outlets, const struct channel_entry *entry)
{
	int error = outlets_deliver(outlets, entry->hash, entry, sizeof(*entry), NULL, 0);

	if (error != -EAGAIN)
		return error;
	outlets->lost++;
	return 0;
}

/* Takes one message. Returns 1 if there was none. */
static int receive(struct outlets *outlets, struct outlet *outlet)
{
	static union channel_message message;
	int length = channel_receive(outlet->channel, &message);

	if (length == -EAGAIN)
		return 1;
	if (length <= 0)
		return close_outlet(outlets, outlet);
	if (message.type == CHANNEL_HELLO && outlet->state == OUTLET_NEW)
		return greet(outlets, outlet, message.hello.name);
	if (message.type == CHANNEL_LEAVE && outlet->state == OUTLET_SHARING)
		return let_go(outlets, outlet);
	if (message.type == CHANNEL_ENTRY && outlet->state == OUTLET_LEAVING)
		return pass_entry(outlets, &message.entry);
	warnx("an instance sent what it may not send, and is dropped");
	return close_outlet(outlets, outlet);
}

static struct outlet *find_channel(struct outlets *outlets, int channel)
{
	for (unsigned int i = 0; i < outlets->count; i++)
		if (outlets->list[i].channel == channel)
			return &outlets->list[i];
	return NULL;
}

/* Takes all messages of one instance, which may close it, and others too. */
static int receive_all(struct outlets *outlets, int channel)
{
	int result = 0;

	while (!result) {
		struct outlet *outlet = find_channel(outlets, channel);

		if (!outlet)
			return 0;
		result = receive(outlets, outlet);
	}
	return result < 0 ? result : 0;
}

int outlets_serve(struct outlets *outlets, int wait_ms)
{
	struct pollfd readable[OUTLETS_MAX + 1];
	unsigned int count = outlets->count;

	readable[0] = (struct pollfd){ .fd = outlets->listener, .events = POLLIN };
	for (unsigned int i = 0; i < count; i++)
		readable[i + 1] = (struct pollfd){
			.fd = outlets->list[i].channel,
			.events = POLLIN,
		};
	if (poll(readable, count + 1, wait_ms) > 0) {
		for (unsigned int i = 1; i <= count; i++) {
			int error;

			if (!readable[i].revents)
				continue;
			error = receive_all(outlets, readable[i].fd);
			if (error)
				return error;
		}
		if (readable[0].revents)
			accept_outlet(outlets);
	}
	if (clock_now() - outlets->refreshed < REFRESH)
		return 0;
	return refresh(outlets);
}

int outlets_settled(const struct outlets *outlets, unsigned int wanted)
{
	return outlets->share.count == wanted && outlets->count == wanted;
}

int outlets_open(struct outlets *outlets, struct estate *es, const char *path)
{
	int listener = channel_listen(path);

	if (listener < 0)
		return listener;
	*outlets = (struct outlets){ .es = es, .path = path, .listener = listener };
	return 0;
}

void outlets_close(struct outlets *outlets)
{
	for (unsigned int i = 0; i < outlets->count; i++)
		close(outlets->list[i].channel);
	close(outlets->listener);
	unlink(outlets->path);
	share_free(&outlets->share);
	members_free(&outlets->members);
}
