// SPDX-License-Identifier: BSD-3-Clause
#include "asker.h"
#include "instances.h"

#include <stdio.h>
#include <time.h>

static struct estate *estate;
static struct estate_table *table;
static struct estate_view *view;

static int open_view(const struct group *group)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct estate_table_attr attr;
	struct estate_answer answer;
	uint64_t totals[COUNTERS];

	bench_attributes(&attr, group->entries, DRIVER_COUNTERS);
	estate = bench_observer();
	if (!estate)
		return -1;
	if (estate_table_open(estate, "bench", &attr, &table) ||
	    estate_view_open(estate, NULL, &view)) {
		fprintf(stderr, "%s\n", estate_errormsg());
		return -1;
	}
	for (int i = 0; i < 10000; i++) {
		estate_get_global(view, table, "nobody's key....", KEY_BYTES, totals,
				  sizeof(totals), &answer);
		if (answer.answered == OWNERS)
			return 0;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "%u of %u owners can be read\n", answer.answered, OWNERS);
	return -1;
}

static void close_view(void)
{
	estate_view_close(view);
	estate_close(estate);
}

static int ask(const void *key, uint64_t totals[COUNTERS])
{
	struct estate_answer answer;

	if (estate_get_global(view, table, key, KEY_BYTES, totals, COUNTERS * sizeof(*totals),
			      &answer))
		return -1;
	return answer.present == OWNERS ? 0 : -1;
}

static int ask_batch(const void *const *keys, uint64_t totals[BATCH][COUNTERS])
{
	struct estate_answer answers[BATCH];
	int status[BATCH];

	if (estate_query_batch(view, table, BATCH, keys, KEY_BYTES, NULL, totals, sizeof(totals[0]),
			       status, answers) != BATCH)
		return -1;
	for (unsigned int i = 0; i < BATCH; i++) {
		if (answers[i].present != OWNERS)
			return -1;
	}
	return 0;
}

const struct asker asker_estate = {
	.name = "estate",
	.how = "an observer's estate_get_global over the shm transport",
	.chunk = 1024,
	.pinned = 1,
	.open = open_view,
	.close = close_view,
	.ask = ask,
	.ask_batch = ask_batch,
};
