/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The members that the registry lists: connecting to them, watching them,
 * losing them. All on the background thread, under the group's lock.
 */
#ifndef MEMBER_H
#define MEMBER_H

#include "clock.h"
#include "registry.h"
#include "roster.h"
#include "transport.h"
#include "wish.h"

#include <estate/instance.h>

#include <pthread.h>
#include <stdint.h>

/* A heart that has not been seen beating for so long makes its owner stale. */
#define MEMBER_STALE_US 1000000

/* What an epoll event is about. */
enum source_kind {
	SOURCE_TICK,
	SOURCE_STOP,
	SOURCE_REGISTRY,
	SOURCE_LISTENER,
	SOURCE_READER,
	SOURCE_MEMBER,
	SOURCE_TRANSPORT
};

struct source {
	enum source_kind kind;
	int fd;
};

/* Somebody who reads us. */
struct reader {
	struct source source;
	struct reader *next;
	int asks; /* for us to leave, and has not heard how it ended */
};

/* Somebody whom the registry lists. Only the background thread changes it, under the lock. */
struct member {
	struct source source; /* the connection; fd is -1 if there is none */
	struct member *next;
	int listed; /* in the registry, at the last look */
	int connecting;
	int far; /* it is connected to, or was last, by the transport */
	int ours; /* it turned out to be this instance itself */
	int tried; /* reached, or found missing, at least once */
	int refused; /* nobody listened there, since it was connected last */
	char listed_name[ESTATE_NAME_MAX]; /* as the registry has it; may be "" */
	char address[REGISTRY_ADDRESS_MAX];
	struct peer *peer; /* NULL while it cannot be read */
	struct region_identity identity; /* of the peer that it is, or was last; zeros before */
	char reason[256];
	uint64_t heartbeat;
	uint64_t beat_us; /* when that was first seen */
	uint64_t due_us; /* when to try to connect, or to give the handshake up */
	uint64_t backoff_us;
};

struct group {
	struct region_identity identity;
	struct region *region;
	struct clock *clock;
	struct adopter *adopter;
	struct registry *registry;
	char address[REGISTRY_ADDRESS_MAX];
	pthread_t thread;
	int epoll;
	struct source tick;
	struct source stop;
	struct source events;
	struct source listener;
	struct source transport_events;
	struct reader *readers;
	unsigned int reader_count;
	unsigned int random; /* state of the jitter */

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t changed;
	struct member *members;
	struct roster *roster;
	struct transport *transport; /* NULL until a member's address, or ours, needs one */
	int settled; /* every member of the first list was tried */
	uint64_t generation; /* read without the lock */
	struct wish wish;
};

int source_watch(struct group *group, struct source *source);
void source_close(struct group *group, struct source *source);

/* Open the transport, now that an address needs it. @listen: "" to listen nowhere. */
int member_transport(struct group *group, const char *listen);

/* Make the members what the registry lists. */
void members_list(struct group *group);
/* Connect to those who are due, and look at the hearts of the others. */
void members_watch(struct group *group);
/* Something came over a member's connection. */
void member_event(struct group *group, struct member *member);
void member_name(const struct member *member, char name[ESTATE_NAME_MAX]);
void member_free(struct group *group, struct member *member);

#endif
