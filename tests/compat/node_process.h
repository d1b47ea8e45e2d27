/* SPDX-License-Identifier: BSD-3-Clause */
/* A process that runs node.c, from the outside. */
#ifndef NODE_PROCESS_H
#define NODE_PROCESS_H

#include <stdio.h>
#include <sys/types.h>

struct node {
	pid_t pid;
	FILE *commands;
	FILE *answers;
	char answer[8192];
};

/* Start one and wait until it has joined. 0, or -1. */
int node_start(struct node *node, const char *ip, int port, const char *peers);

/* Its answer to a command, valid until the next; NODE_ENDED if it ended. */
#define NODE_ENDED "the node ended"
const char *node_ask(struct node *node, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Ask again until the answer is as expected, for up to ten seconds. The last answer. */
const char *node_ask_until(struct node *node, const char *expected, const char *command);

/* End it, in order or by SIGKILL. What waitpid() says, or -1. */
int node_stop(struct node *node);
int node_kill(struct node *node);

#endif
