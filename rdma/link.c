// SPDX-License-Identifier: BSD-3-Clause
#include "link.h"

#include "error.h"
#include "explain.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define RESOLVE_MS 1000

/*
 * 4.096 us * 2^14 = 67 ms, and six retries: a peer whose host is gone is found
 * out within a second. (The default for RoCE, 2^18, would take ten; and rxe takes
 * seven retries for as many as it takes.)
 */
#define ACK_TIMEOUT 14
#define RETRIES 6

int link_start(struct link *link, struct rdma_event_channel *channel, const struct sockaddr *to)
{
	struct sockaddr_storage address;
	int error;

	/* librdmacm takes it without const. */
	memcpy(&address, to,
	       to->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					 : sizeof(struct sockaddr_in));
	link->state = LINK_CONNECTING;
	if (rdma_create_id(channel, &link->id, link, RDMA_PS_TCP)) {
		link->id = NULL;
		return error_set(-errno, "rdma_create_id: %m%s",
				 errno == ENODEV ? ": this host has no RDMA device" : "");
	}
	if (!rdma_resolve_addr(link->id, NULL, (struct sockaddr *)&address, RESOLVE_MS))
		return 0;
	error = -errno;
	return error_set(error, "rdma_resolve_addr: %s: %s", strerror(-error),
			 explain_event(RDMA_CM_EVENT_ADDR_ERROR, error));
}

static int resolve_route(struct link *link)
{
	uint8_t timeout = ACK_TIMEOUT;

	/* Kernels before 5.3 do not know it: then failures are found out later. */
	rdma_set_option(link->id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout,
			sizeof(timeout));
	if (rdma_resolve_route(link->id, RESOLVE_MS))
		return error_set(-errno, "rdma_resolve_route: %m");
	return LINK_STILL;
}

int link_connect(struct link *link, struct device *device, struct ibv_cq *completions, int depth,
		 const struct region_identity *identity)
{
	struct ibv_qp_init_attr attr = { .send_cq = completions,
					 .recv_cq = completions,
					 .qp_type = IBV_QPT_RC,
					 .cap = { .max_send_wr = (uint32_t)depth,
						  .max_recv_wr = 1,
						  .max_send_sge = 1,
						  .max_recv_sge = 1 } };
	struct handshake_hello hello;
	struct rdma_conn_param param = { .private_data = &hello,
					 .private_data_len = sizeof(hello),
					 .responder_resources = RDMA_MAX_RESP_RES,
					 .initiator_depth = RDMA_MAX_INIT_DEPTH,
					 .retry_count = RETRIES,
					 .rnr_retry_count = RETRIES };

	link->device = device;
	if (rdma_create_qp(link->id, device->pd, &attr))
		return error_set(-errno, "rdma_create_qp for %d READs: %m", depth);
	handshake_make_hello(&hello, identity);
	if (rdma_connect(link->id, &param))
		return error_set(-errno, "rdma_connect: %m");
	return 0;
}

int link_event(struct link *link, const struct cm_event *event)
{
	int error;

	switch (event->type) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		return resolve_route(link);
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		return LINK_NEEDS_QUEUE;
	case RDMA_CM_EVENT_ESTABLISHED:
		error = handshake_check_welcome(event->data, event->data_length, &link->welcome);
		return error ? error : LINK_UP;
	case RDMA_CM_EVENT_REJECTED:
		return handshake_explain_reject(event->data, event->data_length, event->status);
	case RDMA_CM_EVENT_DISCONNECTED:
		return error_set(-EHOSTDOWN, "it died, or closed the connection");
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
	case RDMA_CM_EVENT_ADDR_CHANGE:
		return error_set(-EHOSTUNREACH, "%s (%d): %s", rdma_event_str(event->type),
				 event->status, explain_event(event->type, event->status));
	default:
		return LINK_STILL;
	}
}

void link_stop(struct link *link)
{
	/* It moves the queue pair to the error state, which flushes it. */
	if (link->id && link->id->qp)
		rdma_disconnect(link->id);
}

void link_free(struct link *link)
{
	if (!link->id)
		return;
	if (link->id->qp)
		rdma_destroy_qp(link->id);
	rdma_destroy_id(link->id);
	link->id = NULL;
}
