/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the core asks of a transport between hosts: connections to peers, and
 * READs of their memory that are posted now and complete later. rdma/ is one;
 * the core knows none of its types. (Peers on the same host need no READs: their
 * memory is mapped, see shm.h.)
 *
 * Two threads meet here. The group's background thread makes, watches and ends
 * connections, and the group's lock is held in each of these calls. A view's
 * thread posts and polls without a lock, on an io of its own.
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include "region.h"

#include <estate/instance.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct member;
struct group;

/* A peer that can be read. */
struct transport_peer {
	uint64_t id; /* unlike any other connection's of this transport */
	struct region_identity identity;
	pid_t pid;
	size_t size; /* of its region */
	const void *memory; /* a copy of its first LAYOUT_TABLES bytes, renewed now and then */
	uint64_t seen_us; /* see seen_us() below */
};

/* What the transport tells the group, on its background thread. */
struct transport_events {
	/*
	 * From now on until down(), @peer is there. @peer->memory is from malloc()
	 * and is the group's to free, who does not before it has disconnected.
	 */
	void (*up)(struct group *group, struct member *member, const struct transport_peer *peer);
	/* The connection ended or did not come about; estate_errormsg() says why. */
	void (*down)(struct group *group, struct member *member, int error);
	/* A view's connection to it broke, or did not come about; estate_errormsg() says why. */
	void (*trouble)(struct group *group, struct member *member);
	/* Endpoints came or went: views should look at the group again. */
	void (*changed)(struct group *group);
};

struct transport_attr {
	const struct region_identity *identity;
	const struct region *region; /* NULL: an observer */
	const char *listen; /* "" for an observer */
	const struct transport_events *events;
	struct group *group;
};

struct transport {
	const struct transport_operations *operations;
};

/* A view's side: its completion queues and the memory in which READs land. */
struct transport_io {
	/* The view is in a call, so that nothing of the io may be freed. */
	unsigned int busy;
};

/* A view's connection to one peer. Only its view writes these. */
struct endpoint {
	unsigned int outstanding; /* READs that were posted and did not complete */
	unsigned int overdue; /* of these, READs that nobody waits for any more */
	uint64_t overdue_us; /* since when there are any */
};

/* Registered memory of an io. */
struct landing {
	unsigned char *memory;
	size_t size;
};

struct transport_read {
	struct landing *landing;
	void *to; /* in its memory */
	uint64_t offset; /* in the peer's region */
	uint32_t length;
	void *tag;
};

struct transport_done {
	void *tag;
	int status; /* 0, or a negative errno value */
};

struct transport_operations {
	/* Readable when handle() has something to do. */
	int (*event_fd)(const struct transport *transport);
	void (*handle)(struct transport *transport);
	/* Often: heartbeats, deadlines, what died. */
	void (*tick)(struct transport *transport, uint64_t now_us);
	/* Where it listens, as text for the registry. */
	const char *(*address)(const struct transport *transport);

	/* Begin to connect to a member; ends in up() or down(), not within this call. */
	int (*connect)(struct transport *transport, const char *address, struct member *member);
	/* No event of @member comes any more. */
	void (*disconnect)(struct transport *transport, struct member *member);
	/*
	 * Renew the copy of a peer's first LAYOUT_TABLES bytes, which otherwise is renewed by the
	 * header alone, and by the directory when that has grown. @peer 0: of all peers.
	 */
	void (*renew)(struct transport *transport, uint64_t peer);
	/* Whether all of it is of READs that began after @since_us. -EHOSTDOWN: no such peer. */
	int (*renewed)(const struct transport *transport, uint64_t peer, uint64_t since_us);
	/* When the READ began that the copy's header is of, or before. */
	uint64_t (*seen_us)(const struct transport *transport, uint64_t peer);
	/* The background thread has ended, and the ios are closed. */
	void (*close)(struct transport *transport);

	/* An io, which the background thread then connects to every peer: io_settled() when it has. */
	int (*io_open)(struct transport *transport, struct transport_io **io);
	int (*io_settled)(const struct transport_io *io);
	/* No READ will be posted any more; gone when io_retired(), which frees it. */
	void (*io_retire)(struct transport_io *io);
	int (*io_retired)(struct transport_io *io);
	/* To a peer, if it is connected; it stays as long as the group's generation or a READ does. */
	struct endpoint *(*io_endpoint)(struct transport_io *io, uint64_t peer);

	/* From here on without the lock, by the view's thread. Memory for READs, never given back. */
	int (*landing)(struct transport_io *io, size_t size, struct landing **landing);
	/* Queue a READ. -EAGAIN: the endpoint's queue is full; -EHOSTDOWN: it is not connected. */
	int (*read)(struct transport_io *io, struct endpoint *endpoint,
		    const struct transport_read *read);
	/* Post what is queued: one chain for each endpoint. */
	void (*flush)(struct transport_io *io);
	/* What has completed, at most @max READs. */
	unsigned int (*poll)(struct transport_io *io, struct transport_done *done,
			     unsigned int max);
	/* Sleep until something may have completed, or @until_us. */
	void (*wait)(struct transport_io *io, uint64_t until_us);
};

/*
 * 0: not an address of a transport between hosts. TRANSPORT_ONLY: "verbs:HOST:PORT",
 * never shm. TRANSPORT_OR_SHM: "HOST:PORT", where members on the same host use shm.
 */
#define TRANSPORT_ONLY 1
#define TRANSPORT_OR_SHM 2
int transport_address(const char *address);

/* 0, or a negative errno value with a sentence: -ENOTSUP if this build has none. */
int transport_open(const struct transport_attr *attr, struct transport **transport);

#endif
