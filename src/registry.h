/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where members of a group find each other. A registry knows names and
 * addresses, nothing else: who is alive shows when one connects.
 */
#ifndef REGISTRY_H
#define REGISTRY_H

#include <estate/instance.h>

#include <stddef.h>

#define REGISTRY_ADDRESS_MAX 128 /* as struct estate_member's, with its final zero */

struct registry;

/* Called once for each member that is registered, with an empty @name if that is not known. */
typedef int registry_visit_fn(const char *name, const char *address, void *arg);

struct registry_operations {
	/* Where this instance is to listen: struct estate_attr's listen, or as the registry chooses. */
	int (*claim)(struct registry *registry, const char *name,
		     char address[REGISTRY_ADDRESS_MAX]);
	/* From now on others may connect, at @address. */
	int (*join)(struct registry *registry, const char *address);
	void (*leave)(struct registry *registry);
	int (*list)(struct registry *registry, registry_visit_fn *visit, void *arg);
	/* Nobody listens at a member's address: forget it if it is dead. */
	void (*reap)(struct registry *registry, const char *name);
	void (*close)(struct registry *registry);
};

struct registry {
	const struct registry_operations *operations;
	int event_fd; /* readable when the list may have changed; -1 if it never does */
	int private_socket; /* sockets are for this user alone, else for the folder's Unix group too */
};

/* Open what @attr->registry says, for its group. 0, or a negative errno value with a sentence. */
int registry_open(const struct estate_attr *attr, struct registry **registry);

/*
 * The Unix socket beside a network address, "unix:...": there members on this
 * host find an instance that listens on the network. -ENAMETOOLONG or what making the
 * folder said, with a sentence.
 */
int registry_local_address(const char *network, char address[REGISTRY_ADDRESS_MAX]);

/* The kinds. @rest is what follows "dir:" or "static:". */
int registry_dir_open(const struct estate_attr *attr, const char *rest, struct registry **registry);
int registry_static_open(const struct estate_attr *attr, const char *rest,
			 struct registry **registry);

#endif
