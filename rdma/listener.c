// SPDX-License-Identifier: BSD-3-Clause
/*
 * The owner's side: whoever asks in the right words gets a queue pair through
 * which the region can be read. After that, nothing here runs for any READ.
 */
#include "verbs.h"

#include "address.h"
#include "clock.h"
#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG 128
#define INBOUNDS_MAX 4096
#define RETRY_US 1000000

static int listen_at(struct verbs *verbs)
{
	struct listener *listener = &verbs->listener;
	const char *what = "rdma_create_id";
	int error;

	listener->owner = OWNER_LISTENER;
	if (rdma_create_id(verbs->channel, &listener->id, listener, RDMA_PS_TCP)) {
		listener->id = NULL;
		goto fail;
	}
	what = "rdma_bind_addr";
	if (rdma_bind_addr(listener->id, (struct sockaddr *)&listener->at))
		goto fail;
	if (!listener->id->verbs) {
		error = error_set(
			-ENODEV,
			"listening at %s: no RDMA device has this address: see rdma link; "
			"for SoftRoCE: rdma link add rxe0 type rxe netdev NETDEV",
			listener->text);
		goto close;
	}
	what = "rdma_listen";
	if (rdma_listen(listener->id, BACKLOG))
		goto fail;
	if (!device_of(&verbs->devices, listener->id->verbs, verbs->region)) {
		error = -ENOMEM;
		goto close;
	}
	return 0;

fail:
	error = error_set(
		-errno, "listening at %s: %s: %m%s", listener->text, what,
		errno == ENODEV || errno == EADDRNOTAVAIL
			? ": no RDMA device of this host has this address: see rdma link; "
			  "for SoftRoCE: rdma link add rxe0 type rxe netdev NETDEV"
			: "");
close:
	if (listener->id)
		rdma_destroy_id(listener->id);
	listener->id = NULL;
	return error;
}

int listener_open(struct verbs *verbs, const char *listen)
{
	struct listener *listener = &verbs->listener;
	int error = address_parse(listen, &listener->at);

	if (error)
		return error;
	listener->only = transport_address(listen) == TRANSPORT_ONLY;
	strcpy(listener->text, listen);
	error = listen_at(verbs);
	if (error)
		return error;
	/* With the port that was chosen, if it was 0. */
	memcpy(&listener->at, rdma_get_local_addr(listener->id),
	       listener->at.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						  : sizeof(struct sockaddr_in));
	address_format((struct sockaddr *)&listener->at, listener->only, listener->text,
		       sizeof(listener->text));
	return 0;
}

static void inbound_free(struct verbs *verbs, struct inbound *inbound)
{
	for (struct inbound **link = &verbs->inbounds; *link; link = &(*link)->next) {
		if (*link == inbound) {
			*link = inbound->next;
			verbs->inbound_count--;
			break;
		}
	}
	if (inbound->id->qp)
		rdma_destroy_qp(inbound->id);
	rdma_destroy_id(inbound->id);
	free(inbound);
}

void listener_close(struct verbs *verbs)
{
	while (verbs->inbounds)
		inbound_free(verbs, verbs->inbounds);
	if (verbs->listener.id)
		rdma_destroy_id(verbs->listener.id);
	verbs->listener.id = NULL;
}

static int accept_reader(struct verbs *verbs, struct inbound *inbound)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 }
	};
	struct handshake_welcome welcome;
	struct rdma_conn_param param = { .private_data = &welcome,
					 .private_data_len = sizeof(welcome),
					 .responder_resources = RDMA_MAX_RESP_RES,
					 .initiator_depth = RDMA_MAX_INIT_DEPTH,
					 .rnr_retry_count = 7 };
	struct device *device = device_of(&verbs->devices, inbound->id->verbs, verbs->region);

	if (!device)
		return -ENOMEM;
	attr.send_cq = device->inbound;
	attr.recv_cq = device->inbound;
	if (rdma_create_qp(inbound->id, device->pd, &attr))
		return error_set(-errno, "rdma_create_qp: %m");
	handshake_make_welcome(&welcome, &verbs->identity, verbs->region, device->region->rkey);
	if (rdma_accept(inbound->id, &param))
		return error_set(-errno, "rdma_accept: %m");
	return 0;
}

/* Refuse with a reason. */
static void reject(struct rdma_cm_id *id, const struct handshake_refusal *refusal)
{
	rdma_reject(id, refusal, sizeof(*refusal));
	rdma_destroy_id(id);
}

static void connect_request(struct verbs *verbs, const struct cm_event *event)
{
	struct handshake_refusal refusal;
	struct inbound *inbound;

	if (handshake_check_hello(event->data, event->data_length, &verbs->identity, &refusal)) {
		reject(event->id, &refusal);
		return;
	}
	inbound = verbs->inbound_count < INBOUNDS_MAX ? calloc(1, sizeof(*inbound)) : NULL;
	refusal.error = -ENOSPC;
	strcpy(refusal.reason, "it has as many readers as it can have");
	if (!inbound) {
		reject(event->id, &refusal);
		return;
	}
	inbound->owner = OWNER_INBOUND;
	inbound->id = event->id;
	inbound->id->context = inbound;
	inbound->next = verbs->inbounds;
	verbs->inbounds = inbound;
	verbs->inbound_count++;
	refusal.error = accept_reader(verbs, inbound);
	if (!refusal.error)
		return;
	strncpy(refusal.reason, estate_errormsg(), sizeof(refusal.reason) - 1);
	rdma_reject(inbound->id, &refusal, sizeof(refusal));
	inbound_free(verbs, inbound);
}

void listener_event(struct verbs *verbs, const struct cm_event *event)
{
	struct listener *listener = &verbs->listener;

	if (event->type == RDMA_CM_EVENT_CONNECT_REQUEST) {
		connect_request(verbs, event);
	} else if (event->type == RDMA_CM_EVENT_DEVICE_REMOVAL) {
		rdma_destroy_id(listener->id);
		listener->id = NULL;
		listener->retry_us = clock_monotonic_us() + RETRY_US;
	}
}

void listener_tick(struct verbs *verbs, uint64_t now)
{
	struct listener *listener = &verbs->listener;

	if (listener->id || !listener->retry_us || now < listener->retry_us)
		return;
	listener->retry_us = now + RETRY_US;
	listen_at(verbs);
}

void inbound_event(struct verbs *verbs, struct inbound *inbound, const struct cm_event *event)
{
	switch (event->type) {
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_REJECTED:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		inbound_free(verbs, inbound);
		break;
	default:
		break;
	}
}
