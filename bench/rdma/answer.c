// SPDX-License-Identifier: BSD-3-Clause
#include "answer.h"

#include "tables.h"
#include "wire.h"

#include <err.h>
#include <errno.h>
#include <rdma/rdma_cma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPLETIONS 4096

/* A client: its requests and their answers, each of which has a place of its own. */
struct client {
	struct rdma_cm_id *id;
	struct ibv_mr *region;
	size_t answer_room;
	struct wire_request requests[WIRE_RECEIVES];
	unsigned char answers[];
};

static int post_receive(struct client *client, unsigned int place)
{
	struct ibv_sge to = { .addr = (uintptr_t)&client->requests[place],
			      .length = sizeof(client->requests[place]),
			      .lkey = client->region->lkey };
	/* Both are aligned: the place is in the lower bits of the client's address. */
	struct ibv_recv_wr request = { .wr_id = (uintptr_t)client | place,
				       .sg_list = &to,
				       .num_sge = 1 };
	struct ibv_recv_wr *bad;

	return ibv_post_recv(client->id->qp, &request, &bad);
}

static int post_answer(struct client *client, unsigned int place, uint32_t length)
{
	unsigned char *answer = client->answers + place * client->answer_room;
	struct ibv_sge from = { .addr = (uintptr_t)answer,
				.length = length,
				.lkey = client->region->lkey };
	struct ibv_send_wr request = { .wr_id = (uintptr_t)client | place,
				       .sg_list = &from,
				       .num_sge = 1,
				       .opcode = IBV_WR_SEND,
				       .send_flags = IBV_SEND_SIGNALED };
	struct ibv_send_wr *bad;

	if (length <= WIRE_INLINE)
		request.send_flags |= IBV_SEND_INLINE;
	return ibv_post_send(client->id->qp, &request, &bad);
}

static void answer(const struct answerer *answerer, struct client *client, unsigned int place)
{
	const struct wire_request *request = &client->requests[place];
	unsigned char *room = client->answers + place * client->answer_room;
	struct wire_answer *head = (struct wire_answer *)room;
	size_t length = 0;

	head->length = -EINVAL;
	if (request->table < answerer->table_count)
		head->length = estate_get(answerer->tables[request->table], request->key,
					  sizeof(request->key), head + 1,
					  client->answer_room - sizeof(*head), &length);
	if (!head->length)
		head->length = (int64_t)length;
	if (post_receive(client, place) ||
	    post_answer(client, place, (uint32_t)(sizeof(*head) + length)))
		warn("an answer");
}

static void take(const struct answerer *answerer, const struct ibv_wc *work)
{
	if (work->status || work->opcode != IBV_WC_RECV)
		return;
	answer(answerer, (struct client *)(uintptr_t)(work->wr_id & ~(uint64_t)(WIRE_RECEIVES - 1)),
	       work->wr_id & (WIRE_RECEIVES - 1));
}

static void run_thread(void *arg)
{
	struct answerer *answerer = arg;
	struct ibv_wc work[WIRE_RECEIVES];
	struct ibv_cq *completions;
	void *context;

	while (!ibv_get_cq_event(answerer->channel, &completions, &context)) {
		int count;

		ibv_ack_cq_events(completions, 1);
		if (ibv_req_notify_cq(completions, 0))
			break;
		while ((count = ibv_poll_cq(completions, WIRE_RECEIVES, work)) > 0)
			for (int i = 0; i < count; i++)
				take(answerer, &work[i]);
	}
	warn("rpc");
}

static int use_device(struct answerer *answerer, struct ibv_context *device)
{
	if (answerer->device)
		return answerer->device == device ? 0 : -1;
	answerer->device = device;
	answerer->domain = ibv_alloc_pd(device);
	answerer->channel = ibv_create_comp_channel(device);
	answerer->buffer = aligned_alloc(4096, answerer->buffer_size);
	if (!answerer->domain || !answerer->channel || !answerer->buffer)
		return -1;
	memset(answerer->buffer, 1, answerer->buffer_size);
	answerer->completions = ibv_create_cq(device, COMPLETIONS, NULL, answerer->channel, 0);
	answerer->region = ibv_reg_mr(answerer->domain, answerer->buffer, answerer->buffer_size,
				      IBV_ACCESS_REMOTE_READ);
	if (!answerer->completions || !answerer->region ||
	    ibv_req_notify_cq(answerer->completions, 0))
		return -1;
	return nf_start(&answerer->thread, run_thread, answerer);
}

