/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables, and the local view of them: what this instance wrote itself. */
#ifndef ESTATE_TABLE_H
#define ESTATE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include <estate/error.h>
#include <estate/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ESTATE_KEY_MAX 256 /* bytes */
#define ESTATE_VALUE_MAX (16u << 20) /* bytes */

/** A table of an instance; see estate_table_open(). */
struct estate_table;

/**
 * enum estate_type - what a value is an array of
 *
 * Numbers are in the machine's byte order (the library runs on little-endian
 * machines only). Integers are added modulo 2^width, exactly.
 */
enum estate_type {
	ESTATE_OPAQUE, /* bytes, of any length up to the table's */
	ESTATE_U8,
	ESTATE_U16,
	ESTATE_U32,
	ESTATE_U64,
	ESTATE_I64,
	ESTATE_F64,
};

/**
 * enum estate_merge - how values of one key become one, element by element
 *
 * A table's merge rule is what a global read uses unless it asks for something
 * else. One concept serves counters (SUM), gauges (LATEST, MIN, MAX), Bloom
 * filters (U64, OR), count-min sketches (SUM) and HyperLogLog registers (U8,
 * MAX): all are arrays.
 */
enum estate_merge {
	ESTATE_MERGE_LATEST, /* the whole value with the highest stamp */
	ESTATE_MERGE_SUM,
	ESTATE_MERGE_MIN,
	ESTATE_MERGE_MAX,
	ESTATE_MERGE_OR, /* bitwise; unsigned types only */
	ESTATE_MERGE_CUSTOM, /* struct estate_table_attr's @custom */
};

/**
 * enum estate_durability - when an entry reaches persistent memory
 *
 * All but the first need an instance with a pool (struct estate_attr's @pool),
 * and are that instance's own matter: others may have the same table with another
 * one. estate_sync() and estate_close() persist everything of such tables.
 */
enum estate_durability {
	ESTATE_DURABILITY_NONE, /* never */
	ESTATE_DURABILITY_ON_LEAVE, /* by estate_sync() and estate_close() */
	ESTATE_DURABILITY_PERIODIC, /* in the background, at least every @flush_ms */
	ESTATE_DURABILITY_BEFORE_RETURN, /* before the call returns, and before anybody reads it */
};

/**
 * struct estate_value - one instance's value of a key, as reducers see it
 * @data: the value, aligned to 16; valid during the call
 * @length: its bytes
 * @stamp: when it was written, see estate_stamp_ns()
 * @name: the instance that wrote it
 * @uuid: the same, 16 bytes; unlike names, never used twice
 * @epoch: and which life of it
 */
struct estate_value {
	const void *data;
	size_t length;
	uint64_t stamp;
	const char *name;
	const uint8_t *uuid;
	uint64_t epoch;
};

/**
 * estate_reduce_fn - a caller's reducer
 * @values: the values of the instances that have the key, @count of them, at
 *	least one
 * @count: how many
 * @out: room for the result, @out_size bytes, zeroed, aligned to 16
 * @out_size: what the reader of the global view gave room for
 * @out_length: to be set to the length of the result
 * @arg: as given with the function
 *
 * Return: 0, or a negative errno value, which the global read then returns (with
 * its answer not filled in; -ENOENT and -EHOSTDOWN mean something else there, and
 * are better left to it).
 */
typedef int estate_reduce_fn(const struct estate_value *values, unsigned int count, void *out,
			     size_t out_size, size_t *out_length, void *arg);

/**
 * struct estate_table_attr - the geometry and the rules of a table
 * @size: sizeof(struct estate_table_attr), set by ESTATE_TABLE_ATTR_INIT
 * @key_size: bytes of the longest key, 1 to ESTATE_KEY_MAX
 * @value_type: what a value is an array of
 * @value_count: how many elements a value has, at most ESTATE_VALUE_MAX bytes
 *	in all. For ESTATE_OPAQUE: the bytes of the longest value
 * @merge: the default reducer
 * @custom: the reducer of ESTATE_MERGE_CUSTOM
 * @custom_arg: its argument
 * @capacity: how many entries it takes; one more is -ENOSPC
 * @durability: when an entry reaches this instance's pool
 * @flush_ms: of ESTATE_DURABILITY_PERIODIC: what is lost by a crash is at most
 *	this old, and what the last flush took; 0 for 100
 * @seed: of the hash. Where strangers choose keys (a flow table), a random
 *	number that all instances share keeps them from choosing colliding ones
 *
 * All but @custom, @custom_arg, @durability and @flush_ms must be the same on
 * every instance: a member whose table of the same name differs is reported as
 * missing by global reads. A table that came back from a pool has the durability
 * that it had.
 */
