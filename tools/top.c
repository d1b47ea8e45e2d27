// SPDX-License-Identifier: BSD-3-Clause
#include "command.h"
#include "format.h"

#include <err.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VALUE_SHOWN 64 /* bytes of a value that are kept */

struct row {
	double size;
	size_t key_length;
	size_t value_length;
	unsigned int present;
	unsigned char key[ESTATE_KEY_MAX];
	unsigned char value[VALUE_SHOWN];
};

/* The largest rows so far: a heap with the smallest of them on top. */
struct top {
	const struct options *options;
	enum estate_type type;
	struct row *rows;
	unsigned int count;
	uint64_t entries;
};

static void sift_down(struct top *top, unsigned int i)
{
	for (;;) {
		unsigned int least = i;

		for (unsigned int child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < top->count && top->rows[child].size < top->rows[least].size)
				least = child;
		if (least == i)
			return;
		struct row swap = top->rows[i];
		top->rows[i] = top->rows[least];
		top->rows[least] = swap;
		i = least;
	}
}

static void sift_up(struct top *top, unsigned int i)
{
	while (i && top->rows[i].size < top->rows[(i - 1) / 2].size) {
		struct row swap = top->rows[i];

		top->rows[i] = top->rows[(i - 1) / 2];
		top->rows[(i - 1) / 2] = swap;
		i = (i - 1) / 2;
	}
}

static int take(const void *key, size_t key_length, const void *value, size_t value_length,
		unsigned int present, uint64_t newest, void *arg)
{
	struct top *top = arg;
	struct row row = { .size = format_element(top->type, value, value_length,
						  top->options->field),
			   .key_length = key_length,
			   .value_length = value_length < VALUE_SHOWN ? value_length : VALUE_SHOWN,
			   .present = present };

	(void)newest;
	top->entries++;
	memcpy(row.key, key, key_length);
	memcpy(row.value, value, row.value_length);
	if (top->count < top->options->rows) {
		top->rows[top->count] = row;
		sift_up(top, top->count++);
	} else if (row.size > top->rows[0].size) {
		top->rows[0] = row;
		sift_down(top, 0);
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	double left = ((const struct row *)a)->size;
	double right = ((const struct row *)b)->size;

	return (left < right) - (left > right);
}

static void print_json(const struct top *top, const struct estate_answer *answer)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < top->count; i++) {
		const struct row *row = &top->rows[i];

		json_array_append_new(
			array,
			json_pack("{s:o, s:o, s:i}", "key",
				  format_bytes_json(row->key, row->key_length), "value",
				  format_value_json(top->type, row->value, row->value_length),
				  "present", (int)row->present));
	}
	format_print_json(json_pack("{s:o, s:I, s:i, s:i}", "top", array, "entries",
				    (json_int_t)top->entries, "asked", (int)answer->asked,
				    "answered", (int)answer->answered));
}

static void print_text(const struct top *top, const char *name, const struct estate_answer *answer)
{
	/* On a terminal, over what was there. */
	if (isatty(STDOUT_FILENO) && !top->options->once)
		fputs("\033[H\033[2J", stdout);
	printf("%s: %" PRIu64 " keys over %u of %u instances, by element %u\n", name, top->entries,
	       answer->answered, answer->asked, top->options->field);
	for (unsigned int i = 0; i < top->count; i++) {
		const struct row *row = &top->rows[i];

		printf("%5u  ", i + 1);
		format_value(stdout, top->type, row->value, row->value_length, 8);
		printf("\t%u\t", row->present);
		format_bytes(stdout, row->key, row->key_length);
		putchar('\n');
	}
	fflush(stdout);
}

int command_top(struct estate *es, const struct options *options, int argc, char **argv)
{
	const struct timespec pause = {
		.tv_sec = (time_t)options->interval,
		.tv_nsec = (long)(fmod(options->interval, 1) * 1e9),
	};
	struct estate_table_info info;
	struct estate_table *table = command_table(es, argv[0], &info);
	struct top top = { .options = options, .type = info.attr.value_type };
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer;
	struct estate_view *view;
	int missing;

	(void)argc;
	if (top.type == ESTATE_OPAQUE)
		errx(2, "table %s has opaque values, which cannot be sorted", info.name);
	if (options->field >= info.attr.value_count)
		errx(2, "table %s has %zu elements per value: no element %u", info.name,
		     info.attr.value_count, options->field);
	top.rows = calloc(options->rows, sizeof(*top.rows));
	if (!top.rows)
		err(2, "top");
	query.deadline_us = options->deadline_us;
	if (estate_view_open(es, NULL, &view))
		errx(2, "%s", estate_errormsg());
	do {
		top.count = 0;
		top.entries = 0;
		if (estate_scan_global(view, table, &query, take, &top, &answer))
			errx(2, "%s", estate_errormsg());
		qsort(top.rows, top.count, sizeof(*top.rows), compare);
		if (options->json)
			print_json(&top, &answer);
		else
			print_text(&top, info.name, &answer);
		missing = command_missing(&answer);
	} while (!options->once && !nanosleep(&pause, NULL));
	free(top.rows);
	estate_view_close(view);
	return missing || !top.entries;
}
