// SPDX-License-Identifier: BSD-3-Clause
#include "count.h"

static int (*post)(struct ibv_qp *qp, struct ibv_send_wr *request, struct ibv_send_wr **bad);
static uint64_t reads;

static int post_counting(struct ibv_qp *qp, struct ibv_send_wr *request, struct ibv_send_wr **bad)
{
	for (const struct ibv_send_wr *r = request; r; r = r->next)
		if (r->opcode == IBV_WR_RDMA_READ)
			__atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED);
	return post(qp, request, bad);
}

void count_begin(struct ibv_context *device)
{
	post = device->ops.post_send;
	reads = 0;
	__atomic_store_n(&device->ops.post_send, post_counting, __ATOMIC_RELEASE);
}

uint64_t count_end(struct ibv_context *device)
{
	__atomic_store_n(&device->ops.post_send, post, __ATOMIC_RELEASE);
	return __atomic_load_n(&reads, __ATOMIC_RELAXED);
}
