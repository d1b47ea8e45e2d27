// SPDX-License-Identifier: BSD-3-Clause
#include "serve_zmq.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef HAVE_ZMQ
#include <zmq.h>

struct server {
	struct estate_table *table;
	void *socket;
};

static struct server server;

static void *serve(void *arg)
{
	struct server *own = arg;

	for (;;) {
		uint64_t counters[COUNTERS];
		char key[KEY_BYTES];
		int bytes = zmq_recv(own->socket, key, sizeof(key), 0);

		if (bytes < 0)
			return NULL;
		if (estate_get(own->table, key, (size_t)bytes, counters, sizeof(counters), NULL))
			zmq_send(own->socket, "", 0, 0);
		else
			zmq_send(own->socket, counters, sizeof(counters), 0);
	}
}

int serve_zmq(struct estate_table *table, char endpoint[ENDPOINT_MAX])
{
	void *context = zmq_ctx_new();
	size_t size = ENDPOINT_MAX;
	pthread_t thread;

	server.table = table;
	server.socket = context ? zmq_socket(context, ZMQ_REP) : NULL;
	if (!server.socket || zmq_bind(server.socket, "tcp://127.0.0.1:*") ||
	    zmq_getsockopt(server.socket, ZMQ_LAST_ENDPOINT, endpoint, &size)) {
		fprintf(stderr, "ZeroMQ: %s\n", zmq_strerror(zmq_errno()));
		return -1;
	}
	/* It serves until the process ends. */
	if (pthread_create(&thread, NULL, serve, &server)) {
		perror("pthread_create");
		return -1;
	}
	return pthread_detach(thread);
}
#else
int serve_zmq(struct estate_table *table, char endpoint[ENDPOINT_MAX])
{
	(void)table;
	endpoint[0] = 0;
	return 0;
}
#endif
