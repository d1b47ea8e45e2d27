/* SPDX-License-Identifier: BSD-3-Clause */
/* The totals of every instance at once: what an observer shows of the group. */
#ifndef MONITOR_GROUP_H
#define MONITOR_GROUP_H

#include "counters.h"

#define GROUP_INSTANCES_MAX 64 /* that are shown one by one; all are summed */

struct group_instance {
	char name[ESTATE_NAME_MAX];
	struct totals totals;
};

struct group {
	struct totals totals; /* the global view */
	unsigned int count;
	struct group_instance instances[GROUP_INSTANCES_MAX]; /* by name */
	struct estate_answer answer;
};

/* Returns 0 or what estate_errormsg() explains. */
int group_read(struct group *group, const struct counters *counters, struct estate_view *view);

#endif
