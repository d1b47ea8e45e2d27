// SPDX-License-Identifier: BSD-3-Clause
#include "control.h"

#include "nf.h"
#include "wire.h"

#include <err.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve(int client)
{
	char command;

	while (recv(client, &command, 1, 0) == 1) {
		struct usage usage;

		if (command != CONTROL_USAGE)
			nf_spin(command == CONTROL_BUSY);
		if (nf_usage(&usage) || send(client, &usage, sizeof(usage), MSG_NOSIGNAL) < 0)
			break;
	}
	close(client);
}

static void *run(void *arg)
{
	int listener = (int)(intptr_t)arg;

	for (;;) {
		int client = accept(listener, NULL, NULL);

		if (client >= 0)
			serve(client);
	}
	return NULL;
}

static struct addrinfo *look_up(const struct peer_address *address, int flags)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
	struct addrinfo *found;
	char host[HOST_MAX], port[16];
	int error;

	wire_host(address, host);
	snprintf(port, sizeof(port), "%u", address->port + PORT_CONTROL);
	error = getaddrinfo(host, port, &hints, &found);
	if (error)
		errx(1, "%s:%s: %s", host, port, gai_strerror(error));
	return found;
}

int control_serve(const struct peer_address *address)
{
	struct addrinfo *found = look_up(address, AI_PASSIVE);
	int listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;

	if (listener < 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
	    bind(listener, found->ai_addr, found->ai_addrlen) || listen(listener, 8) ||
	    pthread_create(&thread, NULL, run, (void *)(intptr_t)listener)) {
		warn("port %u", address->port + PORT_CONTROL);
		return -1;
	}
	freeaddrinfo(found);
	return 0;
}

void control_open(struct control *control, const struct options *options)
{
	control->count = options->peer_count;
	for (unsigned int i = 0; i < control->count; i++) {
		struct addrinfo *found = look_up(&options->peers[i], 0);
		int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) ||
		    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)))
			err(1, "no server at %s:%u", options->peers[i].host,
			    options->peers[i].port);
		control->sockets[i] = fd;
		freeaddrinfo(found);
	}
}

void control_close(struct control *control)
{
	for (unsigned int i = 0; i < control->count; i++)
		close(control->sockets[i]);
}

struct usage control_tell(const struct control *control, char command)
{
	static const struct usage nothing;
	struct usage sum = { 0 };

	for (unsigned int i = 0; i < control->count; i++) {
		struct usage usage;

		if (send(control->sockets[i], &command, 1, MSG_NOSIGNAL) != 1 ||
		    recv(control->sockets[i], &usage, sizeof(usage), MSG_WAITALL) != sizeof(usage))
			errx(1, "server %u of %u is gone", i + 1, control->count);
		usage_add(&sum, &nothing, &usage);
	}
	return sum;
}
