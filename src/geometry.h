/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where everything in a table is: derived from its attributes alone, so that
 * all instances agree on it without asking.
 */
#ifndef GEOMETRY_H
#define GEOMETRY_H

#include "layout.h"

#include <estate/table.h>

#include <stddef.h>
#include <stdint.h>

/* A value that is longer lives in an extent, its descriptor in the slot. */
#define GEOMETRY_INLINE_MAX 256

/*
 * Capacity over home slots. At 0.6, with the emptier of two adjacent buckets of
 * four, 0.9 % of the keys overflow when the table is full (doc/design.md).
 */
#define GEOMETRY_LOAD_PERCENT 60

/* Blocks beyond the capacity: in flight with writers, or just freed and still being read. */
#define GEOMETRY_SPARE_BLOCKS 8

#define GEOMETRY_FLUSH_MS 100 /* unless the attributes say otherwise */

#define GEOMETRY_NO_META ((uint64_t)1 << 32) /* is no copy's */

struct geometry {
	uint64_t seed;
	uint64_t capacity;
	uint64_t homes; /* buckets that are some key's home; one more follows the last */
	uint64_t slots;
	uint64_t blocks; /* extents; 0 if values are inline */
	uint64_t extents; /* their offset in the table */
	uint64_t length; /* of the whole table */
	/* A live copy's with an inline value of full length, but for the key's; GEOMETRY_NO_META. */
	uint64_t whole_meta;
	uint32_t key_size;
	uint32_t value_size; /* bytes of the longest value */
	uint32_t key_room; /* key_size rounded up to 8 */
	uint32_t value_room; /* of the inline value or the descriptor, rounded up to 8 */
	uint32_t copy_size;
	uint32_t bucket_size;
	uint32_t block_size;
	enum estate_type type;
	uint32_t element_size;
	uint32_t value_count;
	enum estate_merge merge;
	enum estate_durability durability;
	uint64_t flush_ms;
};

/* Check @attr and derive the rest. 0, or -EINVAL or -ENOTSUP with a sentence. */
int geometry_init(struct geometry *geometry, const struct estate_table_attr *attr);

/* The attributes that make this geometry; no custom reducer. */
void geometry_attr(const struct geometry *geometry, struct estate_table_attr *attr);

/* Bytes of one element of a type; 1 for ESTATE_OPAQUE, 0 if there is no such type. */
size_t geometry_element_size(enum estate_type type);

/* Whether two instances' tables can be read as one. What each does to keep its own is its own. */
static inline int geometry_same(const struct geometry *a, const struct geometry *b)
{
	return a->seed == b->seed && a->capacity == b->capacity && a->key_size == b->key_size &&
	       a->type == b->type && a->value_count == b->value_count && a->merge == b->merge;
}

/* The home bucket: the hash's upper bits, scaled. Lemire, "Fast random integer generation", 2019. */
static inline uint64_t geometry_home(const struct geometry *geometry, uint64_t hash)
{
	return (uint64_t)((unsigned __int128)hash * geometry->homes >> 64);
}

static inline uint64_t geometry_bucket_offset(const struct geometry *geometry, uint64_t bucket)
{
	return bucket * geometry->bucket_size;
}

static inline size_t geometry_copy_offset(const struct geometry *geometry, unsigned int slot,
					  unsigned int copy)
{
	return sizeof(struct layout_bucket) + (size_t)(slot * 2 + copy) * geometry->copy_size;
}

/* Of a slot's two copies, in the table. */
static inline uint64_t geometry_slot_offset(const struct geometry *geometry, uint32_t slot)
{
	return ((uint64_t)(slot / LAYOUT_SLOTS) + 1) * sizeof(struct layout_bucket) +
	       (uint64_t)slot * 2 * geometry->copy_size;
}

static inline uint64_t geometry_block_offset(const struct geometry *geometry, uint64_t block)
{
	return geometry->extents + block * geometry->block_size;
}

#endif
