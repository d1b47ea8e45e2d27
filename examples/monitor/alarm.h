/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host whose packets matched too often, counted over the whole group.
 *
 * The share is by flow, so that a host with many flows is spread over all
 * instances: each sees a part of its matches only, and none of them alone may
 * ever see as many as the threshold.
 */
#ifndef MONITOR_ALARM_H
#define MONITOR_ALARM_H

#include "counters.h"

struct alarm {
	struct host host;
	uint64_t matches; /* in the group */
	uint64_t most; /* of any one instance */
	unsigned int instances; /* that saw packets of the host */
	unsigned int missing; /* that did not answer */
};

/*
 * Asks the group about the source of @flow. Returns 1 with @alarm filled in if
 * its matches have reached @threshold and no instance has raised the alarm yet,
 * else 0 or a negative errno value. Two instances that ask in the same instant
 * may both raise it.
 */
int alarm_check(struct counters *counters, struct estate_view *view, const struct flow *flow,
		uint64_t threshold, struct alarm *alarm);

#endif
