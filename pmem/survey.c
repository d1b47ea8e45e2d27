// SPDX-License-Identifier: BSD-3-Clause
#include "survey.h"

#include "error.h"
#include "judge.h"
#include "stored.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of a pool whose header does not say: so that sums of it do not wrap. */
#define SIZE_UNKNOWN (SIZE_MAX / 4)

static const struct layout_table *entry_of(const struct survey *survey, unsigned int number)
{
	return (const struct layout_table *)(survey->memory + LAYOUT_DIRECTORY) + number;
}

static int is_unused(const struct layout_table *raw)
{
	uint64_t first;

	memcpy(&first, raw->name, sizeof(first));
	return !first;
}

/* The tables that verify, in front of and behind those that do not. @size: as the header says. */
static void find_tables(struct survey *survey, size_t size)
{
	struct estate_pool_info *info = &survey->info;
	unsigned int end = 0;

	info->used = LAYOUT_TABLES;
	for (unsigned int i = 0; i < ESTATE_TABLES_MAX; i++) {
		struct region_table *table = &survey->tables[info->tables];
		uint64_t table_end;

		if (is_unused(entry_of(survey, i)))
			continue;
		/* Whatever was skipped on the way here was an entry once. */
		info->tables_lost += i - end;
		end = i + 1;
		if (format_parse_table(entry_of(survey, i), i, size, table)) {
			info->tables_lost++;
			continue;
		}
		table_end = table->offset + format_length(&table->geometry);
		if (table_end > info->used)
			info->used = table_end;
		info->tables++;
	}
	if (info->tables_lost)
		info->damage |= ESTATE_POOL_DIRECTORY;
}

static void take_header(struct survey *survey, const struct format_header *header)
{
	struct estate_pool_info *info = &survey->info;

	memcpy(info->group, header->group, sizeof(info->group));
	memcpy(info->name, header->name, sizeof(info->name));
	memcpy(info->uuid, header->uuid, sizeof(info->uuid));
	info->size = header->size;
	if (info->size != info->found)
		info->damage |= ESTATE_POOL_SIZE;
}

static void take_life(struct survey *survey, const char *path)
{
	struct format_life life;
	unsigned int which;

	if (format_life(survey->memory, path, &life, &which)) {
		survey->info.damage |= ESTATE_POOL_LIFE;
		return;
	}
	survey->info.epoch = life.epoch;
	survey->info.closed = life.state == FORMAT_CLOSED;
	survey->info.leaving = life.state == FORMAT_LEAVING;
	survey->info.handed_over = life.state == FORMAT_HANDED_OVER;
}

/* What a pool is refused with of which nothing is left. */
static int refuse(int error, const char *path)
{
	if (error == -ENOENT)
		return error_set(-EBADMSG, "pool %s: it begins with zeros: there is no pool in it",
				 path);
	return error;
}

int survey_begin(struct survey *survey, const void *memory, size_t size, const char *path,
		 int insist)
{
	struct format_header header;
	int error;

	*survey = (struct survey){ .memory = memory, .size = size };
	survey->info.found = size;
	survey->info.size = size;
	if (size < LAYOUT_TABLES)
		return format_check(memory, size, path);
	memcpy(&header, memory, sizeof(header));
	error = format_check_header(&header, path);
	if (error == -EPROTO && !insist)
		return error;
	if (!error)
		take_header(survey, &header);
	else
		survey->info.damage |= ESTATE_POOL_HEADER;
	take_life(survey, path);
	find_tables(survey, error ? SIZE_UNKNOWN : header.size);
	if (!error || survey->info.tables)
		return 0;
	/* Again, for the sentence: others have been left since. */
	return refuse(format_check_header(&header, path), path);
}

/* One table on its way. */
struct walk {
	const struct region_table *table;
	const unsigned char *memory; /* what is there of it: @size bytes */
	uint64_t size;
	uint64_t blocks; /* that are there as a whole */
	uint64_t *used; /* a bit for each of them */
	struct persist_batch *batch;
	unsigned char *to;
	struct estate_pool_table *report;
	uint64_t newest;
};

