// SPDX-License-Identifier: BSD-3-Clause
/*
 * An instance for the command's test: fills its tables with what NUMBER says,
 * prints "ready", and waits for a SIGTERM, or to be asked to leave.
 *
 * usage: tools-instance REGISTRY LISTEN NAME NUMBER TABLE...
 *
 * LISTEN may be "-". With TOOLS_POOL in the environment, it keeps all tables there; with TOOLS_DEAF,
 * it does not look whether it is asked to leave; with TOOLS_VIEW, it forgets to close a view. Tables are made up as tables[] says; "odd" is "flows" with
 * another geometry.
 */
#include <estate/estate.h>

#include <err.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *name;
	const char *table;
	enum estate_type type;
	size_t count;
	enum estate_merge merge;
	size_t capacity;
} tables[] = {
	{ "flows", "flows", ESTATE_U64, 2, ESTATE_MERGE_SUM, 100 },
	{ "odd", "flows", ESTATE_U64, 2, ESTATE_MERGE_SUM, 101 },
	{ "names", "names", ESTATE_OPAQUE, 64, ESTATE_MERGE_LATEST, 50 },
	{ "gauges", "gauges", ESTATE_F64, 3, ESTATE_MERGE_MAX, 50 },
	{ "deltas", "deltas", ESTATE_I64, 1, ESTATE_MERGE_MIN, 50 },
	{ "wide", "wide", ESTATE_U16, 300, ESTATE_MERGE_SUM, 10 },
	{ "empty", "empty", ESTATE_U8, 1, ESTATE_MERGE_OR, 1 },
};

static void put(struct estate_table *table, const char *key, size_t key_length, const void *value,
		size_t length)
{
	if (estate_put(table, key, key_length, value, length))
		errx(1, "%s", estate_errormsg());
}

static void fill(struct estate_table *table, const char *name, uint64_t number)
{
	const uint64_t flow[2] = { number, number * 10 };
	const uint64_t large[2] = { UINT64_C(1) << 62, 1 };
	const double gauges[3] = { (double)number, number == 1 ? NAN : 2.5, -0.125 };
	const int64_t delta = -(int64_t)number;
	uint16_t wide[300];
	char own[16];

	snprintf(own, sizeof(own), "only-%d", (int)number);
	if (!strcmp(name, "flows") || !strcmp(name, "odd")) {
		put(table, "web", 3, flow, sizeof(flow));
		put(table, own, strlen(own), flow, sizeof(flow));
		put(table, "\0\377\1", 3, flow, sizeof(flow));
		put(table, "large", 5, large, sizeof(large));
	} else if (!strcmp(name, "names")) {
		put(table, own, strlen(own), "a \"name\"", 8);
		put(table, "binary", 6, "\0\1\2", 3);
	} else if (!strcmp(name, "gauges")) {
		put(table, "g", 1, gauges, sizeof(gauges));
	} else if (!strcmp(name, "deltas")) {
		put(table, "d", 1, &delta, sizeof(delta));
	} else if (!strcmp(name, "wide")) {
		for (uint16_t i = 0; i < 300; i++)
			wide[i] = i;
		put(table, "w", 1, wide, sizeof(wide));
	}
}

static void make_table(struct estate *es, const char *name, uint64_t number)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
		struct estate_table *table;

		if (strcmp(tables[i].name, name) != 0)
			continue;
		attr.key_size = 16;
		attr.value_type = tables[i].type;
		attr.value_count = tables[i].count;
		attr.merge = tables[i].merge;
		attr.capacity = tables[i].capacity;
		if (getenv("TOOLS_POOL"))
			attr.durability = ESTATE_DURABILITY_BEFORE_RETURN;
		if (estate_table_open(es, tables[i].table, &attr, &table))
			errx(1, "%s", estate_errormsg());
		fill(table, name, number);
		return;
	}
	errx(1, "there is no table %s", name);
}

/* Until a SIGTERM, or until it has left: 1 then. */
static int wait_for_end(struct estate *es, const sigset_t *end)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct estate_leave_attr attr = ESTATE_LEAVE_ATTR_INIT;
	char to[ESTATE_NAME_MAX];

	attr.to = to;
	while (sigtimedwait(end, NULL, &pause) < 0) {
		if (getenv("TOOLS_DEAF") || !estate_leave_wanted(es, to))
			continue;
		if (!estate_leave(es, &attr))
			return 1;
		warnx("%s", estate_errormsg());
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate_view *view;
	struct estate *es;
	sigset_t end;

	if (argc < 5)
		errx(1, "usage: %s REGISTRY LISTEN NAME NUMBER TABLE...", argv[0]);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	attr.group = "test";
	attr.registry = argv[1];
	attr.listen = strcmp(argv[2], "-") ? argv[2] : NULL;
	attr.name = argv[3];
	attr.region_size = 4 << 20;
	attr.pool = getenv("TOOLS_POOL");
	attr.pool_size = 4 << 20;
	if (estate_open(&attr, &es))
		errx(1, "%s", estate_errormsg());
	for (int i = 5; i < argc; i++)
		make_table(es, argv[i], strtoull(argv[4], NULL, 10));
	if (getenv("TOOLS_VIEW") && estate_view_open(es, NULL, &view))
		errx(1, "%s", estate_errormsg());
	puts("ready");
	fflush(stdout);
	if (wait_for_end(es, &end))
		return 0;
	if (getenv("TOOLS_VIEW"))
		estate_view_close(view);
	return estate_close(es) != 0;
}
