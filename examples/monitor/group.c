/* SPDX-License-Identifier: BSD-3-Clause */
#include "group.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reducer that also remembers what it was given. */
static int reduce_group(const struct estate_value *values, unsigned int count, void *out,
			size_t out_size, size_t *out_length, void *arg)
{
	uint64_t sum[sizeof(struct totals) / sizeof(uint64_t)] = { 0 };
	uint64_t numbers[sizeof(struct totals) / sizeof(uint64_t)];
	struct group *group = arg;

	if (out_size < sizeof(sum))
		return -EMSGSIZE;
	group->count = 0;
	for (unsigned int i = 0; i < count; i++) {
		struct group_instance *instance = &group->instances[group->count];

		if (values[i].length != sizeof(numbers))
			return -EPROTO;
		memcpy(numbers, values[i].data, sizeof(numbers));
		for (size_t j = 0; j < sizeof(numbers) / sizeof(*numbers); j++)
			sum[j] += numbers[j];
		if (group->count == GROUP_INSTANCES_MAX)
			continue;
		snprintf(instance->name, sizeof(instance->name), "%s", values[i].name);
		memcpy(&instance->totals, numbers, sizeof(numbers));
		group->count++;
	}
	memcpy(out, sum, sizeof(sum));
	*out_length = sizeof(sum);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct group_instance *one = a;
	const struct group_instance *other = b;

	return strcmp(one->name, other->name);
}

int group_read(struct group *group, const struct counters *counters, struct estate_view *view)
{
	struct estate_query query = ESTATE_QUERY_INIT;
	int error;

	query.reduce = ESTATE_REDUCE_CALL;
	query.call = reduce_group;
	query.arg = group;
	error = estate_query_global(view, counters->tables[COUNTERS_TOTALS], TOTALS_KEY,
				    sizeof(TOTALS_KEY) - 1, &query, &group->totals,
				    sizeof(group->totals), &group->answer);
	if (error == -ENOENT || error == -EHOSTDOWN) {
		group->totals = (struct totals){ .packets = 0 };
		group->count = 0;
		return 0;
	}
	if (!error)
		qsort(group->instances, group->count, sizeof(group->instances[0]), by_name);
	return error;
}
