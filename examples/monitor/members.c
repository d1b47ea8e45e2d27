/* SPDX-License-Identifier: BSD-3-Clause */
#include "members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int members_refresh(struct members *members, struct estate *es)
{
	int count = estate_members(es, members->list, members->room);

	while (count > (int)members->room) {
		unsigned int room = (unsigned int)count + 8;
		struct estate_member *list =
			reallocarray(members->list, room, sizeof(*members->list));

		if (!list)
			return -ENOMEM;
		members->list = list;
		members->room = room;
		count = estate_members(es, list, room);
	}
	if (count < 0)
		return count;
	members->count = (unsigned int)count;
	return 0;
}

int members_live(const struct members *members, const char *name)
{
	for (unsigned int i = 0; i < members->count; i++)
		if (members->list[i].state == ESTATE_MEMBER_LIVE &&
		    !strcmp(members->list[i].name, name))
			return 1;
	return 0;
}

void members_free(struct members *members)
{
	free(members->list);
	*members = (struct members){ .list = NULL };
}
