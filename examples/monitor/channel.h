/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a splitter and an instance say to each other.
 *
 * One SOCK_SEQPACKET connection per instance: messages arrive whole, in order,
 * each once, and a sender that is too fast is held back. Both are on one host,
 * so numbers are in its byte order.
 *
 *	instance				splitter
 *	HELLO name	->			from now on it gets its share
 *			<-	FRAME ...
 *	LEAVE		->			no more frames for it ...
 *			<-	end of stream	... and that was the last
 *	ENTRY ...	->	ENTRY ->	its counters, for those who stay
 *	end of stream	->
 */
#ifndef MONITOR_CHANNEL_H
#define MONITOR_CHANNEL_H

#include <estate/instance.h>
#include <stddef.h>
#include <stdint.h>

#include "capture.h"

enum channel_type {
	CHANNEL_HELLO = 1,
	CHANNEL_FRAME,
	CHANNEL_LEAVE,
	CHANNEL_ENTRY,
};

#define CHANNEL_KEY_MAX 64
#define CHANNEL_VALUES_MAX 16

struct channel_hello {
	uint32_t type;
	char name[ESTATE_NAME_MAX];
};

struct channel_frame {
	uint32_t type;
	int32_t link_type;
	uint32_t length; /* on the wire */
	uint32_t captured;
	/* and these bytes */
};

struct channel_leave {
	uint32_t type;
};

/* An entry of a table that changes hands. */
struct channel_entry {
	uint32_t type;
	uint32_t table; /* which one; see counters.h */
	uint64_t hash; /* the member that takes what has this hash takes it */
	uint32_t key_length;
	uint32_t value_length;
	uint8_t key[CHANNEL_KEY_MAX];
	uint64_t values[CHANNEL_VALUES_MAX];
};

union channel_message {
	uint32_t type;
	struct channel_hello hello;
	struct channel_frame frame;
	struct channel_leave leave;
	struct channel_entry entry;
	uint8_t bytes[sizeof(struct channel_frame) + CAPTURE_FRAME_MAX];
};

/* All return a descriptor or a negative errno value. */
int channel_listen(const char *path);
int channel_accept(int listener);
int channel_connect(const char *path);

/*
 * Sends @head and, if @body is not NULL, @body_length bytes behind it as one
 * message. Returns 0 or a negative errno value: -EAGAIN if @now is set and
 * there is no room.
 */
int channel_send(int channel, const void *head, size_t head_length, const void *body,
		 size_t body_length, int now);

/*
 * Receives one message and looks whether it is well formed. Returns its length,
 * 0 at the end of the stream, or a negative errno value: -EAGAIN if there is
 * none, -EBADMSG if it is not well formed.
 */
int channel_receive(int channel, union channel_message *message);

#endif