struct estate_table_attr {
	size_t size;
	size_t key_size;
	enum estate_type value_type;
	size_t value_count;
	enum estate_merge merge;
	estate_reduce_fn *custom;
	void *custom_arg;
	size_t capacity;
	enum estate_durability durability;
	unsigned int flush_ms;
	uint64_t seed;
};

#define ESTATE_TABLE_ATTR_INIT                           \
	{                                                \
		.size = sizeof(struct estate_table_attr) \
	}

/**
 * estate_table_bytes - what a table takes of its instance's region
 * @attr: its geometry
 *
 * Return: bytes, or 0 if @attr is not valid; estate_errormsg() says why.
 */
ESTATE_API size_t estate_table_bytes(const struct estate_table_attr *attr);

/**
 * estate_table_open - create a table, or open one that is there
 * @es: the instance
 * @name: of the table: 1 to 63 of A-Z a-z 0-9 . _ - and no dot in front
 * @attr: what it is; NULL for "as most of the group have it", which works if
 *	this instance or one that is connected has it. Then a custom reducer must be
 *	given with each global read
 * @table: set to the table
 *
 * All memory of the table is taken and touched here, none later. An observer
 * gets a table without entries of its own: calls on the local view fail with
 * -EROFS. The same name opened twice gives the same table; it is freed by
 * estate_close().
 *
 * Thread safety: any thread.
 *
 * Return: 0, or
 *	-EINVAL	a NULL pointer, a bad name, or a field that is not valid
 *	-EEXIST	this instance has a table of this name and another geometry, or
 *		durability
 *	-ENOENT	@attr is NULL and nobody has the table
 *	-ENOSPC	the region or the pool has not enough room left, or the directory is full
 *		(ESTATE_TABLES_MAX tables)
 *	-ENOMEM	the machine has no memory for it
 *	-ENOTSUP	the durability needs a pool, and the instance has none
 *	-EIO	the pool could not be written
 *
 * Example:
 *	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
 *	struct estate_table *flows;
 *
 *	attr.key_size = 13;
 *	attr.value_type = ESTATE_U64;
 *	attr.value_count = 2;
 *	attr.merge = ESTATE_MERGE_SUM;
 *	attr.capacity = 1 << 20;
 *	if (estate_table_open(es, "flows", &attr, &flows))
 *		errx(1, "%s", estate_errormsg());
 */
ESTATE_API int estate_table_open(struct estate *es, const char *name,
				 const struct estate_table_attr *attr, struct estate_table **table);

#define ESTATE_TABLES_MAX 64 /* tables of one instance */

/**
 * struct estate_table_info - a table as the group has it
 * @name: of the table
 * @attr: its geometry and rules, without custom reducers
 * @members: how many members have it with this geometry
 * @odd: how many have the name with another geometry
 * @entries: entries of all members together, as their owners count them: a key
 *	that three members have counts three times
 */
struct estate_table_info {
	char name[ESTATE_NAME_MAX];
	struct estate_table_attr attr;
	unsigned int members;
	unsigned int odd;
	uint64_t entries;
};

/**
 * estate_tables - which tables there are in the group
 * @es: the instance
 * @tables: room for @max of them; may be NULL if @max is 0
 * @max: how many there is room for
 *
 * Thread safety: any thread.
 *
 * Return: how many there are, which may be more than @max, sorted by name, or
 *	-EINVAL	@es is NULL, or @tables is NULL while @max is not 0
 *	-ENOMEM	no memory
 */
ESTATE_API int estate_tables(struct estate *es, struct estate_table_info *tables, unsigned int max);

/**
 * struct estate_table_stats - how full the local part of a table is
 * @capacity: entries that it takes
 * @entries: entries that it has
 * @slots: places for entries, some more than @capacity
 * @overflowed: entries that found their two buckets full: a remote read of
 *	such a key takes a second round trip
 * @bytes: of the region
 * @sidecar_bytes: of private memory, on top
 */
struct estate_table_stats {
	uint64_t capacity;
	uint64_t entries;
	uint64_t slots;
	uint64_t overflowed;
	uint64_t bytes;
	uint64_t sidecar_bytes;
};

/**
 * estate_table_stats - how full the local part of a table is
 * @table: the table
 * @stats: filled in
 *
 * Thread safety: any thread.
 *
 * Return: 0, or
 *	-EINVAL	a NULL pointer
 *	-EROFS	the table is an observer's
 */
ESTATE_API int estate_table_stats(const struct estate_table *table,
				  struct estate_table_stats *stats);

/*
 * The local view. All calls below may be made by any number of threads at the
 * same time, on the same key too: each call is atomic, and readers take no
 * lock. A key is @key_length bytes, 1 to the table's key_size, any bytes.
 *
 * Errors that all of them share:
 *	-EINVAL	a NULL pointer, or a key of length 0 or longer than key_size
 *	-EROFS	the table is an observer's
 */

