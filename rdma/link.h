/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection to a peer whose region is read: address, route, queue pair,
 * handshake. All on the background thread.
 */
#ifndef LINK_H
#define LINK_H

#include "device.h"
#include "handshake.h"

#include <rdma/rdma_cma.h>

/* What an rdma_cm_id is for: its context points at one of these. */
enum owner {
	OWNER_LISTENER,
	OWNER_INBOUND,
	OWNER_CONTROL,
	OWNER_LANE
};

/* An event, copied, so that it can be acknowledged before anything is destroyed. */
struct cm_event {
	enum rdma_cm_event_type type;
	int status;
	struct rdma_cm_id *id;
	size_t data_length;
	unsigned char data[256];
};

enum link_state {
	LINK_CONNECTING,
	LINK_READY,
	LINK_DOWN,
};

struct link {
	enum owner owner;
	enum link_state state; /* read by views, too */
	struct rdma_cm_id *id;
	struct device *device; /* once the route is known */
	struct handshake_welcome welcome;
};

/* What link_event() says, beside errors. */
#define LINK_STILL 0
#define LINK_NEEDS_QUEUE 1 /* link->id->verbs is known: link_connect() is next */
#define LINK_UP 2

/* Begin to connect. 0, or a negative errno value with a sentence. */
int link_start(struct link *link, struct rdma_event_channel *channel, const struct sockaddr *to);

/* Go on, with a queue pair for @depth READs that complete on @completions. */
int link_connect(struct link *link, struct device *device, struct ibv_cq *completions, int depth,
		 const struct region_identity *identity);

/* What an event means for a link. LINK_..., or a negative errno value with a sentence: it is over. */
int link_event(struct link *link, const struct cm_event *event);

/* No READ is carried out any more; those that were posted complete, with an error. */
void link_stop(struct link *link);
/* Once they have. */
void link_free(struct link *link);

#endif
