// SPDX-License-Identifier: BSD-3-Clause
#include "durable.h"

#include "measure.h"

#include <libpmem.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void durable_attr(struct estate_table_attr *attr, size_t entries, size_t value_bytes,
		  enum estate_durability durability)
{
	*attr = (struct estate_table_attr)ESTATE_TABLE_ATTR_INIT;
	attr->key_size = KEY_BYTES;
	attr->value_type = ESTATE_OPAQUE;
	attr->value_count = value_bytes;
	attr->capacity = entries;
	attr->durability = durability;
}

int durable_fill(struct estate_table *table, size_t entries, size_t value_bytes, int times)
{
	unsigned char value[VALUE_MOST];

	for (size_t i = 0; i < entries; i++) {
		uint64_t key[KEY_BYTES / 8];

		workload_key(i, key);
		memset(value, (int)i, sizeof(value));
		for (int time = 0; time < times; time++) {
			if (!estate_put(table, key, sizeof(key), value, value_bytes))
				continue;
			fprintf(stderr, "%s\n", estate_errormsg());
			return -1;
		}
	}
	return 0;
}

int bare_open(struct bare *bare, const char *folder, size_t size)
{
	int real;

	snprintf(bare->path, sizeof(bare->path), "%s/bare", folder);
	bare->memory = pmem_map_file(bare->path, size, PMEM_FILE_CREATE, 0600, &bare->size, &real);
	if (!bare->memory) {
		fprintf(stderr, "%s: %s\n", bare->path, pmem_errormsg());
		return -1;
	}
	pmem_memset_persist(bare->memory, 1, bare->size);
	return 0;
}

void bare_close(struct bare *bare)
{
	pmem_unmap(bare->memory, bare->size);
	unlink(bare->path);
}

const char *durable_ratio(const struct figure *figure, char text[64])
{
	snprintf(text, 64, "%.2f (%.2f-%.2f)", figure->median, figure->least, figure->most);
	return text;
}
