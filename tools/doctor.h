/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of "estate doctor". */
#ifndef DOCTOR_H
#define DOCTOR_H

#include "findings.h"

#include <net/if.h>
#include <stddef.h>

#define DOCTOR_DEVICES_MAX 16

/* A device that READs can be tried on. */
struct doctor_device {
	char name[64];
	char listen[96]; /* of an instance on it */
};

/*
 * The RDMA devices of this host, their ports and addresses. Returns how many can be
 * used. Without libibverbs there are none, and that is what it says.
 */
unsigned int doctor_devices(struct findings *findings, struct doctor_device *devices,
			    unsigned int max);

/* Of one device: an instance reads another one's memory through it. */
void doctor_loopback(struct findings *findings, const struct doctor_device *device);

/* Whether the instance that listens at @address can be read from here; @group may be NULL. */
void doctor_peer(struct findings *findings, const char *address, const char *group);

/* A network device that SoftRoCE could be on; "NETDEV" if there is none. */
void doctor_netdev(char netdev[IF_NAMESIZE]);

/* The first line of a file, without its end. 0 if there is none. */
int doctor_line(const char *path, char *line, size_t size);

#endif
