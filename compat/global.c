// SPDX-License-Identifier: BSD-3-Clause
/* The global view: reduce what all instances have. */
#include "collect.h"
#include "complain.h"
#include "estatepp.h"
#include "keep.h"
#include "number.h"

#include <stdlib.h>

static const char none[] = "ES_NONE";

enum {
	REDUCE_SUM = 1,
	REDUCE_AVERAGE = 2,
};

/*
 * No lock is held in @reduce, so that it may call the library; and the items
 * are put on the shelf after it, so that its own calls cannot push them off.
 */
const char *es_get_global(const char *key, char *(*reduce)(state_item_t *, int))
{
	state_item_t *items;
	const char *result;
	int count;

	if (!reduce) {
		complain("es_get_global", "the reduce function is NULL");
		return none;
	}
	count = collect("es_get_global", key, &items);
	if (!count)
		return none;
	result = reduce(items, count);
	return keep(items) ? none : result;
}

static const char *latest(const state_item_t *items, int count)
{
	const state_item_t *newest = items;

	for (int i = 1; i < count; i++) {
		if (items[i].timestamp >= newest->timestamp)
			newest = items + i;
	}
	return newest->data;
}

const char *es_get_global_predefined_reduce(const char *key, int reduce_id)
{
	struct number_sum sum = NUMBER_SUM_INIT;
	char text[NUMBER_MAX];
	state_item_t *items;
	const char *result;
	int count;

	count = collect("es_get_global_predefined_reduce", key, &items);
	if (!count)
		return none;
	if (reduce_id != REDUCE_SUM && reduce_id != REDUCE_AVERAGE) {
		result = latest(items, count);
		return keep(items) ? none : result;
	}

	for (int i = 0; i < count; i++)
		number_add(&sum, items[i].data);
	free(items);
	if (reduce_id == REDUCE_SUM)
		number_print_sum(&sum, text);
	else
		number_print_average(&sum, text);
	result = keep_string(text);
	return result ? result : none;
}

int es_missing(void)
{
	return *keep_missing();
}

void es_register_get_global_callback(void (*callback)(unsigned long id, const char *key))
{
	(void)callback;
}

const char *testpp(void)
{
	return "abcd";
}
