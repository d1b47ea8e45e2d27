// SPDX-License-Identifier: BSD-3-Clause
#include "region.h"

#include "crc.h"
#include "error.h"
#include "mapping.h"
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADER_CHECKED offsetof(struct layout_header, state)
#define TABLE_CHECKED offsetof(struct layout_table, crc)

int region_name_valid(const char *name)
{
	size_t length = 0;

	for (; name[length]; length++) {
		char c = name[length];

		if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    !strchr("._-", c))
			return 0;
		if (length + 1 == ESTATE_NAME_MAX)
			return 0;
	}
	return length && name[0] != '.';
}

/* A name in somebody's memory, copied: ended by a zero, and valid. */
static int name_terminated(const char *name)
{
	return memchr(name, 0, ESTATE_NAME_MAX) && region_name_valid(name);
}

static uint32_t header_crc(const struct layout_header *header)
{
	size_t start = offsetof(struct layout_header, region_size);

	return crc_bytes(~0u, (const char *)header + start, HEADER_CHECKED - start);
}

int region_create(struct region *region, const struct region_identity *identity, size_t size)
{
	struct region made = { .size = (size + LAYOUT_PAGE - 1) / LAYOUT_PAGE * LAYOUT_PAGE,
			       .used = LAYOUT_TABLES };
	struct layout_header *header;
	int error;

	if (made.size < LAYOUT_TABLES)
		return error_set(-EINVAL, "region_size is %zu, the least is %d bytes", size,
				 LAYOUT_TABLES);
	made.fd = memfd_create(identity->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (made.fd < 0)
		return error_set(-errno, "memfd_create for the region: %m");
	if (ftruncate(made.fd, (off_t)made.size)) {
		error = error_set(-errno, "a region of %zu bytes: ftruncate: %m", made.size);
		goto close_fd;
	}
	made.memory = mapping_shared(made.fd, made.size, 1);
	if (!made.memory) {
		error = error_set(-errno, "a region of %zu bytes: mmap: %m", made.size);
		goto close_fd;
	}
	/*
	 * Peers get this descriptor. Sealed so that no reader can be hit by a
	 * SIGBUS, and that nobody but our own mapping can write (memfd_create(2)).
	 */
	if (fcntl(made.fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)) {
		error = error_set(-errno, "sealing the region: fcntl(F_ADD_SEALS): %m");
		goto unmap;
	}
	error = mapping_populate(made.memory, LAYOUT_TABLES);
	if (error) {
		error = error_set(error, "no memory for the region's header");
		goto unmap;
	}

	header = region_header(&made);
	header->magic = LAYOUT_MAGIC;
	header->version = LAYOUT_VERSION;
	header->region_size = made.size;
	header->epoch = identity->epoch;
	memcpy(header->uuid, identity->uuid, sizeof(header->uuid));
	memcpy(header->group, identity->group, sizeof(header->group));
	memcpy(header->name, identity->name, sizeof(header->name));
	header->crc = header_crc(header);
	header->state = LAYOUT_JOINED;
	*region = made;
	return 0;

unmap:
	mapping_free(made.memory, made.size);
close_fd:
	close(made.fd);
	return error;
}

void region_destroy(struct region *region)
{
	if (!region->memory)
		return;
	mapping_free(region->memory, region->size);
	close(region->fd);
	region->memory = NULL;
}

static struct layout_table *directory(const void *memory)
{
	return (struct layout_table *)((uintptr_t)memory + LAYOUT_DIRECTORY);
}

uint32_t region_salt(const struct region_identity *identity, const char *name)
{
	uint32_t salt =
		crc_bytes((uint32_t)identity->epoch, identity->uuid, sizeof(identity->uuid));

	return crc_bytes(salt, name, strlen(name));
}

void region_describe_table(const struct region_table *table, struct layout_table *raw)
{
	const struct geometry *geometry = &table->geometry;

	*raw = (struct layout_table){
		.offset = table->offset,
		.length = geometry->length,
		.seed = geometry->seed,
		.capacity = geometry->capacity,
		.key_size = geometry->key_size,
		.value_type = geometry->type,
		.value_count = geometry->value_count,
		.merge = geometry->merge,
		.durability = geometry->durability,
		.salt = table->salt,
		.flush_ms = (uint32_t)geometry->flush_ms,
	};
	memcpy(raw->name, table->name, sizeof(raw->name));
	raw->crc = crc_bytes(~0u, raw, TABLE_CHECKED);
}

int region_prepare_table(struct region *region, const char *name, const struct geometry *geometry,
			 uint32_t salt, struct region_table *table, uint64_t **entries)
{
	uint32_t number = region_header(region)->tables;
	struct layout_table *made = directory(region->memory) + number;
	struct layout_table raw;
	struct region_table result = { .geometry = *geometry,
				       .offset = region->used,
				       .salt = salt };

	if (number == ESTATE_TABLES_MAX)
		return error_set(-ENOSPC,
				 "table %s: this instance has %d tables already, no more fit", name,
				 ESTATE_TABLES_MAX);
	if (geometry->length > region->size - region->used)
		return error_set(
			-ENOSPC,
			"table %s takes %llu bytes, the region has %zu left of %zu: open the "
			"instance with region_size at least %llu",
			name, (unsigned long long)geometry->length, region->size - region->used,
			region->size, (unsigned long long)region->used + geometry->length);
	strcpy(result.name, name);
	region_describe_table(&result, &raw);
	/* Nobody goes by it before it is published, but a READ of all of the directory brings it. */
	shared_copy_to(made, &raw, sizeof(raw));
	*entries = &made->entries;
	*table = result;
	return 0;
}

int region_take_table(const struct region *region, const struct region_table *table)
{
	uint64_t length = table->geometry.length;
	int error = mapping_populate(region->memory + table->offset, length);

	if (!error)
		return 0;
	return error_set(error, "table %s: the machine has no memory for its %llu bytes: %s",
			 table->name, (unsigned long long)length, strerror(-error));
}

void region_publish_table(struct region *region, const struct region_table *table)
{
	struct layout_header *header = region_header(region);

	region->used += table->geometry.length;
	__atomic_store_n(&header->tables, header->tables + 1, __ATOMIC_RELEASE);
}

int region_check(const void *memory, size_t size, struct region_identity *identity)
{
	struct layout_header header;

	if (size < LAYOUT_TABLES)
		return error_set(-EBADMSG, "its region has %zu bytes, too few for a header", size);
	shared_copy_from(&header, memory, sizeof(header));
	if (header.magic != LAYOUT_MAGIC)
		return error_set(-EBADMSG, "its region does not begin as one of estate's does");
	if (header.version != LAYOUT_VERSION)
		return error_set(-EPROTO,
				 "its region has layout version %u, this library reads version %u: "
				 "run the same release on all instances",
				 header.version, LAYOUT_VERSION);
	if (header.crc != header_crc(&header) || !name_terminated(header.group) ||
	    !name_terminated(header.name))
		return error_set(-EBADMSG, "its region's header is damaged");
	if (header.region_size != size)
		return error_set(-EBADMSG, "its region has %zu bytes and says that it has %llu",
				 size, (unsigned long long)header.region_size);
	memcpy(identity->uuid, header.uuid, sizeof(identity->uuid));
	identity->epoch = header.epoch;
	memcpy(identity->group, header.group, sizeof(identity->group));
	memcpy(identity->name, header.name, sizeof(identity->name));
	return 0;
}

unsigned int region_tables(const void *memory)
{
	const struct layout_header *header = memory;
	uint32_t tables = __atomic_load_n(&header->tables, __ATOMIC_ACQUIRE);

	return tables < ESTATE_TABLES_MAX ? tables : ESTATE_TABLES_MAX;
}

enum layout_state region_state(const void *memory)
{
	const struct layout_header *header = memory;

	return __atomic_load_n(&header->state, __ATOMIC_ACQUIRE);
}

const struct layout_adoption *region_adoption(const void *memory, const uint8_t *leaver,
					      uint64_t epoch)
{
	const struct layout_adoption *adoptions =
		(const struct layout_adoption *)((const char *)memory + LAYOUT_ADOPTIONS);
	uint64_t words[2];

	memcpy(words, leaver, sizeof(words));
	for (unsigned int i = 0; i < LAYOUT_ADOPTIONS_MAX; i++) {
		const uint64_t *uuid = (const uint64_t *)(const void *)adoptions[i].leaver;

		if (shared_load(&adoptions[i].epoch) == epoch && shared_load(uuid) == words[0] &&
		    shared_load(uuid + 1) == words[1])
			return &adoptions[i];
	}
	return NULL;
}

uint64_t region_heartbeat(const void *memory)
{
	const struct layout_header *header = memory;

	return shared_load(&header->heartbeat);
}

int region_parse_table(const struct layout_table *raw, unsigned int number, size_t size,
		       struct region_table *table)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct region_table result = { 0 };
	struct layout_table entry;

	shared_copy_from(&entry, raw, sizeof(entry));
	if (entry.crc != crc_bytes(~0u, &entry, TABLE_CHECKED) || !name_terminated(entry.name))
		return error_set(-EBADMSG, "entry %u of its table directory is damaged", number);

	attr.key_size = entry.key_size;
	attr.value_type = (enum estate_type)entry.value_type;
	attr.value_count = entry.value_count;
	attr.merge = (enum estate_merge)entry.merge;
	attr.capacity = entry.capacity;
	attr.durability = (enum estate_durability)entry.durability;
	attr.flush_ms = entry.flush_ms;
	attr.seed = entry.seed;
	if (geometry_init(&result.geometry, &attr) || result.geometry.length != entry.length ||
	    entry.offset % LAYOUT_PAGE || entry.offset < LAYOUT_TABLES || entry.offset > size ||
	    entry.length > size - entry.offset)
		return error_set(-EBADMSG, "table %s of its directory does not fit into its region",
				 entry.name);
	memcpy(result.name, entry.name, sizeof(result.name));
	result.offset = entry.offset;
	result.salt = entry.salt;
	result.entries = entry.entries;
	*table = result;
	return 0;
}

int region_next_table(const void *memory, size_t size, unsigned int *index,
		      struct region_table *table)
{
	unsigned int number = *index;

	if (number >= region_tables(memory))
		return -ENOENT;
	++*index;
	return region_parse_table(directory(memory) + number, number, size, table);
}

int region_find_table(const void *memory, size_t size, const char *name, struct region_table *table)
{
	int damaged = 0;

	for (unsigned int index = 0;;) {
		int error = region_next_table(memory, size, &index, table);

		if (error == -ENOENT)
			return damaged ? -EBADMSG : -ENOENT;
		if (error)
			damaged = 1;
		else if (!strcmp(table->name, name))
			return 0;
	}
}

unsigned int region_table_number(const void *memory, size_t size, const char *name)
{
	for (unsigned int index = 0;;) {
		struct region_table table;
		unsigned int number = index;
		int error = region_next_table(memory, size, &index, &table);

		if (error == -ENOENT)
			return ESTATE_TABLES_MAX;
		if (!error && !strcmp(table.name, name))
			return number;
	}
}
