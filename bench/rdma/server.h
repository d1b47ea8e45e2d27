/* SPDX-License-Identifier: BSD-3-Clause */
/* An owner: an instance with full tables, and beside it plain verbs and rpc. */
#ifndef SERVER_H
#define SERVER_H

#include "options.h"

/* Serves until it is killed; returns only after a message. */
int server_run(const struct options *options);

#endif
