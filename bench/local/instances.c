// SPDX-License-Identifier: BSD-3-Clause
#include "instances.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define GROUP "bench"

/* Bytes of a region that are no table's. */
#define REGION_SLACK (1u << 20)

static char folder[] = "/tmp/estate-bench-XXXXXX";
static char registry[sizeof(folder) + 8];
static pid_t owner;

void bench_attributes(struct estate_table_attr *attr, size_t entries, enum driver_content content)
{
	*attr = (struct estate_table_attr)ESTATE_TABLE_ATTR_INIT;
	attr->key_size = KEY_BYTES;
	attr->capacity = entries;
	if (content == DRIVER_VALUES) {
		attr->value_type = ESTATE_OPAQUE;
		attr->value_count = VALUE_BYTES;
		attr->merge = ESTATE_MERGE_LATEST;
	} else {
		attr->value_type = ESTATE_U64;
		attr->value_count = COUNTERS;
		attr->merge = ESTATE_MERGE_SUM;
	}
}

static struct estate *open_instance(struct estate_attr *attr)
{
	struct estate *estate;

	attr->group = GROUP;
	attr->registry = registry;
	if (estate_open(attr, &estate)) {
		fprintf(stderr, "%s\n", estate_errormsg());
		return NULL;
	}
	return estate;
}

struct estate *bench_instance(const char *name, const struct estate_table_attr *table)
{
	static unsigned int opened;
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char unique[ESTATE_NAME_MAX];

	snprintf(unique, sizeof(unique), "%s-%d-%u", name, (int)getpid(), opened++);
	attr.name = unique;
	attr.region_size = estate_table_bytes(table) + REGION_SLACK;
	return open_instance(&attr);
}

struct estate *bench_durable(const char *name, const char *pool, size_t bytes)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;

	attr.name = name;
	attr.region_size = bytes + REGION_SLACK;
	attr.pool = pool;
	return open_instance(&attr);
}

struct estate *bench_observer(void)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;

	attr.flags = ESTATE_OBSERVER;
	return open_instance(&attr);
}

static void remove_registry(void)
{
	char group[sizeof(folder) + sizeof(GROUP) + 1];

	if (getpid() != owner)
		return;
	snprintf(group, sizeof(group), "%s/%s", folder, GROUP);
	rmdir(group);
	rmdir(folder);
}

int bench_registry(void)
{
	if (!mkdtemp(folder)) {
		perror(folder);
		return -1;
	}
	snprintf(registry, sizeof(registry), "dir:%s", folder);
	owner = getpid();
	return atexit(remove_registry);
}
