// SPDX-License-Identifier: BSD-3-Clause
#include "image.h"

#include <string.h>

int image_clear(struct medium *medium, uint64_t offset, uint64_t length)
{
	static const unsigned char zeros[LAYOUT_PAGE];
	struct persist_batch batch = persist_begin(medium);

	for (uint64_t done = 0; done < length; done += LAYOUT_PAGE) {
		unsigned char *page = medium->memory + offset + done;

		if (memcmp(page, zeros, LAYOUT_PAGE))
			persist_zero(&batch, page, LAYOUT_PAGE);
	}
	return persist_drain(&batch);
}

int image_describe(struct medium *medium, unsigned int number, const struct region_table *table)
{
	struct persist_batch batch = persist_begin(medium);
	unsigned char *place =
		medium->memory + LAYOUT_DIRECTORY + number * sizeof(struct layout_table);
	struct layout_table raw;
	int error;

	region_describe_table(table, &raw);
	persist_copy(&batch, place + 8, (unsigned char *)&raw + 8, sizeof(raw) - 8);
	error = persist_drain(&batch);
	if (error)
		return error;
	persist_copy(&batch, place, &raw, 8);
	return persist_drain(&batch);
}

int image_write_life(struct medium *medium, unsigned int copy, struct format_life *life)
{
	struct persist_batch batch = persist_begin(medium);

	format_seal_life(life);
	persist_copy(&batch, medium->memory + FORMAT_LIFE + (size_t)copy * FORMAT_LIFE_STRIDE, life,
		     sizeof(*life));
	return persist_drain(&batch);
}

int image_write_header(struct medium *medium, struct format_header *header)
{
	struct persist_batch batch = persist_begin(medium);
	int error;

	header->magic = FORMAT_MAGIC;
	format_seal(header);
	persist_copy(&batch, medium->memory + sizeof(header->magic),
		     (unsigned char *)header + sizeof(header->magic),
		     sizeof(*header) - sizeof(header->magic));
	error = persist_drain(&batch);
	if (error)
		return error;
	persist_copy(&batch, medium->memory, &header->magic, sizeof(header->magic));
	return persist_drain(&batch);
}
