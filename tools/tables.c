// SPDX-License-Identifier: BSD-3-Clause
#include "command.h"
#include "format.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>

static json_t *to_json(const struct estate_table_info *table)
{
	const struct estate_table_attr *attr = &table->attr;

	return json_pack("{s:s, s:I, s:s, s:I, s:s, s:I, s:I, s:i, s:i, s:I}", "name", table->name,
			 "key_size", (json_int_t)attr->key_size, "value_type",
			 format_type(attr->value_type), "value_count",
			 (json_int_t)attr->value_count, "merge", format_merge(attr->merge),
			 "capacity", (json_int_t)attr->capacity, "entries",
			 (json_int_t)table->entries, "members", (int)table->members, "odd",
			 (int)table->odd, "bytes", (json_int_t)estate_table_bytes(attr));
}

int command_tables(struct estate *es, const struct options *options, int argc, char **argv)
{
	int room = estate_tables(es, NULL, 0) + 16;
	struct estate_table_info *tables = calloc((size_t)room, sizeof(*tables));
	json_t *array = json_array();
	int odd = 0;
	int count;

	(void)argc;
	(void)argv;
	if (!tables)
		err(2, "tables");
	count = estate_tables(es, tables, (unsigned int)room);
	if (count < 0)
		errx(2, "%s", estate_errormsg());
	if (count > room)
		count = room;
	if (!options->json)
		printf("%-20s %5s %12s %-7s %12s %12s %8s\n", "TABLE", "KEY", "VALUE", "MERGE",
		       "CAPACITY", "ENTRIES", "MEMBERS");
	for (int i = 0; i < count; i++) {
		const struct estate_table_info *t = &tables[i];
		char value[32];

		odd |= t->odd > 0;
		if (options->json) {
			json_array_append_new(array, to_json(t));
			continue;
		}
		snprintf(value, sizeof(value), "%zu %s", t->attr.value_count,
			 format_type(t->attr.value_type));
		printf("%-20s %5zu %12s %-7s %12zu %12" PRIu64 " %8u\n", t->name, t->attr.key_size,
		       value, format_merge(t->attr.merge), t->attr.capacity, t->entries,
		       t->members);
		if (t->odd)
			warnx("%u members have a table %s of another geometry: their entries are "
			      "in no global view of it",
			      t->odd, t->name);
	}
	if (options->json)
		format_print_json(json_incref(array));
	else if (!count)
		printf("(none)\n");
	json_decref(array);
	free(tables);
	return odd || !count;
}