/**
 * estate_put - write this instance's value of a key
 * @table: the table
 * @key: @key_length bytes
 * @key_length: 1 to key_size
 * @value: @value_length bytes
 * @value_length: the table's whole value; for ESTATE_OPAQUE 0 to value_count
 *
 * Return: 0, or
 *	-EMSGSIZE	@value_length does not suit the table
 *	-ENOSPC	the key is new and the table has its capacity of entries already
 */
ESTATE_API int estate_put(struct estate_table *table, const void *key, size_t key_length,
			  const void *value, size_t value_length);

/**
 * estate_get - read this instance's value of a key
 * @table: the table
 * @key: @key_length bytes
 * @key_length: 1 to key_size
 * @value: room for @value_size bytes
 * @value_size: at least the value's length
 * @value_length: set to the value's length; may be NULL
 *
 * Return: 0, or
 *	-ENOENT	this instance has no value of the key
 *	-EMSGSIZE	@value_size is too small
 */
ESTATE_API int estate_get(const struct estate_table *table, const void *key, size_t key_length,
			  void *value, size_t value_size, size_t *value_length);

/**
 * estate_get_batch - read many keys, overlapping their cache misses
 * @table: the table
 * @count: how many keys; 16 at a time is a good number
 * @keys: @count pointers to keys
 * @key_length: of each of them
 * @values: @count values of @value_size bytes, one after the other
 * @value_size: at least the length of the longest of them
 * @status: @count results: the value's length, or -ENOENT, -EMSGSIZE
 *
 * Return: how many keys were found, or an error shared by all of them.
 *
 * Example:
 *	const void *keys[16];
 *	struct flow flow[16];
 *	int status[16];
 *	int found = estate_get_batch(flows, 16, keys, 13, flow, sizeof(flow[0]), status);
 */
ESTATE_API int estate_get_batch(const struct estate_table *table, unsigned int count,
				const void *const *keys, size_t key_length, void *values,
				size_t value_size, int *status);

/**
 * estate_put_batch - write many keys, overlapping their cache misses
 * @table: the table
 * @count: how many keys
 * @keys: @count pointers to keys
 * @key_length: of each of them
 * @values: @count values of @value_length bytes, one after the other
 * @value_length: of each of them
 * @status: @count results: 0, -ENOSPC, or -EIO as for estate_put()
 *
 * Each put is atomic; the batch is not.
 *
 * Return: how many were written, or an error shared by all of them, -EMSGSIZE
 * among them.
 */
ESTATE_API int estate_put_batch(struct estate_table *table, unsigned int count,
				const void *const *keys, size_t key_length, const void *values,
				size_t value_length, int *status);

/**
 * estate_delete - remove this instance's value of a key
 * @table: the table
 * @key: @key_length bytes
 * @key_length: 1 to key_size
 *
 * Other instances keep theirs.
 *
 * Return: 0, or
 *	-ENOENT	this instance has no value of the key
 */
ESTATE_API int estate_delete(struct estate_table *table, const void *key, size_t key_length);

/**
 * estate_add - add to a value's elements, all in one atomic step
 * @table: of a numeric type
 * @key: @key_length bytes; a key that is new starts from zeros
 * @key_length: 1 to key_size
 * @deltas: one number of the table's type per element of the value
 *
 * Integers wrap round at their width. To subtract, add the two's complement.
 *
 * Return: 0, or
 *	-ENOTSUP	the table's values are opaque
 *	-ENOSPC	the key is new and the table has its capacity of entries already
 */
ESTATE_API int estate_add(struct estate_table *table, const void *key, size_t key_length,
			  const void *deltas);

/**
 * estate_add_fields - the same for some elements of the value
 * @table: of a numeric type
 * @key: @key_length bytes; a key that is new starts from zeros
 * @key_length: 1 to key_size
 * @first: the first element to add to, from 0
 * @count: how many elements
 * @deltas: @count numbers of the table's type
 *
 * Return: as estate_add(), or
 *	-ERANGE	there are no elements @first to @first + @count - 1
 */
ESTATE_API int estate_add_fields(struct estate_table *table, const void *key, size_t key_length,
				 size_t first, size_t count, const void *deltas);

/**
 * estate_fold - merge a value into this instance's own by the merge rule
 * @table: of any merge rule but ESTATE_MERGE_CUSTOM
 * @key: @key_length bytes; a key that is new takes the value as it is
 * @key_length: 1 to key_size
 * @value: @value_length bytes
 * @value_length: as for estate_put()
 *
 * Sets a bit of a Bloom filter, raises a HyperLogLog register or a maximum.
 *
 * Return: as estate_put(), or
 *	-ENOTSUP	the table's merge rule is custom
 */
