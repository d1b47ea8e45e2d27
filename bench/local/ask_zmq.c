// SPDX-License-Identifier: BSD-3-Clause
/* All owners asked at once, then all answers awaited. */
#include "asker.h"

#include <stdio.h>
#include <zmq.h>

static void *context;
static void *sockets[OWNERS];

static void close_sockets(void)
{
	for (unsigned int i = 0; i < OWNERS; i++) {
		if (sockets[i])
			zmq_close(sockets[i]);
		sockets[i] = NULL;
	}
	zmq_ctx_term(context);
}

static int open_sockets(const struct group *group)
{
	const int patience_ms = 10000, linger_ms = 0;

	context = zmq_ctx_new();
	if (!context)
		return -1;
	for (unsigned int i = 0; i < OWNERS; i++) {
		sockets[i] = zmq_socket(context, ZMQ_REQ);
		if (!sockets[i] ||
		    zmq_setsockopt(sockets[i], ZMQ_RCVTIMEO, &patience_ms, sizeof(patience_ms)) ||
		    zmq_setsockopt(sockets[i], ZMQ_LINGER, &linger_ms, sizeof(linger_ms)) ||
		    zmq_connect(sockets[i], group->owners[i].endpoint)) {
			fprintf(stderr, "ZeroMQ: %s\n", zmq_strerror(zmq_errno()));
			close_sockets();
			return -1;
		}
	}
	return 0;
}

static int ask(const void *key, uint64_t totals[COUNTERS])
{
	for (unsigned int i = 0; i < OWNERS; i++) {
		if (zmq_send(sockets[i], key, KEY_BYTES, 0) < 0)
			return -1;
	}
	for (unsigned int field = 0; field < COUNTERS; field++)
		totals[field] = 0;
	for (unsigned int i = 0; i < OWNERS; i++) {
		uint64_t counters[COUNTERS];

		if (zmq_recv(sockets[i], counters, sizeof(counters), 0) != sizeof(counters))
			return -1;
		for (unsigned int field = 0; field < COUNTERS; field++)
			totals[field] += counters[field];
	}
	return 0;
}

const struct asker asker_zmq = {
	.name = "ZeroMQ",
	.how = "REQ to a REP thread in each of the same four processes, TCP on loopback, in "
	       "parallel",
	.chunk = 16,
	.open = open_sockets,
	.close = close_sockets,
	.ask = ask,
};
