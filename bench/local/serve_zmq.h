/* SPDX-License-Identifier: BSD-3-Clause */
/* What a global read is without one-sided reads: each owner answers for its table. */
#ifndef SERVE_ZMQ_H
#define SERVE_ZMQ_H

#include "group.h"

#include <estate/estate.h>

/* Start a thread that does, and say where. 0, or -1 after a message; "" without ZeroMQ. */
int serve_zmq(struct estate_table *table, char endpoint[ENDPOINT_MAX]);

#endif
