// SPDX-License-Identifier: BSD-3-Clause
#include "format.h"

#include "crc.h"
#include "error.h"

#include <errno.h>
#include <string.h>

static uint32_t header_crc(const struct format_header *header)
{
	size_t start = offsetof(struct format_header, layout_version);

	return crc_bytes(~0u, (const char *)header + start, sizeof(*header) - start);
}

void format_seal(struct format_header *header)
{
	header->version = FORMAT_VERSION;
	header->layout_version = LAYOUT_VERSION;
	header->crc = header_crc(header);
}

int format_check_header(const struct format_header *header, const char *path)
{
	if (!header->magic)
		return -ENOENT;
	if (header->magic != FORMAT_MAGIC)
		return error_set(
			-EBADMSG,
			"pool %s: it does not begin as a pool does, and is not empty: give "
			"another path, or remove it (of a device, overwrite the first 4096 "
			"bytes with zeros)",
			path);
	if (header->version != FORMAT_VERSION || header->layout_version != LAYOUT_VERSION)
		return error_set(
			-EPROTO,
			"pool %s: it is of version %u.%u, this library reads %u.%u: open it "
			"with the release that made it",
			path, header->version, header->layout_version, FORMAT_VERSION,
			LAYOUT_VERSION);
	if (header->crc != header_crc(header) || header->name[ESTATE_NAME_MAX - 1] ||
	    header->group[ESTATE_NAME_MAX - 1] || !region_name_valid(header->name) ||
	    !region_name_valid(header->group))
		return error_set(
			-EBADMSG,
			"pool %s: its header is damaged: \"estate pool recover\" takes out "
			"what can be saved",
			path);
	return 0;
}

int format_check(const void *memory, size_t size, const char *path)
{
	struct format_header header;
	int error;

	if (size < LAYOUT_TABLES)
		return error_set(-EBADMSG, "pool %s: it has %zu bytes, the least is %d", path, size,
				 LAYOUT_TABLES);
	memcpy(&header, memory, sizeof(header));
	error = format_check_header(&header, path);
	if (!error && header.size != size)
		error = error_set(-EBADMSG,
				  "pool %s: it has %zu bytes and was made with %llu: \"estate pool "
				  "recover\" takes out what can be saved",
				  path, size, (unsigned long long)header.size);
	return error;
}

static uint32_t life_crc(const struct format_life *life)
{
	return crc_bytes(~0u, life, offsetof(struct format_life, crc));
}

void format_seal_life(struct format_life *life)
{
	life->crc = life_crc(life);
}

int format_life(const void *memory, const char *path, struct format_life *life, unsigned int *which)
{
	int found = 0;

	for (unsigned int i = 0; i < 2; i++) {
		struct format_life one;

		memcpy(&one, (const char *)memory + FORMAT_LIFE + (size_t)i * FORMAT_LIFE_STRIDE,
		       sizeof(one));
		if (one.crc != life_crc(&one) || !one.sequence ||
		    (found && one.sequence < life->sequence))
			continue;
		*life = one;
		*which = i;
		found = 1;
	}
	if (found)
		return 0;
	return error_set(
		-EBADMSG,
		"pool %s: what it says of its last life is damaged: \"estate pool recover\" "
		"takes out what can be saved",
		path);
}

static uint32_t adoption_crc(const struct format_adoption *adoption)
{
	uint32_t crc = crc_bytes(~0u, &adoption->sequence, sizeof(adoption->sequence));

	return crc_bytes(crc, &adoption->adoption, sizeof(adoption->adoption));
}

void format_seal_adoption(struct format_adoption *adoption)
{
	adoption->crc = adoption_crc(adoption);
}

int format_adoption(const void *memory, struct format_adoption *adoption, unsigned int *which)
{
	int found = 0;

	for (unsigned int i = 0; i < 2; i++) {
		struct format_adoption one;

		memcpy(&one,
		       (const char *)memory + FORMAT_ADOPTION + (size_t)i * FORMAT_ADOPTION_STRIDE,
		       sizeof(one));
		if (!one.sequence || one.crc != adoption_crc(&one) ||
		    one.adoption.count > POOL_INTENTS_MAX ||
		    one.adoption.table[ESTATE_NAME_MAX - 1] ||
		    (found && one.sequence < adoption->sequence))
			continue;
		*adoption = one;
		*which = i;
		found = 1;
	}
	return found ? 0 : -ENOENT;
}

int format_parse_table(const struct layout_table *raw, unsigned int number, size_t size,
		       struct region_table *table)
{
	struct region_table found;

	/* The length in it is a region's. */
	if (region_parse_table(raw, number, SIZE_MAX / 4, &found) || found.offset > size ||
	    format_length(&found.geometry) > size - found.offset)
		return -EBADMSG;
	*table = found;
	return 0;
}

int format_table(const void *memory, size_t size, unsigned int number, const char *path,
		 struct region_table *table)
{
	const struct layout_table *raw =
		(const struct layout_table *)((const char *)memory + LAYOUT_DIRECTORY) + number;
	uint64_t first;

	if (number == ESTATE_TABLES_MAX)
		return -ENOENT;
	memcpy(&first, raw->name, sizeof(first));
	if (!first)
		return -ENOENT;
	if (!format_parse_table(raw, number, size, table))
		return 0;
	return error_set(-EBADMSG,
			 "pool %s: entry %u of its table directory is damaged: \"estate pool "
			 "recover\" takes out the other tables",
			 path, number);
}
