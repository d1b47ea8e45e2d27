/* SPDX-License-Identifier: BSD-3-Clause */
/* What estate-bench was started with. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#define SIZES_MAX 16
#define PEERS_MAX 64
#define HOST_MAX 64

/* A server has three ports in a row. */
#define PORT_RAW 1 /* above the instance's: plain verbs, for raw-read and rpc */
#define PORT_CONTROL 2 /* TCP: what the owner's CPU did meanwhile */

struct peer_address {
	char host[HOST_MAX];
	unsigned int port;
};

/* In which state owners are while they are read: bits of options.owners. */
#define OWNERS_IDLE 1u
#define OWNERS_BUSY 2u

struct options {
	/* of both */
	size_t sizes[SIZES_MAX];
	unsigned int size_count;
	size_t entries;
	int cpu; /* -1: any */

	/* of the server */
	struct peer_address listen; /* host "": a client */
	int busy;
	size_t buffer; /* bytes for raw READs */

	/* of the client */
	const char *mode;
	struct peer_address peers[PEERS_MAX];
	unsigned int peer_count;
	unsigned int operations; /* of each contestant, in each round */
	double seconds; /* of each contestant, in all rounds together; 0: count operations */
	unsigned int rounds;
	unsigned int warm_up; /* operations before each round's */
	unsigned int depth;
	unsigned int keys; /* in one batch */
	unsigned int owners;
	const char *json;
};

/* Ends the program after a message if they make no sense. */
void options_parse(struct options *options, int argc, char **argv);

#endif
