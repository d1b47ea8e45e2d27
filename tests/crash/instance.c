// SPDX-License-Identifier: BSD-3-Clause
#include "instance.h"

#include "whole.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void instance_init(struct instance *instance, size_t region_size)
{
	memset(instance, 0, sizeof(*instance));
	instance->room = region_size;
	instance->region = aligned_alloc(4096, region_size);
	if (!instance->region)
		abort();
}

void instance_free(struct instance *instance)
{
	free(instance->region);
}

/* An empty one. */
static struct estate_table *make_table(struct instance *instance, const char *name,
				       const struct geometry *geometry, uint32_t salt)
{
	unsigned int number = instance->es.table_count;
	struct estate_table *table = &instance->tables[number];
	unsigned char *buckets = instance->region + instance->used;

	if (number == INSTANCE_TABLES || geometry->length > instance->room - instance->used)
		abort();
	memset(table, 0, sizeof(*table));
	memset(buckets, 0, geometry->length);
	strcpy(table->name, name);
	table->es = &instance->es;
	table->number = number;
	instance->entries[number] = 0;
	if (table_init(table, geometry, salt, buckets, &instance->es.clock,
		       &instance->entries[number]))
		abort();
	return table;
}

/* @error: what the pool said of it. */
static int keep_table(struct instance *instance, struct estate_table *table, int error)
{
	if (error) {
		table_destroy(table);
		return error;
	}
	table_choose_writes(table, !whole_shaped(&table->geometry));
	instance->used += table->geometry.length;
	instance->es.tables[instance->es.table_count++] = table;
	return 0;
}

static int recover_tables(struct instance *instance)
{
	struct pool *pool = instance->es.pool;
	unsigned int index = 0;

	for (;;) {
		unsigned int number = index;
		struct region_table found;
		struct estate_table *table;
		int error = pool->operations->next_table(pool, &index, &found);

		if (error == -ENOENT)
			return 0;
		if (error)
			return error;
		table = make_table(instance, found.name, &found.geometry, found.salt);
		error = keep_table(
			instance, table,
			pool->operations->recover(pool, number, table, &instance->es.recovery));
		if (error)
			return error;
	}
}

static void forget_tables(struct instance *instance)
{
	while (instance->es.table_count)
		table_destroy(instance->es.tables[--instance->es.table_count]);
	instance->used = 0;
}

int instance_open(struct instance *instance, const struct recorder_memory *memory)
{
	const struct pool_attr attr = {
		.path = memory->path, .size = memory->size, .group = "test", .name = "one"
	};
	struct estate *es = &instance->es;
	int error;

	memset(es, 0, sizeof(*es));
	error = pool_open(&attr, &es->pool);
	if (error)
		return error;
	es->recovery.found = !es->pool->fresh;
	error = recover_tables(instance);
	if (!error) {
		if (es->pool->fresh)
			memset(es->pool->uuid, 'u', sizeof(es->pool->uuid));
		memcpy(es->identity.uuid, es->pool->uuid, sizeof(es->identity.uuid));
		es->identity.epoch = ++es->pool->epoch;
		error = es->pool->operations->begin(es->pool);
	}
	if (error)
		instance_crash(instance);
	return error;
}

int instance_table(struct instance *instance, const char *name,
		   const struct estate_table_attr *attr, struct estate_table **result)
{
	struct pool *pool = instance->es.pool;
	struct geometry geometry;
	struct estate_table *table;
	int error = geometry_init(&geometry, attr);

	if (error)
		return error;
	table = make_table(instance, name, &geometry, region_salt(&instance->es.identity, name));
	error = keep_table(instance, table, pool->operations->add_table(pool, table));
	if (!error)
		*result = table;
	return error;
}

int instance_close(struct instance *instance)
{
	int error = instance->es.pool->operations->end(instance->es.pool);

	instance_crash(instance);
	return error;
}

void instance_crash(struct instance *instance)
{
	instance->es.pool->operations->close(instance->es.pool);
	forget_tables(instance);
}
