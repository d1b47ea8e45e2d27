/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The side channel, over TCP: a client asks what the owner's CPU did so far, and
 * tells it to be busy or not. One character is a command; the answer is a struct usage.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "options.h"
#include "usage.h"

#define CONTROL_USAGE 'u'
#define CONTROL_IDLE 'i'
#define CONTROL_BUSY 'b'

/* The server's side: a thread of its own, for one client at a time. 0, or -1 after a message. */
int control_serve(const struct peer_address *listen);

/* The client's, to all peers. All of these end the program if a server is gone. */
struct control {
	unsigned int count;
	int sockets[PEERS_MAX];
};

void control_open(struct control *control, const struct options *options);
void control_close(struct control *control);

/* Tell all peers; the sum of what they did so far. */
struct usage control_tell(const struct control *control, char command);

#endif
