// SPDX-License-Identifier: BSD-3-Clause
#include "driver.h"
#include "instances.h"

#include <estate/estate.h>

#include <stdio.h>
#include <stdlib.h>

struct own {
	struct estate *estate;
	struct estate_table *table;
};

static int start(void)
{
	return 0;
}

static void destroy(void *table)
{
	struct own *own = table;

	estate_close(own->estate);
	free(own);
}

static void *create(size_t entries, enum driver_content content)
{
	struct estate_table_attr attr;
	struct own *own = calloc(1, sizeof(*own));

	if (!own)
		return NULL;
	bench_attributes(&attr, entries, content);
	own->estate = bench_instance("driver", &attr);
	if (!own->estate)
		goto free;
	if (estate_table_open(own->estate, "bench", &attr, &own->table)) {
		fprintf(stderr, "%s\n", estate_errormsg());
		goto close;
	}
	return own;
close:
	estate_close(own->estate);
free:
	free(own);
	return NULL;
}

static void nothing(void)
{
}

static int get(void *table, const void *key, void *value)
{
	return estate_get(((struct own *)table)->table, key, KEY_BYTES, value, VALUE_BYTES, NULL);
}

static int put(void *table, const void *key, const void *value)
{
	return estate_put(((struct own *)table)->table, key, KEY_BYTES, value, VALUE_BYTES);
}

static int add(void *table, const void *key, const uint64_t *deltas)
{
	return estate_add(((struct own *)table)->table, key, KEY_BYTES, deltas);
}

static unsigned int get_batch(void *table, const void *const *keys, void *values)
{
	int status[BATCH];
	int found = estate_get_batch(((struct own *)table)->table, BATCH, keys, KEY_BYTES, values,
				     VALUE_BYTES, status);

	return found < 0 ? 0 : (unsigned int)found;
}

const struct estate_table *driver_estate_table(const void *table)
{
	return ((const struct own *)table)->table;
}

const struct driver driver_estate = {
	.name = "estate",
	.how = "a table of capacity N; get, put, add, get_batch as they are",
	.start = start,
	.create = create,
	.destroy = destroy,
	.thread_begin = nothing,
	.thread_end = nothing,
	.get = get,
	.put = put,
	.add = add,
	.get_batch = get_batch,
};
