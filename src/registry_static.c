// SPDX-License-Identifier: BSD-3-Clause
/* A fixed list of addresses. */
#include "registry.h"

#include "address.h"
#include "error.h"
#include "transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct registry_static {
	struct registry registry;
	char listen[REGISTRY_ADDRESS_MAX];
	size_t count;
	char addresses[][REGISTRY_ADDRESS_MAX];
};

static int claim(struct registry *registry, const char *name, char address[REGISTRY_ADDRESS_MAX])
{
	struct registry_static *list = (struct registry_static *)registry;

	(void)name;
	memcpy(address, list->listen, sizeof(list->listen));
	return 0;
}

static int join(struct registry *registry, const char *address)
{
	(void)registry;
	(void)address;
	return 0;
}

static void leave(struct registry *registry)
{
	(void)registry;
}

static int list(struct registry *registry, registry_visit_fn *visit, void *arg)
{
	const struct registry_static *all = (struct registry_static *)registry;

	for (size_t i = 0; i < all->count; i++) {
		int error = visit("", all->addresses[i], arg);

		if (error)
			return error;
	}
	return 0;
}

/* Who is on a fixed list stays on it, and is missing while it is dead. */
static void reap(struct registry *registry, const char *name)
{
	(void)registry;
	(void)name;
}

static void close_static(struct registry *registry)
{
	free(registry);
}

static const struct registry_operations operations = {
	.claim = claim,
	.join = join,
	.leave = leave,
	.list = list,
	.reap = reap,
	.close = close_static,
};

static int check_address(const char *address, size_t length)
{
	char text[REGISTRY_ADDRESS_MAX];

	if (length >= REGISTRY_ADDRESS_MAX)
		return error_set(-ENAMETOOLONG,
				 "address \"%.*s\": has %zu characters, at most %d fit",
				 (int)length, address, length, REGISTRY_ADDRESS_MAX - 1);
	memcpy(text, address, length);
	text[length] = 0;
	if ((length < 6 || strncmp(text, "unix:", 5)) && !transport_address(text))
		return error_set(-EINVAL,
				 "address \"%s\": must be HOST:PORT, verbs:HOST:PORT or unix:PATH",
				 text);
	return 0;
}

/*
 * Replace a host's name by its address, here and not when one connects: the
 * background thread must not wait for a name server.
 */
static int resolve(char text[REGISTRY_ADDRESS_MAX])
{
	int kind = transport_address(text);
	struct sockaddr_storage address;
	int error;

	if (!kind)
		return 0;
	error = address_parse(text, &address);
	if (!error)
		address_format((struct sockaddr *)&address, kind == TRANSPORT_ONLY, text,
			       REGISTRY_ADDRESS_MAX);
	return error;
}

int registry_static_open(const struct estate_attr *attr, const char *rest,
			 struct registry **registry)
{
	struct registry_static *made;
	size_t count = 1;
	int error;

	for (const char *c = rest; *c; c++)
		count += *c == ',';
	if (!attr->listen && !(attr->flags & ESTATE_OBSERVER))
		return error_set(-EINVAL, "a static registry needs listen, this instance's own "
					  "address");
	if (attr->listen) {
		error = check_address(attr->listen, strlen(attr->listen));
		if (error)
			return error;
	}
	made = calloc(1, sizeof(*made) + count * sizeof(made->addresses[0]));
	if (!made)
		return error_set(-ENOMEM, "no memory for a list of %zu addresses", count);
	made->registry =
		(struct registry){ .operations = &operations, .event_fd = -1, .private_socket = 1 };
	if (attr->listen)
		strcpy(made->listen, attr->listen);

	for (const char *start = rest; *start;) {
		size_t length = strcspn(start, ",");

		error = check_address(start, length);
		if (!error) {
			memcpy(made->addresses[made->count], start, length);
			error = resolve(made->addresses[made->count]);
		}
		if (error) {
			free(made);
			return error;
		}
		/* Everybody may be given the same list: one's own address is not a peer's. */
		if (strcmp(made->addresses[made->count], made->listen))
			made->count++;
		else
			memset(made->addresses[made->count], 0, REGISTRY_ADDRESS_MAX);
		start += length + (start[length] == ',');
	}
	*registry = &made->registry;
	return 0;
}
