// SPDX-License-Identifier: BSD-3-Clause
#include "command.h"
#include "format.h"

#include <err.h>

#define ELEMENTS_SHOWN 8

struct dump {
	const struct options *options;
	enum estate_type type;
	unsigned long entries;
};

static int show(const void *key, size_t key_length, const void *value, size_t value_length,
		unsigned int present, uint64_t newest, void *arg)
{
	struct dump *dump = arg;

	dump->entries++;
	if (dump->options->json) {
		/* One object a line: a table may be longer than a reader's memory. */
		format_print_json(json_pack(
			"{s:o, s:o, s:i, s:I}", "key", format_bytes_json(key, key_length), "value",
			format_value_json(dump->type, value, value_length), "present", (int)present,
			"stamp_ns", (json_int_t)estate_stamp_ns(newest)));
		return 0;
	}
	format_bytes(stdout, key, key_length);
	putchar('\t');
	format_value(stdout, dump->type, value, value_length, ELEMENTS_SHOWN);
	printf("\t%u\n", present);
	return 0;
}

int command_dump(struct estate *es, const struct options *options, int argc, char **argv)
{
	struct estate_answer answer = { 0 };
	struct estate_table_info info;
	struct estate_table *table = command_table(es, argv[0], &info);
	struct dump dump = { .options = options, .type = info.attr.value_type };
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_view *view;

	(void)argc;
	query.deadline_us = options->deadline_us;
	if (estate_view_open(es, NULL, &view) ||
	    estate_scan_global(view, table, &query, show, &dump, &answer))
		errx(2, "%s", estate_errormsg());
	if (command_missing(&answer))
		dump.entries = 0;
	estate_view_close(view);
	return dump.entries == 0;
}
