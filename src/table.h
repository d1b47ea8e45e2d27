/* SPDX-License-Identifier: BSD-3-Clause */
/* The local view of a table: its owner's side. */
#ifndef TABLE_H
#define TABLE_H

#include "clock.h"
#include "entry.h"
#include "extent.h"
#include "geometry.h"
#include "lock.h"
#include "sidecar.h"

#include <estate/table.h>

/* How many keys of a batch are in flight: their groups and copies stay in the L1 cache. */
#define TABLE_BATCH 16

/* The calls that are compiled for certain shapes of tables; see whole.h. */
typedef int table_get_fn(const struct estate_table *table, const void *key, size_t key_length,
			 void *value, size_t value_size, size_t *value_length);
typedef int table_get_batch_fn(const struct estate_table *table, unsigned int count,
			       const void *const *keys, size_t key_length, char *values,
			       size_t value_size, int *status);
typedef int table_put_fn(struct estate_table *table, const void *key, size_t key_length,
			 const void *value, size_t value_length);
typedef int table_entry_add_fn(struct estate_entry *entry, const void *deltas);
typedef int table_add_fn(struct estate_table *table, const void *key, size_t key_length,
			 const void *deltas);

/*
 * Make the next versions of @count slots persistent, before anybody can read them:
 * all of them with one drain. @copies: as they will be in the region, without
 * what need not be there. The caller has the keys' locks. 0, or -EIO with a sentence.
 */
typedef int table_persist_fn(struct estate_table *table, unsigned int count, const uint32_t *slots,
			     const struct layout_copy *const *copies);

struct estate_table {
	table_get_fn *get; /* the best there is for a table of this shape */
	table_get_batch_fn *get_batch; /* of at most TABLE_BATCH keys */
	table_put_fn *put;
	table_add_fn *add;
	table_entry_add_fn *entry_add;
	struct geometry geometry;
	uint32_t salt;
	unsigned char *buckets; /* in the region; NULL: an observer's table has none */
	unsigned char *copies; /* of the first slot */
	uint16_t *tags; /* one per slot; see sidecar.h */
	uint32_t *locks; /* one per bucket */
	struct bias *bias; /* whether they are needed */
	size_t sidecar_bytes;
	struct clock *clock;
	uint64_t *directory_entries; /* the count of entries that others see */
	struct extent_pool extents;
	table_persist_fn *persist; /* NULL: nothing waits for persistent memory */
	unsigned char *kept; /* the copies in the pool, if it helps to look for their pages early */
	size_t kept_size; /* of each */
	uint8_t *dirty; /* one per slot: changed, and not persistent yet; NULL: nobody asks */
	struct mirror *mirror; /* in the instance's pool; NULL: there is none */
	struct estate *es;
	unsigned int number; /* of the tables of @es, in the order they were opened */
	estate_reduce_fn *custom;
	void *custom_arg;
	char name[ESTATE_NAME_MAX];
	/* Changed by whoever inserts or deletes: away from what every call reads. */
	uint64_t entries __attribute__((aligned(64)));
	uint64_t overflowed;
};

/*
 * Prepare a table over @buckets, which are zeros; NULL makes an observer's.
 * 0 or -ENOMEM with a sentence. @table's other fields are the caller's.
 */
int table_init(struct estate_table *table, const struct geometry *geometry, uint32_t salt,
	       unsigned char *buckets, struct clock *clock, uint64_t *directory_entries);
void table_destroy(struct estate_table *table);

/* Set the calls for the table's shape; of @any shape for those that refuse. */
void table_choose_reads(struct estate_table *table, int any);
void table_choose_writes(struct estate_table *table, int any);

/* estate_get() for a key that is ready, with the stamp. */
int table_get(const struct estate_table *table, const struct entry_key *key, void *value,
	      size_t value_size, size_t *value_length, uint64_t *stamp);

/*
 * The same for a slot that holds the key with the CRC @key_crc. -EBADMSG, with no
 * sentence, if it does not verify: being written, or another key's by now.
 */
int table_get_slot(const struct estate_table *table, uint32_t key_crc, uint32_t slot, void *value,
		   size_t value_size, size_t *value_length);

/* Sentences for what calls refuse; each returns its negative errno value. */
int table_refuse(const struct estate_table *table, const void *key, size_t key_length);
int table_refuse_length(const struct estate_table *table, size_t length);
int table_refuse_full(const struct estate_table *table);
int table_refuse_opaque(const struct estate_table *table);
int table_absent(void);

/* Check what all calls on the local view share; 0 or a negative errno value with a sentence. */
static inline int table_check(const struct estate_table *table, const void *key, size_t key_length)
{
	if (likely(table && key && key_length - 1 < table->geometry.key_size && table->buckets))
		return 0;
	return table_refuse(table, key, key_length);
}

static inline int table_length_suits(const struct geometry *geometry, size_t length)
{
	return length == geometry->value_size ||
	       (geometry->type == ESTATE_OPAQUE && length < geometry->value_size);
}

static inline void table_key(const struct estate_table *table, const void *bytes, size_t length,
			     struct entry_key *key)
{
	entry_key_init(key, &table->geometry, table->salt, bytes, length,
		       table->geometry.key_room / 8);
}

static inline struct layout_bucket *table_bucket(const struct estate_table *table, uint64_t bucket)
{
	return (struct layout_bucket *)(table->buckets +
					geometry_bucket_offset(&table->geometry, bucket));
}

static inline struct layout_copy *table_copy(const struct estate_table *table, uint32_t slot,
					     unsigned int copy)
{
	return (struct layout_copy *)((unsigned char *)table_bucket(table, slot / LAYOUT_SLOTS) +
				      geometry_copy_offset(&table->geometry, slot % LAYOUT_SLOTS,
							   copy));
}

/* The tags of a key's home bucket, and of the next one behind them. */
static inline const uint16_t *table_tags(const struct estate_table *table, uint64_t home)
{
	return table->tags + home * LAYOUT_SLOTS;
}

#endif
