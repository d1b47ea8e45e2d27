// SPDX-License-Identifier: BSD-3-Clause
#include "peers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS " ;\t\r\n"
#define LOCALHOST "localhost:"
#define LOOPBACK "127.0.0.1:"

int peers_name(const char *address, char name[ESTATE_NAME_MAX])
{
	const char *rest = address;
	size_t start = 0;

	/* The two that people mix in one list. */
	if (!strncmp(address, LOCALHOST, strlen(LOCALHOST))) {
		rest = address + strlen(LOCALHOST);
		start = strlen(LOOPBACK);
		memcpy(name, LOOPBACK, start + 1);
	}
	if (!*rest || start + strlen(rest) >= ESTATE_NAME_MAX)
		return -EINVAL;
	memcpy(name + start, rest, strlen(rest) + 1);
	for (char *c = name; (c = strchr(c, ':'));)
		*c = '_';
	return 0;
}

void peers_address(const char *name, char address[ESTATE_NAME_MAX])
{
	snprintf(address, ESTATE_NAME_MAX, "%s", name);
	for (char *c = address; (c = strchr(c, '_'));)
		*c = ':';
}

static int add(struct peers *peers, const char *name)
{
	char(*names)[ESTATE_NAME_MAX];

	if (peers->count && peers_include(peers, name))
		return 0;
	names = realloc(peers->names, (peers->count + 1) * sizeof(*names));
	if (!names)
		return -ENOMEM;
	peers->names = names;
	memcpy(names[peers->count++], name, strlen(name) + 1);
	return 0;
}

int peers_parse(struct peers *peers, const char *list, const char *self)
{
	struct peers found = { 0 };
	char *copy, *position, *address;
	int error = 0;

	if (!list)
		list = "";
	copy = strdup(list);
	if (!copy)
		return -ENOMEM;
	for (address = strtok_r(copy, SEPARATORS, &position); address;
	     address = strtok_r(NULL, SEPARATORS, &position)) {
		char name[ESTATE_NAME_MAX];

		error = peers_name(address, name);
		if (!error)
			error = add(&found, name);
		if (error)
			goto out;
	}
	if (found.count)
		error = add(&found, self);
out:
	free(copy);
	if (error)
		peers_free(&found);
	else
		*peers = found;
	return error;
}

int peers_include(const struct peers *peers, const char *name)
{
	if (!peers->count)
		return 1;
	for (unsigned int i = 0; i < peers->count; i++) {
		if (!strcmp(peers->names[i], name))
			return 1;
	}
	return 0;
}

void peers_free(struct peers *peers)
{
	free(peers->names);
	peers->names = NULL;
	peers->count = 0;
}
