/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses as the prototype writes them, and the names that estate has for them. */
#ifndef PEERS_H
#define PEERS_H

#include <estate/instance.h>

/* The instances that global reads are limited to. */
struct peers {
	char (*names)[ESTATE_NAME_MAX];
	unsigned int count; /* 0: no limit */
};

/* "IP:PORT" to a name: a name may not have a colon, nor an address an underscore. */
int peers_name(const char *address, char name[ESTATE_NAME_MAX]);

/* And back. */
void peers_address(const char *name, char address[ESTATE_NAME_MAX]);

/*
 * Parse a list separated by white space or semicolons. 0, -EINVAL if one of
 * them makes no name, or -ENOMEM.
 */
int peers_parse(struct peers *peers, const char *list, const char *self);

/* Whether an instance is to be asked. */
int peers_include(const struct peers *peers, const char *name);

void peers_free(struct peers *peers);

#endif
