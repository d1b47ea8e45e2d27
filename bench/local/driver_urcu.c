// SPDX-License-Identifier: BSD-3-Clause
/* liburcu's lock-free hash table, rculfhash, with the fastest of its flavours for readers. */
#include "driver.h"
#include "huge.h"
#include "seqvalue.h"
#include "workload.h"

#include <urcu/urcu-qsbr.h>
#include <urcu/rculfhash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

struct node {
	struct cds_lfht_node link; /* first: a pointer to it is one to the node */
	uint64_t key[KEY_BYTES / 8];
	struct seqvalue value;
} __attribute__((aligned(64)));

struct own {
	struct cds_lfht *hash;
	struct node *nodes;
	size_t count;
	size_t used;
	size_t words;
};

static int start(void)
{
	urcu_qsbr_register_thread();
	return 0;
}

static void destroy(void *table)
{
	struct own *own = table;
	struct cds_lfht_iter iterator;
	struct cds_lfht_node *link;

	if (own->hash) {
		cds_lfht_first(own->hash, &iterator);
		while ((link = cds_lfht_iter_get_node(&iterator))) {
			cds_lfht_next(own->hash, &iterator);
			cds_lfht_del(own->hash, link);
		}
		urcu_qsbr_synchronize_rcu();
		cds_lfht_destroy(own->hash, NULL);
	}
	huge_free(own->nodes, own->count * sizeof(struct node));
	free(own);
}

/* A bucket for every entry, all there from the beginning: it does not resize while it is timed. */
static unsigned long buckets(size_t entries)
{
	unsigned long count = 1;

	while (count < entries)
		count <<= 1;
	return count;
}

static void *create(size_t entries, enum driver_content content)
{
	struct own *own = calloc(1, sizeof(*own));

	if (!own)
		return NULL;
	own->words = driver_value_bytes(content) / 8;
	own->count = entries;
	own->nodes = huge_alloc(entries * sizeof(struct node));
	/* Buckets from malloc(), which huge_malloc() made to ask for huge pages. */
	own->hash = own->nodes ? _cds_lfht_new(buckets(entries), buckets(entries), 0, 0,
					       &cds_lfht_mm_order, &urcu_qsbr_flavor, NULL)
			       : NULL;
	if (!own->hash) {
		fprintf(stderr, "cds_lfht_new: no memory\n");
		destroy(own);
		return NULL;
	}
	return own;
}

static void thread_begin(void)
{
	urcu_qsbr_register_thread();
}

static void thread_end(void)
{
	urcu_qsbr_unregister_thread();
}

static int match(struct cds_lfht_node *link, const void *key)
{
	const struct node *node = (const struct node *)link;

	return !memcmp(node->key, key, KEY_BYTES);
}

/* Nothing is ever removed while it is timed, so that no quiescent state needs to be told. */
static struct node *find(struct own *own, const void *key)
{
	struct cds_lfht_iter iterator;
	struct cds_lfht_node *link;

	cds_lfht_lookup(own->hash, XXH3_64bits(key, KEY_BYTES), match, key, &iterator);
	link = cds_lfht_iter_get_node(&iterator);
	return (struct node *)link;
}

static int get(void *table, const void *key, void *value)
{
	struct own *own = table;
	const struct node *node = find(own, key);

	if (!node)
		return -1;
	seqvalue_read(&node->value, value, own->words);
	return 0;
}

static struct seqvalue *find_or_add(struct own *own, const void *key)
{
	struct node *node = find(own, key);

	if (node)
		return &node->value;
	if (own->used == own->count)
		return NULL;
	node = own->nodes + own->used++;
	cds_lfht_node_init(&node->link);
	memcpy(node->key, key, KEY_BYTES);
	cds_lfht_add(own->hash, XXH3_64bits(key, KEY_BYTES), &node->link);
	return &node->value;
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

const struct driver driver_urcu = {
	.name = "rculfhash",
	.how = "liburcu, QSBR flavour, XXH3, a bucket per entry, no resizing; value in the node, a "
	       "sequence lock each; no bulk look-up: one by one",
	.start = start,
	.create = create,
	.destroy = destroy,
	.thread_begin = thread_begin,
	.thread_end = thread_end,
	.get = get,
	.put = put,
	.add = add,
	.get_batch = get_batch,
};
