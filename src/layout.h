/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The region, byte by byte: what an instance exposes, and so a format between
 * machines. doc/design.md explains it; change LAYOUT_VERSION with anything here.
 *
 * Little-endian, position independent: nothing in it is an address. All of it
 * is read by others while it is being written, so whatever is taken from it is
 * copied first, then checked, then used.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <estate/table.h>

#include <assert.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the region's format is little-endian, and so are the machines that it is for"
#endif

#define LAYOUT_MAGIC 0x0031455441545345ull /* "ESTATE1" */
#define LAYOUT_VERSION 2u

enum layout_state {
	LAYOUT_JOINED = 1,
	LAYOUT_LEFT = 2, /* the owner left in order; nothing here counts any more */
	LAYOUT_SEALED = 3, /* nothing is written any more; @adopter takes it over, see handover.h */
};

/* At offset 0. The first part is written once, before anybody can see the region. */
struct layout_header {
	uint64_t magic;
	uint32_t version;
	uint32_t crc; /* over the fields below, to @state */
	uint64_t region_size;
	uint64_t epoch;
	uint8_t uuid[16];
	char group[ESTATE_NAME_MAX];
	char name[ESTATE_NAME_MAX];
	uint64_t reserved[10];
	/* From here on it changes: in a cache line of its own. */
	uint32_t state; /* enum layout_state */
	uint32_t tables; /* how many of the directory's entries are there */
	uint64_t heartbeat; /* grows with every tick of the owner's background thread */
	/* Of a sealed region: the instance that is to take it over, and which life of it. */
	uint8_t adopter[16];
	uint64_t adopter_epoch;
	uint64_t attempt; /* grows with every one that is asked */
	uint64_t flags; /* enum layout_flags */
	uint64_t withdrawn; /* the last attempt that the leaver took back */
	uint64_t ripe; /* the last attempt that an adopter may begin with: see handover.h */
	uint64_t reserved_last[7];
};
static_assert(sizeof(struct layout_header) == 384, "the header is a format");

enum layout_flags {
	LAYOUT_HAS_POOL = 1, /* the instance does; what it takes over comes back with it */
	LAYOUT_FINISHED = 2, /* all is handed over, and so does our pool say, if we have one */
};

enum layout_adoption_state {
	LAYOUT_ADOPTION_REFUSED = 1, /* nothing was taken over: @error says why */
	LAYOUT_ADOPTION_RUNNING = 2,
	LAYOUT_ADOPTION_DONE = 3,
	LAYOUT_ADOPTION_RESUMING = 4, /* the adopter came back from its pool, and knows not yet */
	LAYOUT_ADOPTION_ENDED = 5, /* done, and forgotten in its pool: the leaver has finished */
};

/*
 * What this instance takes over, or took. The leaver's table @number is taken home
 * bucket by home bucket: @cursor[number] is twice the first home that is not
 * taken yet, plus one while that one is being taken.
 */
struct layout_adoption {
	uint8_t leaver[16]; /* zeros: there is none */
	uint64_t epoch; /* of the leaver */
	uint32_t state; /* enum layout_adoption_state; 0: it has not begun */
	int32_t error; /* a negative errno value */
	uint64_t attempt; /* of the leaver's, that this is about */
	uint64_t cursor[ESTATE_TABLES_MAX];
};
static_assert(sizeof(struct layout_adoption) == 552, "adoptions are a format");

#define LAYOUT_ADOPTIONS 512 /* the offset of LAYOUT_ADOPTIONS_MAX of these */
#define LAYOUT_ADOPTIONS_MAX 6
static_assert(LAYOUT_ADOPTIONS + LAYOUT_ADOPTIONS_MAX * sizeof(struct layout_adoption) <= 4096,
	      "they end before the directory");

#define LAYOUT_DIRECTORY 4096 /* the directory's offset: ESTATE_TABLES_MAX of: */

/* Written once, before @tables counts it, but for @entries. */
struct layout_table {
	char name[ESTATE_NAME_MAX];
	uint64_t offset; /* of the first bucket; a multiple of LAYOUT_PAGE */
	uint64_t length; /* of buckets and extents together */
	uint64_t seed;
	uint64_t capacity;
	uint32_t key_size;
	uint32_t value_type;
	uint32_t value_count;
	uint32_t merge;
	uint32_t durability;
	uint32_t salt; /* where every CRC in the table starts: unlike any other table's */
	uint64_t reserved[6];
	uint32_t flush_ms;
	uint32_t crc; /* over all of the above */
	uint64_t entries; /* how many there are; for people, not for checks */
	uint64_t reserved_last;
};
static_assert(sizeof(struct layout_table) == 192, "the directory is a format");

#define LAYOUT_PAGE 4096
#define LAYOUT_TABLES (LAYOUT_DIRECTORY + LAYOUT_PAGE * 3) /* the first table's offset */
static_assert(ESTATE_TABLES_MAX * sizeof(struct layout_table) <= 3 * LAYOUT_PAGE, "no overlap");

/*
 * A table is an array of buckets, then its extents. A key lives in its home
 * bucket or in the next one, which one READ fetches together; or, if both were
 * full when it came, in a slot of any other bucket, in the home bucket's chain.
 */
#define LAYOUT_SLOTS 4 /* per bucket */

struct layout_bucket {
	uint64_t head; /* link: the first slot of this bucket's overflow chain */
	uint64_t next[LAYOUT_SLOTS]; /* links: what follows each slot in the chain it is in */
	uint64_t reserved[3];
	/* then LAYOUT_SLOTS slots of two copies */
};
static_assert(sizeof(struct layout_bucket) == 64,
	      "a cache line, so that 64-byte copies stay aligned");

/*
 * One of the two copies of an entry, followed by the key (rounded up to 8
 * bytes, zeros beyond its length) and the inline value (the same). The owner
 * overwrites the older copy; the newer one stays whole. All zeros: never written.
 */
struct layout_copy {
	uint64_t stamp; /* hybrid logical clock; the higher of two valid copies counts */
	uint32_t crc; /* over the slot's number, key, value, meta, stamp; see entry.h */
	uint32_t meta;
};
static_assert(sizeof(struct layout_copy) == 16, "with 16 B keys, 32 B values: one cache line");

#define META_KEY_LENGTH(meta) ((meta)&0x1ffu)
#define META_INLINE_LENGTH(meta) (((meta) >> 9) & 0x1ffu)
#define META_LIVE 0x40000u /* otherwise: the key was deleted */
/* The upper 12 bits are kept for the number of the hand-over that the entry absorbed. */
#define META(key_length, inline_length, flags) \
	((uint32_t)(key_length) | (uint32_t)(inline_length) << 9 | (flags))

/* What the inline value is, in tables whose values live in extents. */
struct layout_extent {
	uint64_t block; /* which block of the table's extents */
	uint32_t length; /* of the value */
	uint32_t crc; /* over the value, starting from the table's salt */
};
static_assert(sizeof(struct layout_extent) == 16, "the extent's descriptor is a format");

#endif
