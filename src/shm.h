/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport between processes of one host: each maps the others' regions
 * read-only. A Unix socket (SOCK_SEQPACKET) carries the handshake and the
 * region's descriptor; it then stays open, and tells either side by its end
 * that the other is gone.
 */
#ifndef SHM_H
#define SHM_H

#include "region.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SHM_PROTOCOL 1u

/* Both messages begin like this in every version, so that a refusal can be read by all. */
struct shm_hello {
	uint64_t magic;
	uint32_t protocol;
	uint32_t layout;
	char group[ESTATE_NAME_MAX];
	char name[ESTATE_NAME_MAX]; /* of the one who asks; "" for an observer */
};

struct shm_welcome {
	uint64_t magic;
	uint32_t protocol;
	uint32_t layout;
	int32_t refused; /* 0, or a negative errno value, with a reason and no region */
	int32_t pid;
	uint64_t region_size;
	char reason[200];
};

/* A peer's region as we have it. */
struct shm_region {
	const void *memory;
	size_t size;
	pid_t pid;
	struct region_identity identity;
};

/* The owner's side. All sockets are non-blocking. 0, or a negative errno value with a sentence. */
int shm_listen(const char *address, int private_socket, int *listener);

/*
 * Answer the hello that waits on an accepted socket. 0: it has the region.
 * -EAGAIN: there is no hello yet. Anything else: close the socket.
 */
int shm_answer(int socket, const struct region_identity *identity, const struct region *region);

/* Connect to a socket at which an instance listens, and say nothing yet. */
int shm_dial(const char *address, int *socket);

/* The reader's side: connect and say hello. */
int shm_connect(const char *address, const char *group, const char *name, int *socket);

/* Take the region from the welcome. -EAGAIN: it has not come yet. */
int shm_accept(int socket, const char *group, struct shm_region *region);
void shm_unmap(struct shm_region *region);

#endif
