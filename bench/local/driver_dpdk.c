// SPDX-License-Identifier: BSD-3-Clause
/* DPDK's rte_hash in its lock-free read-write mode, values by position in an array. */
#include "driver.h"
#include "huge.h"
#include "seqvalue.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_memory.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 16

struct place {
	struct seqvalue value;
} __attribute__((aligned(64)));

struct own {
	struct rte_hash *hash;
	struct place *places;
	size_t bytes;
	size_t words;
};

static int to_huge_pages(const struct rte_memseg_list *list, void *arg)
{
	(void)arg;
	return huge_replace(list->base_va, list->len);
}

static int start(void)
{
	static char line[] = "estate-bench --no-huge --no-pci --no-telemetry "
			     "--no-shconf -m 2048 --lcores 0 --log-level lib.eal:error";
	char *arguments[ARGUMENTS_MAX], *position;
	int count = 0;
	cpu_set_t before;

	for (char *one = strtok_r(line, " ", &position); one; one = strtok_r(NULL, " ", &position))
		arguments[count++] = one;
	/* It pins the thread that it runs in; who is pinned where is not its business here. */
	pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
	if (rte_eal_init(count, arguments) < 0) {
		fprintf(stderr, "rte_eal_init: %s\n", rte_strerror(rte_errno));
		return -1;
	}
	pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	/* Without hugetlbfs its memory is a file in memory: give it what the others have. */
	return rte_memseg_list_walk(to_huge_pages, NULL);
}

static void destroy(void *table)
{
	struct own *own = table;

	rte_hash_free(own->hash);
	huge_free(own->places, own->bytes);
	free(own);
}

static void *create(size_t entries, enum driver_content content)
{
	static unsigned int created;
	char name[32];
	struct rte_hash_parameters parameters = {
		.name = name,
		.entries = (uint32_t)entries,
		.key_len = KEY_BYTES,
		.hash_func = rte_hash_crc,
		.socket_id = SOCKET_ID_ANY,
		.extra_flag =
			RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct own *own = calloc(1, sizeof(*own));

	if (!own)
		return NULL;
	snprintf(name, sizeof(name), "bench-%u", created++);
	own->hash = rte_hash_create(&parameters);
	if (!own->hash) {
		fprintf(stderr, "rte_hash_create: %s\n", rte_strerror(rte_errno));
		free(own);
		return NULL;
	}
	own->words = driver_value_bytes(content) / 8;
	own->bytes = ((size_t)rte_hash_max_key_id(own->hash) + 1) * sizeof(struct place);
	own->places = huge_alloc(own->bytes);
	if (!own->places) {
		destroy(own);
		return NULL;
	}
	return own;
}

static void nothing(void)
{
}

static int get(void *table, const void *key, void *value)
{
	struct own *own = table;
	int32_t position = rte_hash_lookup(own->hash, key);

	if (position < 0)
		return -1;
	seqvalue_read(&own->places[position].value, value, own->words);
	return 0;
}

/* Its writers are one thread's business in this mode: a key is new in the fill only. */
static struct seqvalue *find_or_add(struct own *own, const void *key)
{
	int32_t position = rte_hash_lookup(own->hash, key);

	if (position < 0)
		position = rte_hash_add_key(own->hash, key);
	return position < 0 ? NULL : &own->places[position].value;
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
	int32_t positions[BATCH];
	const void *copies[BATCH];
	unsigned int found = 0;

	for (unsigned int i = 0; i < BATCH; i++)
		copies[i] = keys[i];
	if (rte_hash_lookup_bulk(own->hash, copies, BATCH, positions))
		return 0;
	for (unsigned int i = 0; i < BATCH; i++) {
		if (positions[i] >= 0)
			__builtin_prefetch(own->places + positions[i]);
	}
	for (unsigned int i = 0; i < BATCH; i++) {
		if (positions[i] < 0)
			continue;
		seqvalue_read(&own->places[positions[i]].value, (uint64_t *)values + i * own->words,
			      own->words);
		found++;
	}
	return found;
}

const struct driver driver_dpdk = {
	.name = "rte_hash",
	.how = "DPDK, RW_CONCURRENCY_LF and EXT_TABLE, CRC hash; value in an array by position, a "
	       "sequence lock each; bulk look-up, then prefetch, then copies",
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
