// SPDX-License-Identifier: BSD-3-Clause
#include "wire.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 2000

/* As the library has it: 4.096 us * 2^14. What is lost must not take one of the two longer. */
#define ACK_TIMEOUT 14

void wire_host(const struct peer_address *address, char host[HOST_MAX])
{
	size_t length = strlen(address->host);

	memcpy(host, address->host, length + 1);
	if (host[0] != '[' || host[length - 1] != ']')
		return;
	host[length - 1] = 0;
	memmove(host, host + 1, length - 1);
}

static void resolve(struct wire *wire, const struct peer_address *address)
{
	struct rdma_addrinfo hints = { .ai_port_space = RDMA_PS_TCP };
	struct rdma_addrinfo *found;
	char host[HOST_MAX], port[16];
	uint8_t timeout = ACK_TIMEOUT;

	wire_host(address, host);
	snprintf(port, sizeof(port), "%u", address->port + PORT_RAW);
	if (rdma_getaddrinfo(host, port, &hints, &found))
		err(1, "%s:%s", host, port);
	/* Without an event channel: each call waits until it is done. */
	if (rdma_create_id(NULL, &wire->id, NULL, RDMA_PS_TCP) ||
	    rdma_set_option(wire->id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout,
			    sizeof(timeout)) ||
	    rdma_resolve_addr(wire->id, NULL, found->ai_dst_addr, TIMEOUT_MS) ||
	    rdma_resolve_route(wire->id, TIMEOUT_MS))
		err(1, "no way to %s:%s", host, port);
	rdma_freeaddrinfo(found);
}

/* The first connection tells the device; there is one of everything. */
static void use_device(struct wires *wires, struct ibv_context *device, unsigned int entries)
{
	if (wires->device == device)
		return;
	if (wires->device)
		errx(1, "the servers are not all reached by one RDMA device");
	wires->device = device;
	wires->domain = ibv_alloc_pd(device);
	wires->completions = ibv_create_cq(device, (int)entries, NULL, NULL, 0);
	wires->memory = aligned_alloc(4096, (wires->size + 4095) / 4096 * 4096);
	if (!wires->domain || !wires->completions || !wires->memory)
		err(1, "verbs");
	memset(wires->memory, 0, wires->size);
	wires->region =
		ibv_reg_mr(wires->domain, wires->memory, wires->size, IBV_ACCESS_LOCAL_WRITE);
	if (!wires->region)
		err(1, "ibv_reg_mr of %zu bytes", wires->size);
}

static void connect_wire(struct wires *wires, struct wire *wire, unsigned int depth)
{
	struct ibv_qp_init_attr attr = { .send_cq = wires->completions,
					 .recv_cq = wires->completions,
					 .qp_type = IBV_QPT_RC,
					 .cap = { .max_send_wr = depth,
						  .max_recv_wr = WIRE_RECEIVES,
						  .max_send_sge = 1,
						  .max_recv_sge = 1,
						  .max_inline_data = WIRE_INLINE } };
	struct rdma_conn_param param = { .responder_resources = RDMA_MAX_RESP_RES,
					 .initiator_depth = RDMA_MAX_INIT_DEPTH,
					 .retry_count = 7,
					 .rnr_retry_count = 7 };

	if (rdma_create_qp(wire->id, wires->domain, &attr))
		err(1, "rdma_create_qp");
	if (rdma_connect(wire->id, &param))
		err(1, "rdma_connect: is the server there?");
	if (wire->id->event->param.conn.private_data_len < sizeof(wire->remote))
		errx(1, "the server is no estate-bench");
	memcpy(&wire->remote, wire->id->event->param.conn.private_data, sizeof(wire->remote));
}

void wires_open(struct wires *wires, const struct options *options, unsigned int depth, size_t size)
{
	*wires = (struct wires){ .size = size, .random = 1, .count = options->peer_count };
	for (unsigned int i = 0; i < wires->count; i++) {
		struct wire *wire = &wires->wires[i];

		resolve(wire, &options->peers[i]);
		use_device(wires, wire->id->verbs, wires->count * (depth + WIRE_RECEIVES) + 16);
		connect_wire(wires, wire, depth);
	}
}

void wires_close(struct wires *wires)
{
	for (unsigned int i = 0; i < wires->count; i++) {
		rdma_disconnect(wires->wires[i].id);
		rdma_destroy_qp(wires->wires[i].id);
	}
	if (wires->region)
		ibv_dereg_mr(wires->region);
	if (wires->completions)
		ibv_destroy_cq(wires->completions);
	if (wires->domain)
		ibv_dealloc_pd(wires->domain);
	for (unsigned int i = 0; i < wires->count; i++)
		rdma_destroy_id(wires->wires[i].id);
	free(wires->memory);
}
