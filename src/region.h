/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exposed memory of an instance: made by its owner; checked, field by
 * field, by those who read it.
 */
#ifndef REGION_H
#define REGION_H

#include "geometry.h"
#include "layout.h"

#include <stddef.h>
#include <stdint.h>

/* Who a region belongs to. */
struct region_identity {
	uint8_t uuid[16];
	uint64_t epoch;
	char group[ESTATE_NAME_MAX];
	char name[ESTATE_NAME_MAX];
};

struct region {
	int fd; /* a memfd, sealed: nobody can shrink it, nor write it but through @memory */
	unsigned char *memory;
	size_t size;
	size_t used;
};

/* A table as it stands in a directory, checked. */
struct region_table {
	char name[ESTATE_NAME_MAX];
	struct geometry geometry;
	uint64_t offset;
	uint64_t entries;
	uint32_t salt;
};

/* Whether @name is 1 to 63 characters of A-Z a-z 0-9 . _ - with no dot in front. */
int region_name_valid(const char *name);

/* The owner's side. 0, or a negative errno value with a sentence. */
int region_create(struct region *region, const struct region_identity *identity, size_t size);
void region_destroy(struct region *region);

/*
 * Prepare the next table: its buckets are zeros, and @entries is where its owner counts
 * for others. Nobody sees it before region_publish_table(); without that, the next
 * call prepares another one.
 */
int region_prepare_table(struct region *region, const char *name, const struct geometry *geometry,
			 uint32_t salt, struct region_table *table, uint64_t **entries);

/* The salt of a new table: unlike any other's, and any other life's. */
uint32_t region_salt(const struct region_identity *identity, const char *name);

/*
 * Take its memory now, as a whole: the first touch of what the machine does not have would be
 * the end of the process.
 */
int region_take_table(const struct region *region, const struct region_table *table);

/* A directory entry, as it is written: with its CRC. */
void region_describe_table(const struct region_table *table, struct layout_table *raw);
void region_publish_table(struct region *region, const struct region_table *table);

static inline struct layout_header *region_header(const struct region *region)
{
	return (struct layout_header *)region->memory;
}

/*
 * The reader's side: of @memory, @size bytes that a peer exposes. -EBADMSG if
 * it would not verify, -EPROTO if it is of another version; with a sentence.
 */
int region_check(const void *memory, size_t size, struct region_identity *identity);

/*
 * The next table of the directory, from *@index on, which is advanced; -ENOENT
 * at its end, -EBADMSG for one that would not verify (a sentence tells which).
 */
int region_next_table(const void *memory, size_t size, unsigned int *index,
		      struct region_table *table);

/* Entry @number of a directory, @raw, of a region of @size bytes; errors as above. */
int region_parse_table(const struct layout_table *raw, unsigned int number, size_t size,
		       struct region_table *table);

/* The table called @name. -ENOENT or -EBADMSG, without a sentence. */
int region_find_table(const void *memory, size_t size, const char *name,
		      struct region_table *table);

/* How many tables the directory has, at most ESTATE_TABLES_MAX: it only grows. */
unsigned int region_tables(const void *memory);

enum layout_state region_state(const void *memory);

/* The number of the table called @name in a directory; ESTATE_TABLES_MAX if it has none. */
unsigned int region_table_number(const void *memory, size_t size, const char *name);

/* The adoption of that life of a leaver in an adopter's region; NULL: there is none. */
const struct layout_adoption *region_adoption(const void *memory, const uint8_t *leaver,
					      uint64_t epoch);
uint64_t region_heartbeat(const void *memory);

#endif
