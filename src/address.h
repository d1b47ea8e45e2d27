/* SPDX-License-Identifier: BSD-3-Clause */
/* "HOST:PORT" and "verbs:HOST:PORT", where HOST may be an RDMA device's name. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

/*
 * HOST is a name, an IPv4 address, an IPv6 address in brackets, or the name of an
 * RDMA device of this machine ("mlx5_0"). 0, or a negative errno value, sentence.
 */
int address_parse(const char *text, struct sockaddr_storage *address);

/* Back to text, in numbers; @only: for this transport alone. */
void address_format(const struct sockaddr *address, int only, char *text, size_t size);

#endif
