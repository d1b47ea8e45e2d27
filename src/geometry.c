// SPDX-License-Identifier: BSD-3-Clause
#include "geometry.h"

#include "error.h"

#include <errno.h>

#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

size_t geometry_element_size(enum estate_type type)
{
	switch (type) {
	case ESTATE_OPAQUE:
	case ESTATE_U8:
		return 1;
	case ESTATE_U16:
		return 2;
	case ESTATE_U32:
		return 4;
	case ESTATE_U64:
	case ESTATE_I64:
	case ESTATE_F64:
		return 8;
	}
	return 0;
}

static int check(const struct estate_table_attr *attr)
{
	size_t element = geometry_element_size(attr->value_type);

	if (attr->size != sizeof(*attr))
		return error_set(-EINVAL,
				 "table attributes: size is %zu, this library expects %zu: start "
				 "from ESTATE_TABLE_ATTR_INIT, built with the same headers",
				 attr->size, sizeof(*attr));
	if (attr->key_size < 1 || attr->key_size > ESTATE_KEY_MAX)
		return error_set(-EINVAL, "table attributes: key_size is %zu, must be 1 to %d",
				 attr->key_size, ESTATE_KEY_MAX);
	if (!element)
		return error_set(-EINVAL, "table attributes: there is no value_type %d",
				 (int)attr->value_type);
	if (attr->value_count < 1 || attr->value_count > ESTATE_VALUE_MAX / element)
		return error_set(
			-EINVAL,
			"table attributes: value_count is %zu, must be 1 to %zu for elements "
			"of %zu bytes",
			attr->value_count, ESTATE_VALUE_MAX / element, element);
	/* A slot's number plus one fits into 32 bits, in a link. */
	if (attr->capacity < 1 || attr->capacity > 1ull << 31)
		return error_set(-EINVAL, "table attributes: capacity is %zu, must be 1 to 2^31",
				 attr->capacity);
	if ((unsigned int)attr->merge > ESTATE_MERGE_CUSTOM)
		return error_set(-EINVAL, "table attributes: there is no merge rule %d",
				 (int)attr->merge);
	if (attr->value_type == ESTATE_OPAQUE && attr->merge != ESTATE_MERGE_LATEST &&
	    attr->merge != ESTATE_MERGE_CUSTOM)
		return error_set(-EINVAL, "table attributes: opaque values merge by latest or "
					  "custom only; give value_type for numbers");
	if (attr->merge == ESTATE_MERGE_OR &&
	    (attr->value_type == ESTATE_I64 || attr->value_type == ESTATE_F64))
		return error_set(-EINVAL,
				 "table attributes: bitwise or needs an unsigned value_type");
	if ((unsigned int)attr->durability > ESTATE_DURABILITY_BEFORE_RETURN)
		return error_set(-EINVAL, "table attributes: there is no durability %d",
				 (int)attr->durability);
	return 0;
}

int geometry_init(struct geometry *geometry, const struct estate_table_attr *attr)
{
	struct geometry g = { 0 };
	int error = check(attr);

	if (error)
		return error;

	g.seed = attr->seed;
	g.capacity = attr->capacity;
	g.type = attr->value_type;
	g.merge = attr->merge;
	g.durability = attr->durability;
	if (attr->durability == ESTATE_DURABILITY_PERIODIC)
		g.flush_ms = attr->flush_ms ? attr->flush_ms : GEOMETRY_FLUSH_MS;
	g.element_size = (uint32_t)geometry_element_size(attr->value_type);
	g.value_count = (uint32_t)attr->value_count;
	g.key_size = (uint32_t)attr->key_size;
	g.value_size = g.value_count * g.element_size;

	g.key_room = ROUND_UP(g.key_size, 8);
	if (g.value_size > GEOMETRY_INLINE_MAX) {
		g.value_room = sizeof(struct layout_extent);
		g.block_size = ROUND_UP(g.value_size, 64);
		g.blocks = g.capacity + GEOMETRY_SPARE_BLOCKS;
	} else {
		g.value_room = ROUND_UP(g.value_size, 8);
	}
	g.whole_meta = g.blocks ? GEOMETRY_NO_META : META(0, g.value_size, META_LIVE);
	g.copy_size = (uint32_t)sizeof(struct layout_copy) + g.key_room + g.value_room;
	g.bucket_size = (uint32_t)sizeof(struct layout_bucket) + LAYOUT_SLOTS * 2 * g.copy_size;

	g.homes = (g.capacity * 100 + LAYOUT_SLOTS * GEOMETRY_LOAD_PERCENT - 1) /
		  (LAYOUT_SLOTS * GEOMETRY_LOAD_PERCENT);
	g.slots = (g.homes + 1) * LAYOUT_SLOTS;
	g.extents = ROUND_UP((g.homes + 1) * g.bucket_size, LAYOUT_PAGE);
	g.length = g.extents + ROUND_UP(g.blocks * g.block_size, LAYOUT_PAGE);
	*geometry = g;
	return 0;
}

void geometry_attr(const struct geometry *geometry, struct estate_table_attr *attr)
{
	*attr = (struct estate_table_attr)ESTATE_TABLE_ATTR_INIT;
	attr->key_size = geometry->key_size;
	attr->value_type = geometry->type;
	attr->value_count = geometry->value_count;
	attr->merge = geometry->merge;
	attr->capacity = geometry->capacity;
	attr->durability = geometry->durability;
	attr->flush_ms = (unsigned int)geometry->flush_ms;
	attr->seed = geometry->seed;
}

size_t estate_table_bytes(const struct estate_table_attr *attr)
{
	struct geometry geometry;

	if (!attr) {
		error_set(-EINVAL, "estate_table_bytes: attr is NULL");
		return 0;
	}
	if (geometry_init(&geometry, attr))
		return 0;
	return geometry.length;
}
