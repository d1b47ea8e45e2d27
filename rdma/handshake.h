/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two sides of a connection say to each other in its private data
 * (rdma_connect(3), rdma_accept(3), rdma_reject(3)), which may arrive longer than
 * it was sent, padded with zeros. Little-endian, like the region.
 */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include "region.h"

#include <stddef.h>
#include <stdint.h>

#define HANDSHAKE_PROTOCOL 1u

/* By the one who wants to read. At most 56 bytes fit into a connect request. */
struct handshake_hello {
	uint64_t magic;
	uint32_t protocol;
	uint32_t layout;
	uint64_t group; /* the hash of its name */
	uint8_t uuid[16]; /* of the one who asks */
};
static_assert(sizeof(struct handshake_hello) <= 56, "fits into a connect request");

/* By the owner of the region. At most 196 bytes fit into a connect response. */
struct handshake_welcome {
	uint64_t magic;
	uint32_t protocol;
	uint32_t layout;
	uint32_t pid;
	uint32_t rkey;
	uint64_t address; /* of the region, in the owner's memory */
	uint64_t size;
	uint64_t epoch;
	uint8_t uuid[16];
};
static_assert(sizeof(struct handshake_welcome) <= 196, "fits into a connect response");

/* At most 148 bytes fit into a reject. */
struct handshake_refusal {
	uint64_t magic;
	uint32_t protocol;
	uint32_t layout;
	int32_t error; /* a negative errno value */
	char reason[124];
};
static_assert(sizeof(struct handshake_refusal) <= 148, "fits into a reject");

void handshake_make_hello(struct handshake_hello *hello, const struct region_identity *identity);
void handshake_make_welcome(struct handshake_welcome *welcome,
			    const struct region_identity *identity, const struct region *region,
			    uint32_t rkey);

/*
 * The owner's side: whether @data is a hello that may be let in. 0; or a negative
 * errno value, and @refusal is what to answer.
 */
int handshake_check_hello(const void *data, size_t length, const struct region_identity *identity,
			  struct handshake_refusal *refusal);

/* The reader's side. 0, or a negative errno value with a sentence. */
int handshake_check_welcome(const void *data, size_t length, struct handshake_welcome *welcome);

/* What a reject says. A negative errno value with a sentence, always. */
int handshake_explain_reject(const void *data, size_t length, int status);

#endif
