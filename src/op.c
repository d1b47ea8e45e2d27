// SPDX-License-Identifier: BSD-3-Clause
#include "op.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>

/* A chunk of ops has about so much landing memory: enough READs in flight for any network. */
#define CHUNK_BYTES ((size_t)1 << 20)
#define CHUNK_OPS_MAX 512

static int grow(struct op_pool *pool, struct transport *transport, struct transport_io *io,
		unsigned int count)
{
	struct op_chunk *chunk = calloc(1, sizeof(*chunk) + count * sizeof(chunk->ops[0]));
	struct landing *landing;
	int error;

	if (!chunk)
		return error_set(-ENOMEM, "no memory for %u READs", count);
	error = transport->operations->landing(io, pool->stride * count, &landing);
	if (error) {
		free(chunk);
		return error;
	}
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	for (unsigned int i = count; i-- > 0;) {
		struct op *op = &chunk->ops[i];

		op->arrival.arrived = pool->arrived;
		op->pool = pool;
		op->read.landing = landing;
		op->read.tag = &op->arrival;
		op->room = landing->memory + i * pool->stride;
		op_give(op);
	}
	return 0;
}

int op_pool_reserve_more(struct op_pool *pool, struct transport *transport, struct transport_io *io,
			 size_t room, unsigned int count, op_arrived_fn *arrived)
{
	size_t ops;

	pool->arrived = arrived;
	pool->stride = (room + 63) / 64 * 64;
	ops = CHUNK_BYTES / pool->stride;
	if (ops > CHUNK_OPS_MAX)
		ops = CHUNK_OPS_MAX;
	if (ops < count)
		ops = count;
	return grow(pool, transport, io, (unsigned int)ops);
}

void op_pool_free(struct op_pool *pool)
{
	while (pool->chunks) {
		struct op_chunk *chunk = pool->chunks;

		pool->chunks = chunk->next;
		free(chunk);
	}
}
