// SPDX-License-Identifier: BSD-3-Clause
#include "table.h"

#include "error.h"
#include "mapping.h"
#include "whole.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_MIN ((size_t)1 << 20) /* bytes */

/* All of what is private: the bias, then all tags, then all locks. */
static size_t sidecar_bytes(const struct geometry *geometry)
{
	return sizeof(struct bias) + geometry->slots * sizeof(uint16_t) +
	       (geometry->homes + 1) * sizeof(uint32_t);
}

/*
 * A mapping begins on a huge page, and takes seven system calls with its end: of a small table, the
 * sidecar is from the heap.
 */
static struct bias *take_sidecar(size_t bytes)
{
	size_t room = (bytes + 63) / 64 * 64;
	void *memory;

	if (bytes >= MAPPED_MIN)
		return mapping_private(bytes);
	memory = aligned_alloc(64, room);
	if (memory)
		memset(memory, 0, room);
	return memory;
}

static void give_sidecar(struct bias *memory, size_t bytes)
{
	if (bytes >= MAPPED_MIN)
		mapping_free(memory, bytes);
	else
		free(memory);
}

int table_init(struct estate_table *table, const struct geometry *geometry, uint32_t salt,
	       unsigned char *buckets, struct clock *clock, uint64_t *directory_entries)
{
	int error;

	table->geometry = *geometry;
	table->salt = salt;
	table->clock = clock;
	table->directory_entries = directory_entries;
	table->buckets = NULL;
	table_choose_reads(table, !buckets || !whole_shaped(geometry));
	table_choose_writes(table, !buckets || !whole_shaped(geometry));
	if (!buckets)
		return 0;
	table->sidecar_bytes = sidecar_bytes(geometry);
	table->bias = take_sidecar(table->sidecar_bytes);
	if (!table->bias)
		return error_set(-ENOMEM, "table %s: no memory for its sidecar of %zu bytes",
				 table->name, table->sidecar_bytes);
	error = extent_pool_init(&table->extents, geometry, buckets + geometry->extents);
	if (error) {
		give_sidecar(table->bias, table->sidecar_bytes);
		return error_set(error, "table %s: no memory for the list of its %llu blocks",
				 table->name, (unsigned long long)geometry->blocks);
	}
	bias_init(table->bias);
	table->tags = (uint16_t *)(table->bias + 1);
	table->locks = (uint32_t *)(table->tags + geometry->slots);
	table->sidecar_bytes += geometry->blocks * sizeof(uint32_t);
	table->buckets = buckets;
	table->copies = buckets + sizeof(struct layout_bucket);
	return 0;
}

void table_destroy(struct estate_table *table)
{
	if (!table->buckets)
		return;
	free(table->dirty);
	give_sidecar(table->bias, sidecar_bytes(&table->geometry));
	extent_pool_destroy(&table->extents);
}

/* Out of line, so that the check on the hot path is one branch. */
int table_refuse(const struct estate_table *table, const void *key, size_t key_length)
{
	if (!table || !key)
		return error_set(-EINVAL, "%s is NULL", table ? "key" : "table");
	if (key_length < 1 || key_length > table->geometry.key_size)
		return error_set(-EINVAL, "table %s: a key of %zu bytes, must be 1 to %u",
				 table->name, key_length, table->geometry.key_size);
	return error_set(-EROFS,
			 "table %s: an observer has no entries of its own; join without "
			 "ESTATE_OBSERVER to write",
			 table->name);
}

int table_refuse_length(const struct estate_table *table, size_t length)
{
	if (table->geometry.type == ESTATE_OPAQUE)
		return error_set(-EMSGSIZE,
				 "table %s: a value of %zu bytes, at most %u are allowed",
				 table->name, length, table->geometry.value_size);
	return error_set(-EMSGSIZE, "table %s: a value of %zu bytes, it has %u elements: %u bytes",
			 table->name, length, table->geometry.value_count,
			 table->geometry.value_size);
}

int table_refuse_full(const struct estate_table *table)
{
	return error_set(-ENOSPC,
			 "table %s is full: it has its capacity of %llu entries; delete some, or "
			 "open it with a larger capacity on every instance",
			 table->name, (unsigned long long)table->geometry.capacity);
}

int table_refuse_opaque(const struct estate_table *table)
{
	return error_set(-ENOTSUP,
			 "table %s: its values are opaque, nothing can be added to them; give "
			 "value_type a numeric type",
			 table->name);
}

int table_absent(void)
{
	return error_literal(-ENOENT, "this instance has no value of the key");
}

int estate_table_stats(const struct estate_table *table, struct estate_table_stats *stats)
{
	if (!table || !stats)
		return error_set(-EINVAL, "estate_table_stats: %s is NULL",
				 table ? "stats" : "table");
	if (!table->buckets)
		return table_refuse(table, "", 1);
	*stats = (struct estate_table_stats){
		.capacity = table->geometry.capacity,
		.entries = __atomic_load_n(&table->entries, __ATOMIC_RELAXED),
		.slots = table->geometry.slots,
		.overflowed = __atomic_load_n(&table->overflowed, __ATOMIC_RELAXED),
		.bytes = table->geometry.length,
		.sidecar_bytes = table->sidecar_bytes,
	};
	return 0;
}
