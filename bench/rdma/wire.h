/* SPDX-License-Identifier: BSD-3-Clause */
/* Plain verbs: what a READ costs if nothing is made of it. The client's side. */
#ifndef WIRE_H
#define WIRE_H

#include "options.h"

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stdint.h>

#define WIRE_INLINE 64
#define WIRE_RECEIVES 16

/* What the server accepts a connection with: where its buffer is. */
struct wire_welcome {
	uint64_t address;
	uint64_t size;
	uint32_t rkey;
	uint32_t unused;
};

/* rpc's two messages; the answer is followed by the value. */
struct wire_request {
	uint64_t key[2];
	uint32_t table; /* number, in the order of the server's sizes */
	uint32_t unused;
};

struct wire_answer {
	int64_t length; /* or a negative errno value */
};

/* A connection to one server. */
struct wire {
	struct rdma_cm_id *id;
	struct wire_welcome remote;
	unsigned int in_flight;
};

/* To all of them: one queue for the completions, one memory to read into. */
struct wires {
	struct ibv_context *device;
	struct ibv_pd *domain;
	struct ibv_cq *completions;
	struct ibv_mr *region;
	unsigned char *memory;
	size_t size;
	uint64_t random;
	unsigned int count;
	struct wire wires[PEERS_MAX];
};

/* Connect, for @depth READs each, of up to @size bytes together. Ends the program if it cannot. */
void wires_open(struct wires *wires, const struct options *options, unsigned int depth,
		size_t size);
void wires_close(struct wires *wires);

/* "HOST", without the brackets of an IPv6 address. */
void wire_host(const struct peer_address *address, char host[HOST_MAX]);

#endif
