// SPDX-License-Identifier: BSD-3-Clause
#include "group.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEMBERS_MAX 64

struct estate *group_open(const char *folder, const char *name, size_t region_size)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate *es;
	char registry[256];

	snprintf(registry, sizeof(registry), "dir:%s", folder);
	attr.group = "test";
	attr.name = name;
	attr.registry = registry;
	attr.region_size = region_size;
	/* The same tests over another transport, on a machine that has an RDMA device. */
	attr.listen = name ? getenv("ESTATE_TEST_LISTEN") : NULL;
	attr.flags = name ? 0 : ESTATE_OBSERVER;
	if (estate_open(&attr, &es))
		errx(1, "estate_open: %s", estate_errormsg());
	return es;
}

void group_wait(struct estate *es, unsigned int live)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	struct estate_member members[MEMBERS_MAX];

	for (int tries = 0; tries < 15000; tries++) {
		int count = estate_members(es, members, MEMBERS_MAX);
		unsigned int seen = 0;

		for (int i = 0; i < count; i++)
			seen += members[i].state == ESTATE_MEMBER_LIVE;
		if (seen == live && (unsigned int)count == live)
			return;
		nanosleep(&pause, NULL);
	}
	errx(1, "the group did not come to have %u live members", live);
}

int group_find(struct estate *es, const char *name, struct estate_member *member)
{
	struct estate_member members[MEMBERS_MAX];
	int count = estate_members(es, members, MEMBERS_MAX);

	for (int i = 0; i < count; i++) {
		if (!strcmp(members[i].name, name)) {
			*member = members[i];
			return 1;
		}
	}
	return 0;
}

struct estate_table *group_counters(struct estate *es, const char *name, size_t key_size,
				    size_t count, size_t capacity)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = key_size;
	attr.value_type = ESTATE_U64;
	attr.value_count = count;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = capacity;
	if (estate_table_open(es, name, &attr, &table))
		errx(1, "estate_table_open: %s", estate_errormsg());
	return table;
}

struct estate_view *group_view(struct estate *es)
{
	struct estate_view_attr attr = ESTATE_VIEW_ATTR_INIT;
	struct estate_view *view;

	attr.deadline_us = 10000000;
	if (estate_view_open(es, &attr, &view))
		errx(1, "estate_view_open: %s", estate_errormsg());
	return view;
}