ESTATE_API int estate_fold(struct estate_table *table, const void *key, size_t key_length,
			   const void *value, size_t value_length);

/**
 * estate_update_fn - a caller's change to a value in place
 * @value: the value, to be changed; zeros beyond its length, aligned to 8
 * @length: its length: 0 if the key is new, and to be set by the function if
 *	the table is opaque; a numeric table's value always has its full length
 * @size: the most that @length may become
 * @arg: as given
 *
 * Runs under the lock of the key's bucket, or of the table: it must be short, must
 * not call the library, and not wait for a thread that does.
 *
 * Return: 0 to write the value, anything negative to leave the entry as it was.
 */
typedef int estate_update_fn(void *value, size_t *length, size_t size, void *arg);

/**
 * estate_update - change a value in place, atomically
 * @table: the table
 * @key: @key_length bytes; a key that is new starts from zeros
 * @key_length: 1 to key_size
 * @update: the change
 * @arg: its argument
 *
 * Return: 0, what @update returned, or
 *	-EMSGSIZE	@update set a length beyond the table's
 *	-ENOSPC	the key is new and the table has its capacity of entries already
 */
ESTATE_API int estate_update(struct estate_table *table, const void *key, size_t key_length,
			     estate_update_fn *update, void *arg);

/**
 * estate_visit_fn - is shown one entry of a table
 * @key: @key_length bytes, valid during the call, as @value is
 * @key_length: of this key
 * @value: @value_length bytes, aligned to 8
 * @value_length: of this value
 * @stamp: when it was written, see estate_stamp_ns()
 * @arg: as given
 *
 * Return: 0 to go on; anything else ends the walk and is returned.
 */
typedef int estate_visit_fn(const void *key, size_t key_length, const void *value,
			    size_t value_length, uint64_t stamp, void *arg);

/**
 * estate_iterate - visit every entry of this instance
 * @table: the table
 * @visit: called for each, in no order
 * @arg: its argument
 *
 * An entry that is there from the beginning to the end of the call is visited
 * exactly once, each with a value that it had during the call. @visit holds no
 * lock and may call the library.
 *
 * Return: 0, what @visit returned, or
 *	-ENOMEM	no memory for a value
 */
ESTATE_API int estate_iterate(const struct estate_table *table, estate_visit_fn *visit, void *arg);

/**
 * struct estate_entry - a handle on one entry: no look-up per packet
 *
 * Its fields are the library's own. It may be copied, and shared by threads if
 * each has a copy; it needs no closing, and is of no use once the instance is
 * closed.
 */
struct estate_entry {
	struct estate_table *table;
	void *slot;
	void *sidecar;
	void *lock;
	uint64_t hash;
	uint32_t slot_number;
	uint32_t generation;
	uint32_t key_crc;
};

/**
 * estate_entry_open - find an entry, or create it with a value of zeros
 * @table: the table
 * @key: @key_length bytes
 * @key_length: 1 to key_size
 * @entry: the handle to fill in. A new opaque value has length 0
 *
 * Return: 0, or
 *	-ENOSPC	the key is new and the table has its capacity of entries already
 */
ESTATE_API int estate_entry_open(struct estate_table *table, const void *key, size_t key_length,
				 struct estate_entry *entry);

/**
 * estate_entry_add - add to the elements of an entry
 * @entry: from estate_entry_open()
 * @deltas: one number of the table's type per element of the value
 *
 * Return: 0, or
 *	-ENOTSUP	the table's values are opaque
 *	-ESTALE	the entry was deleted: open it anew
 */
ESTATE_API int estate_entry_add(struct estate_entry *entry, const void *deltas);

/**
 * estate_entry_put - write the value of an entry
 * @entry: from estate_entry_open()
 * @value: @value_length bytes
 * @value_length: as for estate_put()
 *
 * Return: 0, or
 *	-EMSGSIZE	@value_length does not suit the table
 *	-ESTALE	the entry was deleted: open it anew
 */
ESTATE_API int estate_entry_put(struct estate_entry *entry, const void *value, size_t value_length);

/**
 * estate_entry_get - read the value of an entry
 * @entry: from estate_entry_open()
 * @value: room for @value_size bytes
 * @value_size: at least the value's length
 * @value_length: set to the value's length; may be NULL
 *
 * Return: 0, or
 *	-EMSGSIZE	@value_size is too small
 *	-ESTALE	the entry was deleted: open it anew
 */
ESTATE_API int estate_entry_get(struct estate_entry *entry, void *value, size_t value_size,
				size_t *value_length);

#ifdef __cplusplus
}
#endif

#endif
