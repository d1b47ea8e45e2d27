// SPDX-License-Identifier: BSD-3-Clause
#include "rpc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int post_receive(const struct rpc *rpc)
{
	struct ibv_sge to = { .addr = (uintptr_t)rpc->wires->memory,
			      .length = (uint32_t)(sizeof(struct wire_answer) + rpc->size),
			      .lkey = rpc->wires->region->lkey };
	struct ibv_recv_wr request = { .sg_list = &to, .num_sge = 1 };
	struct ibv_recv_wr *bad;

	return ibv_post_recv(rpc->wires->wires[0].id->qp, &request, &bad) ? -errno : 0;
}

static int post_question(const struct rpc *rpc, const struct tables_key *key)
{
	struct wire_request question = { .key = { key->words[0], key->words[1] },
					 .table = rpc->table };
	struct ibv_sge from = { .addr = (uintptr_t)&question, .length = sizeof(question) };
	struct ibv_send_wr request = { .sg_list = &from,
				       .num_sge = 1,
				       .opcode = IBV_WR_SEND,
				       .send_flags = IBV_SEND_SIGNALED | IBV_SEND_INLINE };
	struct ibv_send_wr *bad;

	return ibv_post_send(rpc->wires->wires[0].id->qp, &request, &bad) ? -errno : 0;
}

/* Both the question's completion and the answer. */
static int await(const struct rpc *rpc)
{
	for (unsigned int left = 2; left;) {
		struct ibv_wc work[2];
		int count = ibv_poll_cq(rpc->wires->completions, 2, work);

		if (count < 0)
			return -EIO;
		for (int i = 0; i < count; i++) {
			if (work[i].status) {
				fprintf(stderr, "rpc: %s\n", ibv_wc_status_str(work[i].status));
				return -EIO;
			}
			left--;
		}
	}
	return 0;
}

int rpc_ask(void *arg)
{
	struct rpc *rpc = arg;
	uint64_t number = tables_walk_next(&rpc->walk);
	struct tables_key key = tables_key(number);
	const struct wire_answer *answer = (const struct wire_answer *)rpc->wires->memory;
	int error = post_receive(rpc);

	if (!error)
		error = post_question(rpc, &key);
	if (!error)
		error = await(rpc);
	if (error)
		return error;
	if (answer->length != (int64_t)rpc->size ||
	    !tables_right((const uint64_t *)(answer + 1), rpc->size, number, 1)) {
		fprintf(stderr, "rpc: a wrong answer\n");
		return -EBADMSG;
	}
	return 0;
}
