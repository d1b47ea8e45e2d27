/* SPDX-License-Identifier: BSD-3-Clause */
/* Four processes that own a table each; what the global benchmark asks. */
#ifndef GROUP_H
#define GROUP_H

#include "driver.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OWNERS 4u
#define ENDPOINT_MAX 64

struct owner {
	pid_t pid;
	int commands; /* to it */
	int answers; /* from it */
	char endpoint[ENDPOINT_MAX]; /* where it answers by ZeroMQ, "" if it does not */
};

struct group {
	size_t entries; /* of each table: the same keys in all of them */
	const char *redis; /* the server's Unix socket, or NULL */
	struct owner owners[OWNERS];
};

/* What owner @number has under every key, and so what each key's total is. */
static inline uint64_t group_count(unsigned int number, unsigned int field)
{
	return field ? 64 : number + 1;
}

static inline uint64_t group_total(unsigned int field)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < OWNERS; i++)
		total += group_count(i, field);
	return total;
}

/* Start them and wait until their tables are filled. 0, or -1 after a message. */
int group_start(struct group *group);
void group_stop(struct group *group);

/*
 * ns of one local get in the first owner's process, of a random one of the
 * first @keys keys; negative after a message.
 */
double group_local_ns(struct group *group, size_t keys);

#endif