/* Where the value of a live entry is, if it is in an extent, and verifies; 0 or -EBADMSG. */
static int find_value(const struct walk *walk, const struct entry_copy *copy, uint64_t *offset,
		      uint64_t *length)
{
	const struct geometry *geometry = &walk->table->geometry;
	struct layout_extent extent;
	size_t inside;

	*length = 0;
	switch (judge_value(geometry, copy, &inside, &extent)) {
	case FOUND:
		return 0;
	case ABSENT:
		break;
	default:
		return -EBADMSG;
	}
	if (extent.block >= walk->blocks)
		return -EBADMSG;
	*offset = format_block_offset(geometry, extent.block);
	if (stored_use_block(walk->used, extent.block) ||
	    crc_bytes(walk->table->salt, walk->memory + *offset, extent.length) != extent.crc)
		return -EBADMSG;
	*length = extent.length;
	return 0;
}

static void walk_slot(struct walk *walk, uint32_t slot, uint64_t offset)
{
	const struct geometry *geometry = &walk->table->geometry;
	const struct layout_copy *copies = (const struct layout_copy *)(walk->memory + offset);
	struct entry_copy copy;
	unsigned int which;
	uint64_t value = 0;
	uint64_t length = 0;
	enum entry_state state = stored_newest(geometry, walk->table->salt, slot, copies, &which);

	if (state == ENTRY_EMPTY)
		return;
	offset += which * format_copy_size(geometry);
	copies = (const struct layout_copy *)(walk->memory + offset);
	if (state != ENTRY_TORN)
		state = entry_load(geometry, walk->table->salt, slot, copies, &copy);
	if (state == ENTRY_TORN ||
	    (state == ENTRY_LIVE && find_value(walk, &copy, &value, &length))) {
		walk->report->damaged++;
		return;
	}
	if (state == ENTRY_LIVE)
		walk->report->live++;
	else
		walk->report->deleted++;
	if (copy.stamp > walk->newest)
		walk->newest = copy.stamp;
	if (!walk->to)
		return;
	if (length)
		persist_copy(walk->batch, walk->to + value, walk->memory + value, length);
	persist_copy(walk->batch, walk->to + offset, walk->memory + offset,
		     stored_bytes(geometry, copy.meta));
}

static void walk_slots(struct walk *walk)
{
	const struct geometry *geometry = &walk->table->geometry;

	for (uint64_t slot = 0; slot < geometry->slots; slot++) {
		if (format_copy_offset(geometry, slot + 1, 0) > walk->size)
			break;
		walk_slot(walk, (uint32_t)slot, format_copy_offset(geometry, slot, 0));
	}
}

int survey_table(struct survey *survey, unsigned int index, struct persist_batch *batch,
		 unsigned char *to, struct estate_pool_table *report)
{
	const struct region_table *table = &survey->tables[index];
	const struct geometry *geometry = &table->geometry;
	uint64_t length = format_length(geometry);
	uint64_t there = survey->size > table->offset ? survey->size - table->offset : 0;
	struct walk walk = { .table = table,
			     .memory = survey->memory + (there ? table->offset : 0),
			     .size = there < length ? there : length,
			     .batch = batch,
			     .to = to,
			     .report = report };

	*report = (struct estate_pool_table){ .bytes = length, .missing = length - walk.size };
	memcpy(report->name, table->name, sizeof(report->name));
	geometry_attr(geometry, &report->attr);
	if (geometry->blocks && walk.size > format_extents(geometry))
		walk.blocks = (walk.size - format_extents(geometry)) / geometry->block_size;
	if (walk.blocks > geometry->blocks)
		walk.blocks = geometry->blocks;
	walk.used = calloc(walk.blocks / 64 + 1, sizeof(*walk.used));
	if (!walk.used)
		return error_set(-ENOMEM, "table %s: no memory to verify it", table->name);
	walk_slots(&walk);
	free(walk.used);
	survey->info.live += report->live;
	survey->info.damaged += report->damaged;
	if (report->damaged)
		survey->info.damage |= ESTATE_POOL_ENTRIES;
	if (walk.newest > survey->newest)
		survey->newest = walk.newest;
	return 0;
}
