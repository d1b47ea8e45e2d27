// SPDX-License-Identifier: BSD-3-Clause
/* Pools that no instance has open. */
#include "command.h"
#include "format.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* All tables of a pool. */
struct report {
	const struct options *options;
	unsigned int count;
	struct estate_pool_table table[ESTATE_TABLES_MAX];
};

static int keep_table(const struct estate_pool_table *table, void *arg)
{
	struct report *report = arg;

	report->table[report->count++] = *table;
	return 0;
}

static json_t *table_json(const struct estate_pool_table *table)
{
	const struct estate_table_attr *attr = &table->attr;

	return json_pack("{s:s, s:I, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "name", table->name, "key_size", (json_int_t)attr->key_size, "value_type",
			 format_type(attr->value_type), "value_count",
			 (json_int_t)attr->value_count, "merge", format_merge(attr->merge),
			 "durability", format_durability(attr->durability), "flush_ms",
			 (json_int_t)attr->flush_ms, "capacity", (json_int_t)attr->capacity,
			 "entries", (json_int_t)table->live, "deleted", (json_int_t)table->deleted,
			 "damaged", (json_int_t)table->damaged, "bytes", (json_int_t)table->bytes,
			 "missing", (json_int_t)table->missing);
}

static json_t *damage_json(unsigned int damage)
{
	static const char *const names[] = { "header", "life", "directory", "entries", "size" };
	json_t *array = json_array();

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (damage >> i & 1)
			json_array_append_new(array, json_string(names[i]));
	return array;
}

static void print_json(const char *path, const struct estate_pool_info *info,
		       const struct report *report)
{
	json_t *tables = json_array();
	char uuid[37];

	format_uuid(uuid, info->uuid);
	for (unsigned int i = 0; i < report->count; i++)
		json_array_append_new(tables, table_json(&report->table[i]));
	format_print_json(json_pack(
		"{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:o, "
		"s:o}",
		"path", path, "group", info->group, "name", info->name, "uuid", uuid, "epoch",
		(json_int_t)info->epoch, "size", (json_int_t)info->size, "found",
		(json_int_t)info->found, "used", (json_int_t)info->used, "closed", info->closed,
		"leaving", info->leaving, "handed_over", info->handed_over, "persistent_memory",
		info->real, "entries", (json_int_t)info->live, "damaged", (json_int_t)info->damaged,
		"tables_lost", (json_int_t)info->tables_lost, "damage", damage_json(info->damage),
		"tables", tables));
}

static void print_identity(const char *path, const struct estate_pool_info *info)
{
	char uuid[37];

	format_uuid(uuid, info->uuid);
	printf("%-10s %s, %s\n", "pool", path,
	       info->real ? "persistent memory" : "a file: writing it takes system calls");
	if (info->damage & ESTATE_POOL_HEADER)
		printf("%-10s not known\n", "instance");
	else
		printf("%-10s %s of group %s, %s\n", "instance", info->name, info->group, uuid);
	printf("%-10s %" PRIu64 ", %" PRIu64 " of them used\n", "bytes", info->size, info->used);
	printf("%-10s %s\n", "last life",
	       info->damage & ESTATE_POOL_LIFE ? "not known"
	       : info->handed_over	       ? "was handed over: nothing in here counts"
	       : info->leaving		       ? "ended while it was handed over"
	       : info->closed		       ? "ended in order"
					       : "did not end in order");
}

static void print_tables(const struct report *report)
{
	printf("%-20s %5s %12s %-13s %12s %12s %10s\n", "TABLE", "KEY", "VALUE", "DURABILITY",
	       "CAPACITY", "ENTRIES", "DAMAGED");
	for (unsigned int i = 0; i < report->count; i++) {
		const struct estate_pool_table *t = &report->table[i];
		char value[32];

		snprintf(value, sizeof(value), "%zu %s", t->attr.value_count,
			 format_type(t->attr.value_type));
		printf("%-20s %5zu %12s %-13s %12zu %12" PRIu64 " %10" PRIu64 "\n", t->name,
		       t->attr.key_size, value, format_durability(t->attr.durability),
		       t->attr.capacity, t->live, t->damaged);
	}
	if (!report->count)
		printf("(no tables)\n");
}