static struct client *make_client(struct answerer *answerer, struct rdma_cm_id *id)
{
	struct ibv_qp_init_attr attr = { .send_cq = answerer->completions,
					 .recv_cq = answerer->completions,
					 .qp_type = IBV_QPT_RC,
					 .cap = { .max_send_wr = WIRE_RECEIVES,
						  .max_recv_wr = WIRE_RECEIVES,
						  .max_send_sge = 1,
						  .max_recv_sge = 1,
						  .max_inline_data = WIRE_INLINE } };
	size_t room = sizeof(struct wire_answer) + TABLES_VALUE_MAX;
	size_t size = (sizeof(struct client) + room * WIRE_RECEIVES + 4095) / 4096 * 4096;
	struct client *client = aligned_alloc(4096, size);

	if (!client)
		return NULL;
	memset(client, 0, size);
	client->id = id;
	client->answer_room = room;
	id->context = client;
	client->region = ibv_reg_mr(answerer->domain, client, size, IBV_ACCESS_LOCAL_WRITE);
	if (!client->region || rdma_create_qp(id, answerer->domain, &attr))
		return NULL;
	for (unsigned int i = 0; i < WIRE_RECEIVES; i++)
		if (post_receive(client, i))
			return NULL;
	return client;
}

static int accept_client(struct answerer *answerer, struct rdma_cm_id *id)
{
	struct wire_welcome welcome;
	struct rdma_conn_param param = { .private_data = &welcome,
					 .private_data_len = sizeof(welcome),
					 .responder_resources = RDMA_MAX_RESP_RES,
					 .initiator_depth = RDMA_MAX_INIT_DEPTH,
					 .rnr_retry_count = 7 };

	if (use_device(answerer, id->verbs) || !make_client(answerer, id))
		return -1;
	welcome = (struct wire_welcome){ .address = (uintptr_t)answerer->buffer,
					 .size = answerer->buffer_size,
					 .rkey = answerer->region->rkey };
	return rdma_accept(id, &param);
}

/* Its memory stays: a completion may still point to it. Clients of a benchmark are few. */
static void end_client(struct rdma_cm_id *id)
{
	rdma_disconnect(id);
	rdma_destroy_qp(id);
	rdma_destroy_id(id);
}

int answer_run(struct answerer *answerer, const struct peer_address *listen)
{
	struct rdma_addrinfo hints = { .ai_flags = RAI_PASSIVE, .ai_port_space = RDMA_PS_TCP };
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_addrinfo *found;
	struct rdma_cm_event *event;
	struct rdma_cm_id *listener;
	char host[HOST_MAX], port[16];

	wire_host(listen, host);
	snprintf(port, sizeof(port), "%u", listen->port + PORT_RAW);
	if (!channel || rdma_getaddrinfo(host, port, &hints, &found) ||
	    rdma_create_id(channel, &listener, NULL, RDMA_PS_TCP) ||
	    rdma_bind_addr(listener, found->ai_src_addr) || rdma_listen(listener, 64)) {
		warn("%s:%s", host, port);
		return -1;
	}
	while (!rdma_get_cm_event(channel, &event)) {
		enum rdma_cm_event_type type = event->event;
		struct rdma_cm_id *id = event->id;

		rdma_ack_cm_event(event);
		if (type == RDMA_CM_EVENT_CONNECT_REQUEST && accept_client(answerer, id))
			warn("a client was not accepted");
		else if (type == RDMA_CM_EVENT_DISCONNECTED)
			end_client(id);
	}
	warn("rdma_get_cm_event");
	return -1;
}
