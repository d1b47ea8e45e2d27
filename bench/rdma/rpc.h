/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking the owner by message: the client's side. */
#ifndef RPC_H
#define RPC_H

#include "tables.h"
#include "wire.h"

struct rpc {
	struct wires *wires; /* the first of them is asked */
	unsigned int table;
	size_t size; /* of its values */
	struct tables_walk walk;
};

/* One question and its answer, which is checked. A contest_run function; @arg is a struct rpc. */
int rpc_ask(void *arg);

#endif
