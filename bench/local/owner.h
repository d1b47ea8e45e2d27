/* SPDX-License-Identifier: BSD-3-Clause */
/* One of the processes that own a table. */
#ifndef OWNER_H
#define OWNER_H

#include <stddef.h>

/* What it is asked for, by its pipe; it answers each with a double. An end of file: leave. */
struct owner_command {
	size_t keys; /* time local gets of the first so many keys */
};

/*
 * Fill a table, write the endpoint of ENDPOINT_MAX bytes to @answers, and serve
 * until the end of @commands. The process's exit status.
 */
int owner_run(unsigned int number, size_t entries, int commands, int answers);

#endif
