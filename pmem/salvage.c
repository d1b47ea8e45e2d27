// SPDX-License-Identifier: BSD-3-Clause
/*
 * A new pool of what verifies in another one. Tables keep their salts, slots and
 * blocks their numbers, so that all checksums stay as they are. The new pool has
 * no header until everything else is there.
 */
#include "image.h"
#include "pool.h"
#include "survey.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct salvage {
	const char *from_path;
	const char *to_path;
	const struct estate_salvage_attr *attr;
	estate_pool_visit_fn *visit;
	void *arg;
	struct medium from;
	struct medium to;
	struct survey survey;
	struct format_header header; /* of the new one */
};

static int make_uuid(uint8_t uuid[16])
{
	if (getrandom(uuid, 16, 0) != 16)
		return error_set(-errno, "getrandom: %m");
	/* Version 4, variant 1 (RFC 4122). */
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return 0;
}

/* Whose it is: as its header says, or as the caller does. */
static int identify(struct salvage *salvage)
{
	const struct estate_salvage_attr *attr = salvage->attr;
	const struct estate_pool_info *info = &salvage->survey.info;
	struct format_header *header = &salvage->header;

	if (!(info->damage & ESTATE_POOL_HEADER)) {
		if ((attr->group && strcmp(attr->group, info->group)) ||
		    (attr->name && strcmp(attr->name, info->name)))
			return error_set(-EPERM,
					 "pool %s: it is of instance %s of group %s: its header "
					 "is whole, so give no other group or name",
					 salvage->from_path, info->name, info->group);
		memcpy(header->group, info->group, sizeof(header->group));
		memcpy(header->name, info->name, sizeof(header->name));
		memcpy(header->uuid, info->uuid, sizeof(header->uuid));
		return 0;
	}
	if (!attr->group || !attr->name)
		return error_set(-EBADMSG,
				 "pool %s: its header is damaged and does not tell whose it is: "
				 "give the instance's group and name",
				 salvage->from_path);
	strcpy(header->group, attr->group);
	strcpy(header->name, attr->name);
	return make_uuid(header->uuid);
}

/* Tables one after the other: where they were says nothing any more. Up to where they are. */
static uint64_t arrange(struct salvage *salvage, uint64_t *offsets)
{
	uint64_t end = LAYOUT_TABLES;

	for (unsigned int i = 0; i < salvage->survey.info.tables; i++) {
		offsets[i] = end;
		end += format_length(&salvage->survey.tables[i].geometry);
	}
	return end;
}

/* What is not whole goes: a file, that is; a device is still no pool. */
static void discard(const char *path)
{
	struct stat status;

	if (!stat(path, &status) && S_ISREG(status.st_mode))
		unlink(path);
}

/* A file that is made anew, or a device. */
static int open_new(struct salvage *salvage, uint64_t needed)
{
	const struct format_header *there;
	uint64_t size = salvage->attr->pool_size;
	struct stat status;
	int error;

	if (!size)
		size = salvage->survey.info.size > needed ? salvage->survey.info.size : needed;
	if (size < needed)
		return error_set(-ENOSPC,
				 "pool %s: its tables take %llu bytes, more than the %llu that "
				 "the new one is to have",
				 salvage->from_path, (unsigned long long)needed,
				 (unsigned long long)size);
	if (!stat(salvage->to_path, &status) && !S_ISCHR(status.st_mode))
		return error_set(-EEXIST,
				 "pool %s: it is there already: give another path, or "
				 "remove it",
				 salvage->to_path);
	error = medium_open(&salvage->to, salvage->to_path, size);
	if (error) {
		/* Another process was faster, and has it open. */
		if (error != -EBUSY)
			discard(salvage->to_path);
		return error;
	}
	there = (const struct format_header *)salvage->to.memory;
	if (salvage->to.size >= LAYOUT_TABLES && there->magic)
		error = error_set(-EEXIST,
				  "pool %s: it does not begin with zeros: if nobody needs what is "
				  "there, overwrite its first 4096 bytes with zeros",
				  salvage->to_path);
	else if (salvage->to.size < needed)
		error = error_set(-ENOSPC, "pool %s: it has %zu bytes, the tables of %s take %llu",
				  salvage->to_path, salvage->to.size, salvage->from_path,
				  (unsigned long long)needed);
	if (error)
		medium_close(&salvage->to);
	return error;
}

