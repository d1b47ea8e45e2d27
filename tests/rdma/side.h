/* SPDX-License-Identifier: BSD-3-Clause */
/* Transports of instances and observers, over the fake, with a test in the place of the group. */
#ifndef SIDE_H
#define SIDE_H

#include "fake_verbs.h"
#include "verbs.h"

#include "check.h"
#include "error.h"

#define SIDE_REGION (1 << 20)
#define SIDE_LISTEN "verbs:127.0.0.1:0"

struct side;

/* What a member is to the transport's group. */
struct member {
	int up; /* and not down since */
	unsigned int ups;
	unsigned int downs;
	unsigned int troubles;
	int error; /* of the last down() */
	char sentence[256]; /* of that, or of the last trouble() */
	struct transport_peer peer;
	void *memory; /* of the peer, to be freed */
};

struct group {
	struct side *side;
	unsigned int changes;
};

struct side {
	struct side *next;
	struct group group;
	struct region_identity identity;
	struct region region;
	struct transport *transport;
	struct verbs *verbs; /* the same, from inside */
	const struct transport_operations *operations;
};

/* @name NULL: an observer. @listen NULL: SIDE_LISTEN for an instance. 0 or the transport's error. */
int side_open(struct side *side, const char *name, const char *listen);
void side_close(struct side *side);

/* Events and ticks of all sides, until nothing happens any more. */
void side_pump(void);
/* The same while @us microseconds pass, in steps of ten milliseconds. */
void side_pass(uint64_t us);

/* Connect to @to, whatever comes of it. */
int side_connect(struct side *side, const struct side *to, struct member *member);
void side_disconnect(struct side *side, struct member *member);

/* An instance and an observer that is connected to it. */
struct pair {
	struct side owner;
	struct side reader;
	struct member member;
};

void pair_open(struct pair *pair);
void pair_close(struct pair *pair);

/* An io of the reader with its lane to the owner, and memory to read into. */
struct reading_io {
	struct transport_io *base;
	struct io *io;
	struct endpoint *endpoint;
	struct lane *lane;
	struct landing *landing;
};

void pair_io(struct pair *pair, struct reading_io *io);
void pair_io_close(struct pair *pair, struct reading_io *io);

/* The @number-th word of the owner's region, after its directory, to the same place of the landing. */
int pair_read(struct pair *pair, struct reading_io *io, unsigned int number);
/* That word in the landing. */
uint64_t pair_word(const struct reading_io *io, unsigned int number);
/* What it is in every region. */
#define PAIR_WORD(number) (UINT64_C(0x1234567800000000) + (number))

/* fake_reset() and fake_check(), as cmocka's set-up and tear-down. */
int side_setup(void **state);
int side_teardown(void **state);

#endif
