// SPDX-License-Identifier: BSD-3-Clause
#include "command.h"
#include "format.h"

#include <err.h>
#include <stdlib.h>

static const char *const states[] = { "live", "stale", "missing", "sealed" };

static json_t *to_json(const struct estate_member *member)
{
	char uuid[37];

	format_uuid(uuid, member->uuid);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s}", "name", member->name, "state",
			 states[member->state], "uuid", uuid, "epoch", (json_int_t)member->epoch,
			 "pid", (json_int_t)member->pid, "heartbeat_us",
			 (json_int_t)member->heartbeat_us, "address", member->address, "reason",
			 member->reason);
}

int command_members(struct estate *es, const struct options *options, int argc, char **argv)
{
	int room = estate_members(es, NULL, 0) + 16;
	struct estate_member *members = calloc((size_t)room, sizeof(*members));
	json_t *array = json_array();
	int missing = 0;
	int count;

	(void)argc;
	(void)argv;
	if (!members)
		err(2, "members");
	count = estate_members(es, members, (unsigned int)room);
	if (count > room)
		count = room;
	if (!options->json)
		printf("%-20s %-8s %8s  %-40s %s\n", "NAME", "STATE", "PID", "ADDRESS", "REASON");
	for (int i = 0; i < count; i++) {
		const struct estate_member *m = &members[i];

		missing |= m->state != ESTATE_MEMBER_LIVE;
		if (options->json)
			json_array_append_new(array, to_json(m));
		else
			printf("%-20s %-8s %8d  %-40s %s\n", m->name, states[m->state], (int)m->pid,
			       m->address, m->reason);
	}
	if (options->json)
		format_print_json(json_incref(array));
	else if (!count)
		printf("(nobody: is the group's name right, and the registry?)\n");
	json_decref(array);
	free(members);
	return missing || !count;
}
