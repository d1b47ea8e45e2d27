/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's side of plain verbs: a buffer for raw READs, and the way that
 * takes the owner's CPU: a request comes as a message, a thread of the network
 * function is woken, looks the key up, and sends the value.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include "nf.h"
#include "options.h"

#include <estate/estate.h>
#include <infiniband/verbs.h>

struct answerer {
	struct estate_table *tables[SIZES_MAX];
	unsigned int table_count;
	size_t buffer_size;

	/* Made when the first client has come, on its device. */
	struct ibv_context *device;
	struct ibv_pd *domain;
	struct ibv_comp_channel *channel;
	struct ibv_cq *completions;
	unsigned char *buffer;
	struct ibv_mr *region;
	struct nf_thread thread;
};

/* Accepts clients for ever; returns only after a message. */
int answer_run(struct answerer *answerer, const struct peer_address *listen);

#endif