static int copy_table(struct salvage *salvage, unsigned int index, uint64_t offset)
{
	struct persist_batch batch = persist_begin(&salvage->to);
	struct region_table table = salvage->survey.tables[index];
	struct estate_pool_table report;
	int error = image_clear(&salvage->to, offset, format_length(&table.geometry));

	if (!error)
		error = survey_table(&salvage->survey, index, &batch, salvage->to.memory + offset,
				     &report);
	if (!error)
		error = persist_drain(&batch);
	table.offset = offset;
	if (!error)
		error = image_describe(&salvage->to, index, &table);
	if (!error && salvage->visit)
		error = salvage->visit(&report, salvage->arg);
	return error;
}

static int write_life(struct salvage *salvage)
{
	struct format_life life = { .sequence = 1,
				    .epoch = salvage->survey.info.epoch,
				    .state = FORMAT_CLOSED };
	struct format_life last;
	unsigned int which;

	/* What another instance has of it, it has. */
	if (!format_life(salvage->from.memory, salvage->from_path, &last, &which) &&
	    (last.state == FORMAT_LEAVING || last.state == FORMAT_HANDED_OVER)) {
		life.state = last.state;
		life.adopter_pool = last.adopter_pool;
		memcpy(life.adopter, last.adopter, sizeof(life.adopter));
	}
	/* An epoch is the stamp of a life's beginning: all of its entries are later. */
	if (salvage->survey.info.damage & ESTATE_POOL_LIFE)
		life.epoch = salvage->survey.newest;
	return image_write_life(&salvage->to, 0, &life);
}

/* And what this one has of others. */
static int copy_adoption(struct salvage *salvage)
{
	struct persist_batch batch = persist_begin(&salvage->to);
	struct format_adoption adoption;
	unsigned int which;

	if (format_adoption(salvage->from.memory, &adoption, &which))
		return 0;
	persist_copy(&batch, salvage->to.memory + FORMAT_ADOPTION, &adoption, sizeof(adoption));
	return persist_drain(&batch);
}

static int fill(struct salvage *salvage, const uint64_t *offsets)
{
	/* Lives, too: two of them that verify might be there, of another pool. */
	int error = image_clear(&salvage->to, 0, LAYOUT_TABLES);

	for (unsigned int i = 0; i < salvage->survey.info.tables && !error; i++)
		error = copy_table(salvage, i, offsets[i]);
	if (!error)
		error = copy_adoption(salvage);
	if (!error)
		error = write_life(salvage);
	salvage->header.size = salvage->to.size;
	if (!error)
		error = image_write_header(&salvage->to, &salvage->header);
	return error;
}

static int run(struct salvage *salvage)
{
	uint64_t offsets[ESTATE_TABLES_MAX] = { 0 };
	uint64_t needed;
	int insist = salvage->attr->group && salvage->attr->name;
	int error = survey_begin(&salvage->survey, salvage->from.memory, salvage->from.size,
				 salvage->from_path, insist);

	if (!error)
		error = identify(salvage);
	if (error)
		return error;
	salvage->survey.info.real = salvage->from.real;
	needed = arrange(salvage, offsets);
	error = open_new(salvage, needed);
	if (error)
		return error;
	error = fill(salvage, offsets);
	if (error)
		discard(salvage->to_path);
	medium_close(&salvage->to);
	return error;
}

int pmem_pool_salvage(const char *from, const char *to, const struct estate_salvage_attr *attr,
		      estate_pool_visit_fn *visit, void *arg, struct estate_pool_info *info)
{
	struct salvage *salvage = calloc(1, sizeof(*salvage));
	int error;

	if (!salvage)
		return error_set(-ENOMEM, "pool %s: no memory", from);
	salvage->from_path = from;
	salvage->to_path = to;
	salvage->attr = attr;
	salvage->visit = visit;
	salvage->arg = arg;
	error = medium_open_to_read(&salvage->from, from);
	if (!error) {
		error = run(salvage);
		medium_close(&salvage->from);
	}
	if (!error && info)
		*info = salvage->survey.info;
	free(salvage);
	return error;
}
