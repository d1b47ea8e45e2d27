// SPDX-License-Identifier: BSD-3-Clause
/*
 * A program as written for the prototype: it knows estatepp.h and nothing
 * else of estate. One instance, told on stdin what to do:
 *
 *	node IP PORT [PEERS]
 *
 *	set KEY VALUE | get KEY | del KEY | global KEY latest|sum|avg|join|count
 *	missing | close
 *
 * Every command is answered by one line.
 */
#include <estatepp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All values with their instances, sorted so that the line is the same everywhere. */
static int by_identifier(const void *a, const void *b)
{
	return strcmp(((const state_item_t *)a)->node_identifier,
		      ((const state_item_t *)b)->node_identifier);
}

static char *reduce_join(state_item_t *items, int length)
{
	static char joined[4096];
	size_t used = 0;

	qsort(items, (size_t)length, sizeof(*items), by_identifier);
	joined[0] = 0;
	for (int i = 0; i < length && used < sizeof(joined); i++)
		used += (size_t)snprintf(joined + used, sizeof(joined) - used, "%s%s=%s",
					 i ? "," : "", items[i].node_identifier, items[i].data);
	return joined;
}

static char *reduce_count(state_item_t *items, int length)
{
	static char count[16];

	(void)items;
	snprintf(count, sizeof(count), "%d", length);
	return count;
}

static const char *get_global(const char *key, const char *how)
{
	if (!strcmp(how, "sum"))
		return es_get_global_predefined_reduce(key, 1);
	if (!strcmp(how, "avg"))
		return es_get_global_predefined_reduce(key, 2);
	if (!strcmp(how, "join"))
		return es_get_global(key, reduce_join);
	if (!strcmp(how, "count"))
		return es_get_global(key, reduce_count);
	return es_get_global_predefined_reduce(key, 0);
}

static const char *run(const char *command, const char *key, const char *value)
{
	static char number[16];

	if (!strcmp(command, "set")) {
		es_set(key, value);
		return "OK";
	}
	if (!strcmp(command, "get"))
		return es_get(key);
	if (!strcmp(command, "del")) {
		es_del(key);
		return "OK";
	}
	if (!strcmp(command, "global"))
		return get_global(key, value);
	if (!strcmp(command, "missing")) {
		snprintf(number, sizeof(number), "%d", es_missing());
		return number;
	}
	if (!strcmp(command, "close")) {
		es_close();
		return "OK";
	}
	return "unknown command";
}

static void on_global(unsigned long id, const char *key)
{
	(void)id;
	(void)key;
}

int main(int argc, char **argv)
{
	char line[8192];

	if (argc < 3) {
		fprintf(stderr, "usage: node IP PORT [PEERS]\n");
		return 2;
	}
	if (argc > 3)
		es_init_with_peers(argv[1], atoi(argv[2]), argv[3]);
	else
		es_init(argv[1], atoi(argv[2]));
	es_register_get_global_callback(on_global);

	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		char *rest = line;
		const char *command = strsep(&rest, " \n");
		const char *key = rest ? strsep(&rest, " \n") : "";
		const char *value = rest ? strsep(&rest, "\n") : "";

		puts(run(command, key, value ? value : ""));
	}
	es_close();
	return 0;
}
