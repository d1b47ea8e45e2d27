/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * READs of one key at one far instance, with the memory in which they land. A pool has those of one table and one view; it grows, and is
 * given back with the view.
 */
#ifndef OP_H
#define OP_H

#include "fetch.h"
#include "request.h"
#include "transport.h"

struct estate_view;

/* What a READ's tag points at: who is told when it has come. */
struct arrival {
	void (*arrived)(struct estate_view *view, struct arrival *arrival, int error);
};

enum op_stage {
	OP_HEADER, /* is it still the same instance, and how many tables does it have? */
	OP_DIRECTORY, /* where is the table? */
	OP_FETCH,
	OP_STANDING, /* a fetch's first READ: only to be counted when it has come */
	/* What verdict.c reads has no stages. */
};

struct op {
	struct arrival arrival;
	struct op *next; /* free, or waiting for its endpoint */
	struct op_pool *pool;
	struct transport_read read; /* its landing and tag are always this op's */
	unsigned char *room; /* of this op, in the landing memory */
	struct endpoint *endpoint;
	struct request *request; /* NULL: nobody waits for it any more */
	struct request_key *key;
	struct reading *reading; /* of the key, which this is for */
	struct view_place *place;
	enum op_stage stage;
	unsigned int table; /* of the directory, from which on it is read now */
	unsigned int tables; /* that the directory has */
	struct fetch fetch;
};

struct op_chunk {
	struct op_chunk *next;
	struct op ops[];
};

typedef void op_arrived_fn(struct estate_view *view, struct arrival *arrival, int error);

struct op_pool {
	struct op *free;
	struct op_chunk *chunks;
	unsigned int free_count;
	size_t stride; /* of the ops' rooms */
	op_arrived_fn *arrived;
};

/* See that @count ops are free, with @room bytes each. 0, or a negative errno value with a sentence. */
int op_pool_reserve_more(struct op_pool *pool, struct transport *transport, struct transport_io *io,
			 size_t room, unsigned int count, op_arrived_fn *arrived);

static inline int op_pool_reserve(struct op_pool *pool, struct transport *transport,
				  struct transport_io *io, const struct geometry *geometry,
				  unsigned int count, op_arrived_fn *arrived)
{
	if (likely(pool->free_count >= count && pool->stride))
		return 0;
	return op_pool_reserve_more(pool, transport, io, fetch_room(geometry), count, arrived);
}
void op_pool_free(struct op_pool *pool);

static inline struct op *op_take(struct op_pool *pool)
{
	struct op *op = pool->free;

	if (op) {
		pool->free = op->next;
		pool->free_count--;
	}
	return op;
}

static inline void op_give(struct op *op)
{
	op->next = op->pool->free;
	op->pool->free = op;
	op->pool->free_count++;
}

#endif