/* On standard error, a line for each kind. */
static void complain(const char *path, const struct estate_pool_info *info,
		     const struct report *report)
{
	if (info->damage & ESTATE_POOL_HEADER)
		warnx("pool %s: its header is damaged, and does not tell whose it is", path);
	if (info->damage & ESTATE_POOL_LIFE)
		warnx("pool %s: what it says of its last life is damaged", path);
	if (info->damage & ESTATE_POOL_SIZE)
		warnx("pool %s: it has %" PRIu64 " bytes and was made with %" PRIu64, path,
		      info->found, info->size);
	if (info->tables_lost)
		warnx("pool %s: %u entries of its table directory are damaged: these tables are "
		      "lost",
		      path, info->tables_lost);
	for (unsigned int i = 0; i < report->count; i++) {
		const struct estate_pool_table *t = &report->table[i];

		if (t->damaged)
			warnx("table %s: %" PRIu64 " entries are damaged", t->name, t->damaged);
		if (t->missing)
			warnx("table %s: %" PRIu64 " of its %" PRIu64
			      " bytes are beyond the end of the pool",
			      t->name, t->missing, t->bytes);
	}
}

static void check(const char *path, struct estate_pool_info *info, struct report *report)
{
	if (estate_pool_check(path, keep_table, report, info))
		errx(2, "%s", estate_errormsg());
}

static int show(const char *path, struct report *report)
{
	struct estate_pool_info info;

	check(path, &info, report);
	if (report->options->json) {
		print_json(path, &info, report);
	} else {
		print_identity(path, &info);
		print_tables(report);
	}
	complain(path, &info, report);
	return 0;
}

static int verify(const char *path, struct report *report)
{
	struct estate_pool_info info;

	check(path, &info, report);
	if (report->options->json)
		print_json(path, &info, report);
	else if (info.damage)
		printf("%s: damaged; %" PRIu64 " entries in %u tables verify\n", path, info.live,
		       info.tables);
	else
		printf("%s: all of it verifies: %" PRIu64 " entries in %u tables\n", path,
		       info.live, info.tables);
	complain(path, &info, report);
	return info.damage != 0;
}

static int recover(const char *from, const char *to, struct report *report)
{
	struct estate_salvage_attr attr = ESTATE_SALVAGE_ATTR_INIT;
	struct estate_pool_info info;

	attr.pool_size = report->options->size;
	/* The group may come from the environment, and is no statement about the pool then. */
	attr.name = report->options->name;
	attr.group = attr.name ? report->options->group : NULL;
	if (estate_pool_salvage(from, to, &attr, keep_table, report, &info))
		errx(2, "%s", estate_errormsg());
	if (report->options->json)
		print_json(from, &info, report);
	else
		printf("%s: %" PRIu64 " entries in %u tables, of %s\n", to, info.live, info.tables,
		       from);
	complain(from, &info, report);
	return info.damage != 0;
}

static int adopt(const char *path, const struct options *options)
{
	struct estate_adopt_attr attr = ESTATE_ADOPT_ATTR_INIT;

	attr.registry = options->registry;
	attr.to = options->name;
	attr.dead = options->dead;
	attr.deadline_ms = options->timeout * 1000;
	if (estate_adopt(path, &attr))
		errx(2, "%s", estate_errormsg());
	printf("%s: handed over\n", path);
	return 0;
}

int command_pool(struct estate *es, const struct options *options, int argc, char **argv)
{
	const char *what = argv[0];
	int both = !strcmp(what, "recover");
	struct report *report = calloc(1, sizeof(*report));
	int status;

	(void)es;
	if (!report)
		err(2, "pool");
	report->options = options;
	if (!both && strcmp(what, "info") != 0 && strcmp(what, "verify") != 0 &&
	    strcmp(what, "adopt") != 0)
		errx(2, "no command \"pool %s\": try estate --help", what);
	if (argc != (both ? 3 : 2))
		errx(2, "pool %s takes %s: try estate --help", what,
		     both ? "two paths" : "one path");
	if (both)
		status = recover(argv[1], argv[2], report);
	else if (!strcmp(what, "adopt"))
		status = adopt(argv[1], options);
	else if (!strcmp(what, "info"))
		status = show(argv[1], report);
	else
		status = verify(argv[1], report);
	free(report);
	return status;
}
