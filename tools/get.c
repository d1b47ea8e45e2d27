// SPDX-License-Identifier: BSD-3-Clause
#include "command.h"
#include "format.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENTS_SHOWN 16

struct instances {
	const struct options *options;
	enum estate_type type;
	json_t *array;
};

/* A reducer that reduces nothing: it shows each instance's value. */
static int show_each(const struct estate_value *values, unsigned int count, void *out,
		     size_t out_size, size_t *out_length, void *arg)
{
	const struct instances *instances = arg;

	(void)out;
	(void)out_size;
	*out_length = 0;
	for (unsigned int i = 0; i < count; i++) {
		const struct estate_value *v = &values[i];
		char age[32];

		if (instances->options->json) {
			json_array_append_new(
				instances->array,
				json_pack("{s:s, s:o, s:I}", "instance", v->name, "value",
					  format_value_json(instances->type, v->data, v->length),
					  "stamp_ns", (json_int_t)estate_stamp_ns(v->stamp)));
			continue;
		}
		format_age(age, sizeof(age), v->stamp);
		printf("%-20s %8s  ", v->name, age);
		format_value(stdout, instances->type, v->data, v->length, ELEMENTS_SHOWN);
		putchar('\n');
	}
	return 0;
}

static void print_result(const struct options *options, const struct estate_table_info *info,
			 const unsigned char *key, size_t key_length, const void *value, int error,
			 const struct estate_answer *answer, json_t *array)
{
	char age[32];

	if (options->json) {
		format_print_json(json_pack(
			"{s:s, s:o, s:o, s:o, s:s, s:i, s:i, s:i, s:i}", "table", info->name, "key",
			format_bytes_json(key, key_length), "instances", json_incref(array),
			"value",
			error ? json_null()
			      : format_value_json(info->attr.value_type, value, answer->length),
			"merge", format_merge(info->attr.merge), "asked", (int)answer->asked,
			"answered", (int)answer->answered, "present", (int)answer->present, "stale",
			(int)answer->stale));
		return;
	}
	if (error) {
		printf("%-20s %8s  (%s)\n", format_merge(info->attr.merge), "", estate_errormsg());
		return;
	}
	format_age(age, sizeof(age), answer->newest);
	printf("%-20s %8s  ", format_merge(info->attr.merge), age);
	format_value(stdout, info->attr.value_type, value, answer->length, ELEMENTS_SHOWN);
	printf("\n%u of %u instances have it%s\n", answer->present, answer->asked,
	       answer->stale ? "; some of them are stale" : "");
}

int command_get(struct estate *es, const struct options *options, int argc, char **argv)
{
	struct estate_query query = ESTATE_QUERY_INIT;
	struct estate_answer answer = { 0 };
	struct estate_table_info info;
	struct instances instances = { .options = options, .array = json_array() };
	struct estate_table *table = command_table(es, argv[0], &info);
	unsigned char key[ESTATE_KEY_MAX] = { 0 };
	size_t key_length = format_parse_key(argv[1], key, info.attr.key_size);
	struct estate_view *view;
	void *value = malloc(ESTATE_VALUE_MAX);
	int error;

	(void)argc;
	if (!value)
		err(2, "get");
	if (estate_view_open(es, NULL, &view))
		errx(2, "%s", estate_errormsg());
	instances.type = info.attr.value_type;
	query.reduce = ESTATE_REDUCE_CALL;
	query.call = show_each;
	query.arg = &instances;
	query.deadline_us = options->deadline_us ? options->deadline_us : 1000000;
	error = estate_query_global(view, table, key, key_length, &query, value, 1, &answer);
	if (!error) {
		/* Once more, now reduced: it may have changed since, by a packet or two. */
		query.reduce = ESTATE_REDUCE_MERGE;
		error = estate_query_global(view, table, key, key_length, &query, value,
					    ESTATE_VALUE_MAX, &answer);
	}
	print_result(options, &info, key, key_length, value, error, &answer, instances.array);
	error = command_missing(&answer) || error;
	json_decref(instances.array);
	free(value);
	estate_view_close(view);
	return error != 0;
}
