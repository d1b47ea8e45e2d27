// SPDX-License-Identifier: BSD-3-Clause
/*
 * What estate itself does for a global read: READs, counted here, and
 * instructions, counted by callgrind while the functions counted_... run, those
 * of the transport left out. bench/rdma/count runs it.
 */
#include "fake_transport.h"
#include "tables.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE 64
#define OWNERS_MAX 8
#define WARM_KEYS 256
#define READS_MAX 5

struct reading_view {
	struct estate_view *view;
	struct estate_table *table;
	unsigned int owners;
};

static struct estate *owner(unsigned int number, size_t entries)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate_table_attr table;
	char name[32], listen[32], registry[64];
	struct estate *es;

	snprintf(name, sizeof(name), "owner-%u", number);
	snprintf(listen, sizeof(listen), "verbs:127.0.0.1:%u", 1000 + number);
	snprintf(registry, sizeof(registry), "static:%s", listen);
	tables_attributes(&table, VALUE, entries);
	attr.group = "bench";
	attr.name = name;
	attr.listen = listen;
	attr.registry = registry;
	attr.region_size = estate_table_bytes(&table) + 65536;
	if (estate_open(&attr, &es) || !tables_open(es, VALUE, entries, 1))
		errx(1, "%s", estate_errormsg());
	return es;
}

static struct estate *observer(unsigned int owners)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char registry[OWNERS_MAX * 32] = "static:";
	struct estate *es;

	for (unsigned int i = 0; i < owners; i++)
		sprintf(registry + strlen(registry), "%sverbs:127.0.0.1:%u", i ? "," : "",
			1000 + i);
	attr.group = "bench";
	attr.registry = registry;
	attr.flags = ESTATE_OBSERVER;
	if (estate_open(&attr, &es))
		errx(1, "%s", estate_errormsg());
	return es;
}

/* The one call between whose beginning and end instructions count. */
static __attribute__((noinline)) int call(const struct reading_view *view,
					  const struct tables_key *key, uint64_t *value,
					  struct estate_answer *answer)
{
	return estate_get_global(view->view, view->table, key, sizeof(*key), value, VALUE, answer);
}

static __attribute__((noinline)) int counted_warm(const struct reading_view *view,
						  const struct tables_key *key, uint64_t *value,
						  struct estate_answer *answer)
{
	int error = call(view, key, value, answer);

	/* Not a tail call, so that callgrind sees where it ends. */
	__asm__ volatile("" : "+r"(error));
	return error;
}

static __attribute__((noinline)) int counted_cold(const struct reading_view *view,
						  const struct tables_key *key, uint64_t *value,
						  struct estate_answer *answer)
{
	int error = call(view, key, value, answer);

	__asm__ volatile("" : "+r"(error));
	return error;
}

typedef int get_function(const struct reading_view *view, const struct tables_key *key,
			 uint64_t *value, struct estate_answer *answer);

/* How many READs it took. */
static unsigned int get(const struct reading_view *view, uint64_t number, get_function *function)
{
	struct tables_key key = tables_key(number);
	struct estate_answer answer = { 0 };
	uint64_t value[VALUE / 8];
	uint64_t before = fake_reads();

	if (function(view, &key, value, &answer) || answer.present != view->owners ||
	    !tables_right(value, VALUE, number, view->owners))
		errx(1, "key %ju: wrong", (uintmax_t)number);
	return (unsigned int)(fake_reads() - before);
}

/* A single owner's key is read by so many READs: shares of all keys. */
static void count_reads(const struct reading_view *view, size_t entries)
{
	size_t taken[READS_MAX + 1] = { 0 };

	for (uint64_t number = 1; number < entries; number++) {
		unsigned int reads = get(view, number, counted_cold);

		taken[reads < READS_MAX ? reads : READS_MAX]++;
	}
	for (unsigned int i = 1; i <= READS_MAX; i++)
		printf("%u%s READ%s: %.3f %% of %zu keys\n", i, i == READS_MAX ? " or more" : "",
		       i > 1 ? "s" : "", 100.0 * (double)taken[i] / (double)(entries - 1),
		       entries - 1);
}

int main(int argc, char **argv)
{
	unsigned int owners = argc > 1 ? (unsigned int)atoi(argv[1]) : 1;
	size_t entries = argc > 2 ? (size_t)atol(argv[2]) : 100000;
	size_t gets = argc > 3 ? (size_t)atol(argv[3]) : 10000;
	struct reading_view view = { .owners = owners };
	struct estate *all[OWNERS_MAX + 1];
	struct tables_walk walk;

	if (owners < 1 || owners > OWNERS_MAX || entries < WARM_KEYS)
		errx(2, "usage: bench-instructions [OWNERS [ENTRIES [GETS]]]");
	for (unsigned int i = 0; i < owners; i++)
		all[i] = owner(i, entries);
	all[owners] = observer(owners);
	view.table = tables_open(all[owners], VALUE, entries, 0);
	if (!view.table || estate_view_open(all[owners], NULL, &view.view))
		errx(1, "%s", estate_errormsg());
	/* The table is found. */
	get(&view, 0, call);
	if (gets >= entries)
		count_reads(&view, entries);
	tables_walk_begin(&walk, entries);
	for (size_t i = 0; gets < entries && i < gets; i++)
		get(&view, tables_walk_next(&walk), counted_cold);
	tables_walk_begin(&walk, WARM_KEYS);
	for (size_t i = 0; i < WARM_KEYS; i++)
		get(&view, tables_walk_next(&walk), call);
	for (size_t i = 0; i < gets; i++)
		get(&view, tables_walk_next(&walk), counted_warm);
	estate_view_close(view.view);
	for (unsigned int i = owners + 1; i-- > 0;)
		estate_close(all[i]);
	return 0;
}
