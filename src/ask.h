/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asking an instance to leave: what is said over the Unix socket at which members
 * connect. The asker sends one message and keeps the connection; the instance answers
 * that it knows, and later how it ended. Who may connect may ask, nobody else.
 */
#ifndef ASK_H
#define ASK_H

#include "region.h"

#include <stddef.h>
#include <stdint.h>

#define ASK_MAGIC 0x00657661654c5345ull /* "ESLeave" */
#define ASK_VERSION 2u

/* Both messages begin with magic and version in every version, so that a refusal can be read. */
struct ask_request {
	uint64_t magic;
	uint32_t version;
	uint32_t zero;
	uint8_t uuid[16]; /* of the one who is meant, in this life */
	uint64_t epoch;
	char group[ESTATE_NAME_MAX];
	char to[ESTATE_NAME_MAX]; /* who is to take over; "": whoever can */
	char dead[ESTATE_NAME_MAX]; /* of whom the asker knows that he is dead; "": of nobody */
};

/* What is asked for, of the one who is asked. */
struct ask_wish {
	char to[ESTATE_NAME_MAX];
	char dead[ESTATE_NAME_MAX];
};

enum ask_state {
	ASK_REFUSED = 1, /* it was no good question */
	ASK_NOTED, /* the program can see it now */
	ASK_FAILED, /* it called estate_leave(), which did not succeed */
	ASK_HANDED_OVER, /* it left, and somebody has all */
	ASK_CLOSED, /* it left by estate_close() */
};

struct ask_reply {
	uint64_t magic;
	uint32_t version;
	uint32_t state; /* enum ask_state */
	int32_t error; /* with ASK_REFUSED and ASK_FAILED, a negative errno value */
	char reason[228];
};

/* @to, @dead: names, or "". */
void ask_make_request(struct ask_request *request, const struct region_identity *identity,
		      const char *to, const char *dead);
void ask_make_reply(struct ask_reply *reply, enum ask_state state, int error, const char *reason);

/*
 * Whether @length bytes are a request to the one with @identity, from whomever. 0: @wish has
 * names, or "". -EBADMSG: from a stranger, who would not understand an answer. Else
 * @reply is a refusal.
 */
int ask_check_request(const void *bytes, size_t length, const struct region_identity *identity,
		      struct ask_wish *wish, struct ask_reply *reply);

/* 0: @reply is one that can be relied on; else an error with a sentence. */
int ask_check_reply(const void *bytes, size_t length, struct ask_reply *reply);

/* Whether the next message on a socket is a request, and not a member's hello. */
int ask_waits(int socket);

/*
 * Take it. 0: @wish is set, and it is to be told that this was noted. -EAGAIN: there is
 * none. Anything else: it was refused; close the socket.
 */
int ask_take(int socket, const struct region_identity *identity, struct ask_wish *wish);

/* What is to be told to who asked; it may have gone. */
void ask_tell(int socket, enum ask_state state, int error, const char *reason);

/*
 * The asker's side: connect and ask; and what has been answered until now. -EAGAIN:
 * nothing yet; other errors with a sentence.
 */
int ask_send(const char *address, const struct ask_request *request, int *socket);
int ask_receive(int socket, struct ask_reply *reply);

#endif
