// SPDX-License-Identifier: BSD-3-Clause
#include "raw.h"

#include "workload.h"

#include <errno.h>
#include <stdio.h>

#define POLL_BATCH 32
#define CHAIN_MAX 64

/* A READ from a random place, of whole cache lines as far as it can be, to place @number. */
static void make(struct wires *wires, unsigned int number, uint32_t length, unsigned int place,
		 struct ibv_send_wr *request, struct ibv_sge *to)
{
	const struct wire *wire = &wires->wires[number];
	size_t places = (wire->remote.size - length) / 64 + 1;
	size_t slots = wires->size / length;

	*to = (struct ibv_sge){ .addr = (uintptr_t)wires->memory + place % slots * length,
				.length = length,
				.lkey = wires->region->lkey };
	*request = (struct ibv_send_wr){ .wr_id = number,
					 .sg_list = to,
					 .num_sge = 1,
					 .opcode = IBV_WR_RDMA_READ,
					 .send_flags = IBV_SEND_SIGNALED };
	request->wr.rdma.remote_addr =
		wire->remote.address + workload_pick(&wires->random, places) * 64;
	request->wr.rdma.rkey = wire->remote.rkey;
}

/* Post @count READs at once, in chains. */
static int post(struct wires *wires, unsigned int number, uint32_t length, unsigned int count,
		unsigned int place)
{
	struct ibv_send_wr requests[CHAIN_MAX], *bad;
	struct ibv_sge to[CHAIN_MAX];

	while (count) {
		unsigned int chain = count < CHAIN_MAX ? count : CHAIN_MAX;

		for (unsigned int i = 0; i < chain; i++) {
			make(wires, number, length, place + i, &requests[i], &to[i]);
			requests[i].next = i + 1 < chain ? &requests[i + 1] : NULL;
		}
		if (ibv_post_send(wires->wires[number].id->qp, requests, &bad))
			return -errno;
		wires->wires[number].in_flight += chain;
		place += chain;
		count -= chain;
	}
	return 0;
}

/* What has come, counted per wire. The number, or a negative errno value. */
static int poll_once(struct wires *wires)
{
	struct ibv_wc work[POLL_BATCH];
	int count = ibv_poll_cq(wires->completions, POLL_BATCH, work);

	for (int i = 0; i < count; i++) {
		if (work[i].status) {
			fprintf(stderr, "READ: %s\n", ibv_wc_status_str(work[i].status));
			return -EIO;
		}
		wires->wires[work[i].wr_id].in_flight--;
	}
	return count < 0 ? -EIO : count;
}

int raw_one(void *arg)
{
	const struct raw *raw = arg;
	int error = post(raw->wires, raw->wire, raw->length, 1, 0);

	while (!error && raw->wires->wires[raw->wire].in_flight) {
		int count = poll_once(raw->wires);

		error = count < 0 ? count : 0;
	}
	return error;
}

int raw_each(void *arg)
{
	const struct raw *raw = arg;
	unsigned int left = raw->wires->count;
	int error = 0;

	for (unsigned int i = 0; i < raw->wires->count && !error; i++)
		error = post(raw->wires, i, raw->length, 1, i);
	while (!error && left) {
		int count = poll_once(raw->wires);

		if (count < 0)
			error = count;
		else
			left -= (unsigned int)count;
	}
	return error;
}

int raw_stream(void *arg)
{
	const struct raw *raw = arg;
	struct wires *wires = raw->wires;
	unsigned int left[PEERS_MAX];
	unsigned int pending = wires->count * raw->count;
	int error = 0;

	for (unsigned int i = 0; i < wires->count; i++)
		left[i] = raw->count;
	while (pending) {
		int count;

		for (unsigned int i = 0; i < wires->count; i++) {
			unsigned int free = raw->depth - wires->wires[i].in_flight;
			unsigned int more = free < left[i] ? free : left[i];

			if (!more)
				continue;
			error = post(wires, i, raw->length, more, i * raw->depth + left[i]);
			if (error)
				return error;
			left[i] -= more;
		}
		count = poll_once(wires);
		if (count < 0)
			return count;
		pending -= (unsigned int)count;
	}
	return 0;
}
