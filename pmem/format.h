/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pool, byte by byte. It has the directory and the tables of a region
 * (src/layout.h), with the same slots and blocks; but there are no overflow chains, as
 * who reads a pool reads all of it, and a slot's copies are on cache lines of their own: whole
 * lines can be stored without being read before. Only the first page is another one.
 * doc/design.md explains it; change FORMAT_VERSION with anything here.
 */
#ifndef FORMAT_H
#define FORMAT_H

#include "layout.h"
#include "pool.h"
#include "region.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_MAGIC 0x314c4f4f50545345ull /* "ESTPOOL1" */
#define FORMAT_VERSION 2u

/* At offset 0. Written once; @magic last: while it is 0, there is no pool. */
struct format_header {
	uint64_t magic;
	uint32_t version;
	uint32_t crc; /* over the fields below */
	uint32_t layout_version; /* of what is like a region */
	uint32_t reserved;
	uint64_t size;
	uint8_t uuid[16];
	char group[ESTATE_NAME_MAX];
	char name[ESTATE_NAME_MAX];
};
static_assert(sizeof(struct format_header) == 176, "the header is a format");

enum format_state {
	FORMAT_OPEN = 1, /* a life began, and did not end in order */
	FORMAT_CLOSED = 2,
	FORMAT_LEAVING = 3, /* it is being handed over to @adopter */
	FORMAT_HANDED_OVER = 4, /* all of it is @adopter's: nothing in here counts any more */
};

/* What changes: two copies, of which the older is overwritten. */
struct format_life {
	uint64_t sequence; /* the higher of two valid ones counts */
	uint64_t epoch;
	uint8_t adopter[16];
	uint32_t adopter_pool; /* 1: it has one, too */
	uint32_t reserved;
	uint32_t state; /* enum format_state */
	uint32_t crc; /* over the fields above */
};

#define FORMAT_LIFE 1024 /* offset of the first */
#define FORMAT_LIFE_STRIDE 512

/* Whom the instance takes over, or took last: two copies of it, too. */
struct format_adoption {
	uint64_t sequence;
	uint32_t crc; /* over sequence and adoption */
	uint32_t reserved;
	struct pool_adoption adoption;
};

#define FORMAT_ADOPTION 2048
#define FORMAT_ADOPTION_STRIDE 1024
static_assert(sizeof(struct format_adoption) <= FORMAT_ADOPTION_STRIDE, "two fit into the page");

/*
 * Entries of the directory are written without their names' first word, which
 * follows when all the rest is there: while it is 0, there is no such table.
 */

/* A table: the two copies of each slot, one slot after the other, and then its blocks. */
#define FORMAT_LINE 64

static inline size_t format_round(size_t bytes)
{
	return (bytes + FORMAT_LINE - 1) / FORMAT_LINE * FORMAT_LINE;
}

static inline size_t format_copy_size(const struct geometry *geometry)
{
	return format_round(geometry->copy_size);
}

static inline uint64_t format_copy_offset(const struct geometry *geometry, uint64_t slot,
					  unsigned int copy)
{
	return (slot * 2 + copy) * format_copy_size(geometry);
}

static inline uint64_t format_extents(const struct geometry *geometry)
{
	return (format_copy_offset(geometry, geometry->slots, 0) + LAYOUT_PAGE - 1) / LAYOUT_PAGE *
	       LAYOUT_PAGE;
}

static inline uint64_t format_block_offset(const struct geometry *geometry, uint64_t block)
{
	return format_extents(geometry) + block * geometry->block_size;
}

static inline uint64_t format_length(const struct geometry *geometry)
{
	return format_extents(geometry) + (geometry->length - geometry->extents);
}

/*
 * Of a pool in which there is room for all tables that a region of so many bytes has room for. None is
 * more than 8/5 as long here: a copy of 72 bytes takes 80 of a region, its part of a bucket's header
 * among them, and 128 here. And each is rounded up to pages.
 */
static inline size_t format_size(size_t region)
{
	return (region / 5 * 8 / LAYOUT_PAGE + 1 + ESTATE_TABLES_MAX) * LAYOUT_PAGE;
}

/* Whether @header is that of a pool of this version. 0; -ENOENT: zeros; -EBADMSG, -EPROTO, sentence. */
int format_check_header(const struct format_header *header, const char *path);
/* The same of @memory, @size bytes, which must be as many as it was made with. */
int format_check(const void *memory, size_t size, const char *path);
void format_seal(struct format_header *header);

/* The newest valid life; which of the two it is in *@which. 0 or -EBADMSG with a sentence. */
int format_life(const void *memory, const char *path, struct format_life *life,
		unsigned int *which);
void format_seal_life(struct format_life *life);

/* The newest valid adoption; 0, or -ENOENT. */
int format_adoption(const void *memory, struct format_adoption *adoption, unsigned int *which);
void format_seal_adoption(struct format_adoption *adoption);

/* An entry of a pool's directory, as region_parse_table() has it of a region's; @size: the pool's. */
int format_parse_table(const struct layout_table *raw, unsigned int number, size_t size,
		       struct region_table *table);

/* Entry @number of the directory: 0, -ENOENT if there is none, -EBADMSG with a sentence. */
int format_table(const void *memory, size_t size, unsigned int number, const char *path,
		 struct region_table *table);

#endif
