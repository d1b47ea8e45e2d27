// SPDX-License-Identifier: BSD-3-Clause
/*
 * Strangers at the door of an instance, and one who was let in and does what he
 * must not. Run as: rdma-hostile ADDRESS PORT GROUP. Ends with 0 if each was
 * refused as it should be.
 */
#include "handshake.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <rdma/rdma_cma.h>
#include <rdma/rdma_verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char memory[65536];

/* Connect, saying @hello. 0: let in; else the refusal, which may be empty. */
static int knock(const char *host, const char *port, const void *hello, size_t length,
		 struct rdma_cm_id **result, struct handshake_welcome *welcome,
		 struct handshake_refusal *refusal)
{
	struct rdma_addrinfo hints = { .ai_port_space = RDMA_PS_TCP };
	struct rdma_addrinfo *found;
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 4, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 }
	};
	struct rdma_conn_param param = { .private_data = hello,
					 .private_data_len = (uint8_t)length,
					 .responder_resources = 1,
					 .initiator_depth = 1,
					 .retry_count = 3,
					 .rnr_retry_count = 3 };
	struct rdma_cm_id *id;

	memset(refusal, 0, sizeof(*refusal));
	if (rdma_getaddrinfo(host, port, &hints, &found))
		err(1, "rdma_getaddrinfo");
	if (rdma_create_ep(&id, found, NULL, &attr))
		err(1, "rdma_create_ep");
	rdma_freeaddrinfo(found);
	if (!rdma_connect(id, &param)) {
		if (id->event->param.conn.private_data_len < sizeof(*welcome))
			errx(1, "a welcome of %u bytes", id->event->param.conn.private_data_len);
		memcpy(welcome, id->event->param.conn.private_data, sizeof(*welcome));
		*result = id;
		return 0;
	}
	if (id->event && id->event->event == RDMA_CM_EVENT_REJECTED &&
	    id->event->param.conn.private_data_len >= sizeof(*refusal))
		memcpy(refusal, id->event->param.conn.private_data, sizeof(*refusal));
	rdma_destroy_ep(id);
	return -ECONNREFUSED;
}

static void leave(struct rdma_cm_id *id)
{
	rdma_disconnect(id);
	rdma_destroy_ep(id);
}

static void expect_refusal(const char *host, const char *port, const void *hello, size_t length,
			   const char *word)
{
	struct handshake_refusal refusal;
	struct handshake_welcome welcome;
	struct rdma_cm_id *id;

	if (!knock(host, port, hello, length, &id, &welcome, &refusal))
		errx(1, "let in, who should have read \"%s\"", word);
	if (!strstr(refusal.reason, word))
		errx(1, "refused by \"%s\", which does not say \"%s\"", refusal.reason, word);
}

/* Let in, and then one request that no reader makes. Its status. */
static enum ibv_wc_status misbehave(const char *host, const char *port,
				    const struct handshake_hello *hello, enum ibv_wr_opcode opcode,
				    uint64_t offset, uint32_t length, uint32_t key)
{
	struct handshake_refusal refusal;
	struct handshake_welcome welcome;
	struct rdma_cm_id *id;
	struct ibv_mr *region;
	struct ibv_send_wr request = { .opcode = opcode, .send_flags = IBV_SEND_SIGNALED };
	struct ibv_send_wr *bad;
	struct ibv_sge place = { .addr = (uintptr_t)memory, .length = length };
	struct ibv_wc work = { 0 };

	if (knock(host, port, hello, sizeof(*hello), &id, &welcome, &refusal))
		errx(1, "a reader is refused: %s", refusal.reason);
	region = ibv_reg_mr(id->pd, memory, sizeof(memory), IBV_ACCESS_LOCAL_WRITE);
	if (!region)
		err(1, "ibv_reg_mr");
	place.lkey = region->lkey;
	request.sg_list = &place;
	request.num_sge = 1;
	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		request.wr.atomic.remote_addr = welcome.address + offset;
		request.wr.atomic.rkey = welcome.rkey ^ key;
		request.wr.atomic.compare_add = 1;
	} else {
		request.wr.rdma.remote_addr = welcome.address + offset;
		request.wr.rdma.rkey = welcome.rkey ^ key;
	}
	errno = ibv_post_send(id->qp, &request, &bad);
	if (errno)
		err(1, "ibv_post_send");
	if (rdma_get_send_comp(id, &work) < 0)
		err(1, "rdma_get_send_comp");
	leave(id);
	ibv_dereg_mr(region);
	return work.status;
}

static void expect_status(const char *what, enum ibv_wc_status status, int good)
{
	printf("%s: %s\n", what, ibv_wc_status_str(status));
	if (good != (status == IBV_WC_SUCCESS))
		errx(1, "%s: %s", what, ibv_wc_status_str(status));
}

int main(int argc, char **argv)
{
	struct region_identity me = { .uuid = { 1, 2, 3 } };
	struct handshake_hello good;
	struct handshake_hello odd;
	uint64_t size = 64 << 20;

	if (argc != 4)
		errx(2, "usage: rdma-hostile ADDRESS PORT GROUP");
	snprintf(me.group, sizeof(me.group), "%.63s", argv[3]);
	handshake_make_hello(&good, &me);

	expect_refusal(argv[1], argv[2], "hello?", 6, "estate");
	odd = good;
	odd.magic++;
	expect_refusal(argv[1], argv[2], &odd, sizeof(odd), "no instance of estate");
	odd = good;
	odd.protocol++;
	expect_refusal(argv[1], argv[2], &odd, sizeof(odd), "same release");
	odd = good;
	odd.layout += 7;
	expect_refusal(argv[1], argv[2], &odd, sizeof(odd), "same release");
	odd = good;
	odd.group++;
	expect_refusal(argv[1], argv[2], &odd, sizeof(odd), "another group");

	expect_status("READ", misbehave(argv[1], argv[2], &good, IBV_WR_RDMA_READ, 0, 4096, 0), 1);
	expect_status("WRITE", misbehave(argv[1], argv[2], &good, IBV_WR_RDMA_WRITE, 0, 8, 0), 0);
	expect_status("FETCH_ADD",
		      misbehave(argv[1], argv[2], &good, IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 8, 0), 0);
	expect_status("READ beyond the end",
		      misbehave(argv[1], argv[2], &good, IBV_WR_RDMA_READ, size - 64, 4096, 0), 0);
	expect_status("READ before the beginning",
		      misbehave(argv[1], argv[2], &good, IBV_WR_RDMA_READ, (uint64_t)-4096, 64, 0),
		      0);
	expect_status("READ with another key",
		      misbehave(argv[1], argv[2], &good, IBV_WR_RDMA_READ, 0, 64, 0x100), 0);
	expect_status("SEND", misbehave(argv[1], argv[2], &good, IBV_WR_SEND, 0, 64, 0), 0);
	return 0;
}
