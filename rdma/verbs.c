// SPDX-License-Identifier: BSD-3-Clause
#include "verbs.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int verbs_open(const struct transport_attr *attr, struct transport **transport);

static int event_fd(const struct transport *transport)
{
	return ((const struct verbs *)transport)->channel->fd;
}

static const char *address(const struct transport *transport)
{
	return ((const struct verbs *)transport)->listener.text;
}

/* Copied and acknowledged first: rdma_destroy_id(3) waits for the acknowledgement. */
static int next_event(struct verbs *verbs, struct cm_event *event)
{
	struct rdma_cm_event *raw;

	if (rdma_get_cm_event(verbs->channel, &raw))
		return 0;
	*event = (struct cm_event){ .type = raw->event, .status = raw->status, .id = raw->id };
	if (raw->param.conn.private_data &&
	    (raw->event == RDMA_CM_EVENT_CONNECT_REQUEST ||
	     raw->event == RDMA_CM_EVENT_ESTABLISHED || raw->event == RDMA_CM_EVENT_REJECTED)) {
		event->data_length = raw->param.conn.private_data_len; /* 255 at most */
		memcpy(event->data, raw->param.conn.private_data, event->data_length);
	}
	rdma_ack_cm_event(raw);
	return 1;
}

static void handle(struct transport *transport)
{
	struct verbs *verbs = (struct verbs *)transport;
	struct cm_event event;

	while (next_event(verbs, &event)) {
		enum owner *owner = event.id->context;

		/* A connection request comes with the listener's context, on an id of its own. */
		switch (*owner) {
		case OWNER_LISTENER:
			listener_event(verbs, &event);
			break;
		case OWNER_INBOUND:
			inbound_event(verbs, (struct inbound *)owner, &event);
			break;
		case OWNER_CONTROL:
			peer_event((struct peer_link *)owner, &event);
			break;
		case OWNER_LANE:
			lane_event(verbs,
				   (struct lane *)((char *)owner - offsetof(struct lane, link)),
				   &event);
			break;
		}
	}
}

static void tick(struct transport *transport, uint64_t now)
{
	struct verbs *verbs = (struct verbs *)transport;

	listener_tick(verbs, now);
	peers_tick(verbs, now);
	lanes_tick(verbs, now);
}

static void close_verbs(struct transport *transport)
{
	struct verbs *verbs = (struct verbs *)transport;

	peers_close(verbs);
	listener_close(verbs);
	devices_close(&verbs->devices);
	rdma_destroy_event_channel(verbs->channel);
	free(verbs);
}

static const struct transport_operations operations = {
	.event_fd = event_fd,
	.handle = handle,
	.tick = tick,
	.address = address,
	.connect = peer_connect,
	.disconnect = peer_disconnect,
	.renew = peers_renew,
	.renewed = peers_renewed,
	.seen_us = peer_seen_us,
	.close = close_verbs,
	.io_open = lane_io_open,
	.io_settled = lane_io_settled,
	.io_retire = lane_io_retire,
	.io_retired = lane_io_retired,
	.io_endpoint = lane_io_endpoint,
	.landing = io_landing,
	.read = io_read,
	.flush = io_flush,
	.poll = io_poll,
	.wait = io_wait,
};

int verbs_open(const struct transport_attr *attr, struct transport **transport)
{
	struct verbs *verbs = calloc(1, sizeof(*verbs));
	int error = 0;

	if (!verbs)
		return error_set(-ENOMEM, "no memory for the verbs transport");
	verbs->base.operations = &operations;
	verbs->identity = *attr->identity;
	verbs->region = attr->region;
	verbs->events = attr->events;
	verbs->group = attr->group;
	memcpy(&verbs->random, attr->identity->uuid, sizeof(verbs->random));
	/*
	 * Kernels since 5.12 copy registered memory at a fork(); before, it must be
	 * kept out of the child, ibv_fork_init(3).
	 */
	if (ibv_is_fork_initialized() == IBV_FORK_DISABLED)
		ibv_fork_init();
	verbs->channel = rdma_create_event_channel();
	if (!verbs->channel) {
		error = error_set(
			-errno, "rdma_create_event_channel: %m: %s; \"estate doctor\" tells more",
			errno == ENODEV
				? "this host has no RDMA device; for SoftRoCE: rdma link add rxe0 "
				  "type rxe netdev NETDEV"
				: "is the module rdma_ucm loaded (modprobe rdma_ucm), and may you "
				  "open /dev/infiniband/rdma_cm?");
		free(verbs);
		return error;
	}
	fcntl(verbs->channel->fd, F_SETFL, fcntl(verbs->channel->fd, F_GETFL) | O_NONBLOCK);
	if (*attr->listen)
		error = listener_open(verbs, attr->listen);
	if (error) {
		close_verbs(&verbs->base);
		return error;
	}
	*transport = &verbs->base;
	return 0;
}
