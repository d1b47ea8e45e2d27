/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs transport: all that an instance has of RDMA. */
#ifndef VERBS_H
#define VERBS_H

#include "device.h"
#include "io.h"
#include "link.h"
#include "registry.h"
#include "transport.h"

#include <rdma/rdma_cma.h>

/* Where we listen. */
struct listener {
	enum owner owner;
	struct rdma_cm_id *id;
	struct sockaddr_storage at;
	int only; /* for this transport alone: peers on this host do not use shm either */
	uint64_t retry_us; /* its device went away: when to look for another one */
	char text[REGISTRY_ADDRESS_MAX];
};

/* Somebody who reads us: the owner's side of a connection, which never does anything. */
struct inbound {
	enum owner owner;
	struct inbound *next;
	struct rdma_cm_id *id;
};

/* A member that is reached, or tried, by RDMA; and the connection that watches it. */
struct peer_link {
	struct link link;
	struct peer_link *next;
	struct verbs *verbs;
	struct member *member; /* NULL: the group does not want to hear of it any more */
	uint64_t id;
	struct sockaddr_storage address;
	char text[REGISTRY_ADDRESS_MAX];
	int checked; /* its region's header was read and is right */
	int up; /* and the group was told */
	int reading; /* a READ of its header is under way */
	uint32_t length; /* of that READ */
	uint32_t tables; /* in its directory, by the last READ of its header alone */
	uint64_t next_us; /* when to read it again */
	uint64_t begun_us; /* when the last READ of the header alone began, or just before */
	uint64_t seen_us; /* the header in @memory is not older */
	uint64_t fresh_us; /* what is in @memory is not older */
	uint64_t renew_us; /* what is not newer than this is to be read again */
	struct region_identity identity;
	struct ibv_mr *landing_region;
	unsigned char *landing; /* LAYOUT_TABLES bytes, for the device to write */
	unsigned char *memory; /* the same for the group, whose it is from up() on */
};

struct verbs {
	struct transport base;
	struct region_identity identity;
	const struct region *region; /* NULL: an observer */
	const struct transport_events *events;
	struct group *group;
	struct rdma_event_channel *channel;
	struct listener listener;
	struct device *devices;
	struct inbound *inbounds;
	unsigned int inbound_count;
	struct peer_link *peers;
	struct io *ios;
	uint64_t next_id;
	unsigned int random; /* state of the jitter */
};

/* listener.c: the owner's side. */
int listener_open(struct verbs *verbs, const char *listen);
void listener_close(struct verbs *verbs);
void listener_event(struct verbs *verbs, const struct cm_event *event);
void listener_tick(struct verbs *verbs, uint64_t now);
void inbound_event(struct verbs *verbs, struct inbound *inbound, const struct cm_event *event);

/* peer.c: the connection that watches a member. */
int peer_connect(struct transport *transport, const char *address, struct member *member);
void peer_disconnect(struct transport *transport, struct member *member);
/* Put the peer's address before the sentence that is set. */
int peer_sentence(const struct peer_link *peer, int error);
void peer_event(struct peer_link *peer, const struct cm_event *event);
void peers_renew(struct transport *transport, uint64_t id);
int peers_renewed(const struct transport *transport, uint64_t id, uint64_t since_us);
uint64_t peer_seen_us(const struct transport *transport, uint64_t id);
void peers_tick(struct verbs *verbs, uint64_t now);
void peers_close(struct verbs *verbs);

/* lane.c: the connections of views. */
void lane_start(struct io *io, struct peer_link *peer, uint64_t backoff_us);
void lane_event(struct verbs *verbs, struct lane *lane, const struct cm_event *event);
void lanes_tick(struct verbs *verbs, uint64_t now);
/* Take down all lanes to a peer that is no more. */
void lanes_drop(struct verbs *verbs, uint64_t peer);
/* Whether every lane of a peer that is wanted is ready, or failed once. */
int lanes_settled(const struct verbs *verbs, uint64_t peer);
int lane_io_open(struct transport *transport, struct transport_io **io);
int lane_io_settled(const struct transport_io *io);
void lane_io_retire(struct transport_io *io);
int lane_io_retired(struct transport_io *io);
struct endpoint *lane_io_endpoint(struct transport_io *io, uint64_t peer);

#endif
