// SPDX-License-Identifier: BSD-3-Clause
/* ConcurrencyKit's ck_ht, for keys that are strings of bytes. */
#include "driver.h"
#include "huge.h"
#include "seqvalue.h"

#include <ck_ht.h>
#include <ck_malloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	uint64_t key[KEY_BYTES / 8];
	struct seqvalue value;
} __attribute__((aligned(64)));

struct own {
	ck_ht_t hash;
	struct node *nodes;
	size_t count;
	size_t used;
	size_t words;
};

/* From malloc(), which huge_malloc() made to ask for huge pages. */
static void *allocate(size_t bytes)
{
	return malloc(bytes);
}

static void release(void *memory, size_t bytes, bool defer)
{
	(void)bytes;
	/* Deferred: a reader may still be in it; there is none while the table grows here. */
	(void)defer;
	free(memory);
}

static struct ck_malloc allocator = { .malloc = allocate, .free = release };

static int start(void)
{
	return 0;
}

static void destroy(void *table)
{
	struct own *own = table;

	ck_ht_destroy(&own->hash);
	huge_free(own->nodes, own->count * sizeof(struct node));
	free(own);
}

static void *create(size_t entries, enum driver_content content)
{
	struct own *own = calloc(1, sizeof(*own));

	if (!own)
		return NULL;
	own->words = driver_value_bytes(content) / 8;
	own->count = entries;
	own->nodes = huge_alloc(entries * sizeof(struct node));
	if (!own->nodes)
		goto free;
	/* Twice as many slots as entries: it grows beyond half full. */
	if (!ck_ht_init(&own->hash, CK_HT_MODE_BYTESTRING, NULL, &allocator, 2 * entries,
			6602834)) {
		fprintf(stderr, "ck_ht_init: no memory\n");
		goto free_nodes;
	}
	return own;
free_nodes:
	huge_free(own->nodes, own->count * sizeof(struct node));
free:
	free(own);
	return NULL;
}

static void nothing(void)
{
}

static struct node *find(struct own *own, const void *key, ck_ht_hash_t *hash)
{
	ck_ht_entry_t entry;

	ck_ht_hash(hash, &own->hash, key, KEY_BYTES);
	ck_ht_entry_key_set(&entry, key, KEY_BYTES);
	if (!ck_ht_get_spmc(&own->hash, *hash, &entry))
		return NULL;
	return ck_ht_entry_value(&entry);
}

static int get(void *table, const void *key, void *value)
{
	struct own *own = table;
	ck_ht_hash_t hash;
	const struct node *node = find(own, key, &hash);

	if (!node)
		return -1;
	seqvalue_read(&node->value, value, own->words);
	return 0;
}

static struct seqvalue *find_or_add(struct own *own, const void *key)
{
	ck_ht_entry_t entry;
	ck_ht_hash_t hash;
	struct node *node = find(own, key, &hash);

	if (node)
		return &node->value;
	if (own->used == own->count)
		return NULL;
	node = own->nodes + own->used++;
	memcpy(node->key, key, KEY_BYTES);
	ck_ht_entry_set(&entry, hash, node->key, KEY_BYTES, node);
	return ck_ht_put_spmc(&own->hash, hash, &entry) ? &node->value : NULL;
}

static int put(void *table, const void *key, const void *value)
{
	struct own *own = table;
	struct seqvalue *place = find_or_add(own, key);

	if (!place)
		return -1;
	seqvalue_write(place, value, own->words);
	return 0;
}

static int add(void *table, const void *key, const uint64_t *deltas)
{
	struct own *own = table;
	struct seqvalue *place = find_or_add(own, key);

	if (!place)
		return -1;
	seqvalue_add(place, deltas, own->words);
	return 0;
}

static unsigned int get_batch(void *table, const void *const *keys, void *values)
{
	struct own *own = table;
	unsigned int found = 0;

	for (unsigned int i = 0; i < BATCH; i++)
		found += !get(own, keys[i], (uint64_t *)values + i * own->words);
	return found;
}

const struct driver driver_ck = {
	.name = "ck_ht",
	.how = "ConcurrencyKit, byte strings, its own hash, half full; key and value in a node, a "
	       "sequence lock each; no bulk look-up: one by one",
	.start = start,
	.create = create,
	.destroy = destroy,
	.thread_begin = nothing,
	.thread_end = nothing,
	.get = get,
	.put = put,
	.add = add,
	.get_batch = get_batch,
};
