/* SPDX-License-Identifier: BSD-3-Clause */
/* The members of the group, as an array that grows as the group does. */
#ifndef MONITOR_MEMBERS_H
#define MONITOR_MEMBERS_H

#include <estate/instance.h>

struct members {
	struct estate_member *list;
	unsigned int count;
	unsigned int room;
};

/* Asks anew. Returns 0 or a negative errno value. */
int members_refresh(struct members *members, struct estate *es);

/* Is there a member of this name whose heart beats? */
int members_live(const struct members *members, const char *name);

void members_free(struct members *members);

#endif
