/* SPDX-License-Identifier: BSD-3-Clause */
/* The instances that a splitter sends to. */
#ifndef MONITOR_OUTLETS_H
#define MONITOR_OUTLETS_H

#include <estate/estate.h>
#include <stddef.h>
#include <stdint.h>

#include "members.h"
#include "share.h"

#define OUTLETS_MAX 64
#define OUTLETS_WAIT_MS 20 /* the longest that a call waits for anything */

struct outlet {
	int channel;
	enum {
		OUTLET_NEW, /* has not said its name yet */
		OUTLET_SHARING,
		OUTLET_LEAVING, /* gets nothing any more, hands over its counters */
	} state;
	int live; /* in the group */
	char name[ESTATE_NAME_MAX];
};

struct outlets {
	struct estate *es;
	const char *path;
	int listener;
	struct outlet list[OUTLETS_MAX];
	unsigned int count;
	struct members members;
	struct share share; /* of the outlets that share ... */
	struct outlet *sharing[OUTLETS_MAX]; /* ... and which these are */
	uint64_t refreshed;
	uint64_t lost; /* entries that were handed over when nobody was left */
};

/* All return 0 or a negative errno value. */
int outlets_open(struct outlets *outlets, struct estate *es, const char *path);

/*
 * Sends @head and @body to whoever takes what has this hash. An instance that
 * died meanwhile is dropped; one that hangs stops being live, and then it is
 * somebody else's. -EAGAIN: there is nobody.
 */
int outlets_deliver(struct outlets *outlets, uint64_t hash, const void *head, size_t head_length,
		    const void *body, size_t body_length);

/* Takes what instances have to say, and looks who is there; waits up to @wait_ms. */
int outlets_serve(struct outlets *outlets, int wait_ms);

/* Do just @wanted instances share, and nobody is in between, new or handing over? */
int outlets_settled(const struct outlets *outlets, unsigned int wanted);

void outlets_close(struct outlets *outlets);

#endif
