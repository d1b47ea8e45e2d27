// SPDX-License-Identifier: BSD-3-Clause
#include "reach.h"

#include "error.h"
#include "gather.h"
#include "stripe.h"
#include "view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* READs end, well or not, long before. */
#define READ_US 1000000

struct reach {
	struct estate_view *view;
	struct stripes *stripes;
	const struct estate_table *table; /* that is being read; NULL: none */
	uint64_t offset; /* of it, in the leaver's region */
	unsigned int instance; /* the leaver, in the lineup */
};

int reach_open(struct estate *es, struct reach **result)
{
	struct reach *reach = calloc(1, sizeof(*reach));
	int error;

	if (!reach)
		return error_set(-ENOMEM, "no memory to take an instance over");
	error = view_make(es, NULL, &reach->view);
	if (error) {
		free(reach);
		return error;
	}
	*result = reach;
	return 0;
}

void reach_close(struct reach *reach)
{
	if (!reach)
		return;
	view_free(reach->view);
	free(reach);
}

static int find(const struct lineup *lineup, const struct roster_entry *leaver, unsigned int *found)
{
	for (unsigned int i = 0; i < lineup->roster->count; i++) {
		const struct roster_entry *entry = &lineup->roster->entries[i];

		if (!lineup_is_far(entry) || !lineup->endpoints || !lineup->endpoints[i] ||
		    entry->epoch != leaver->epoch ||
		    memcmp(entry->uuid, leaver->uuid, sizeof(entry->uuid)))
			continue;
		*found = i;
		return 1;
	}
	return 0;
}

static int begin(struct reach *reach, const struct roster_entry *leaver, struct estate_table *table,
		 const struct region_table *place, uint64_t home)
{
	struct request *request = &reach->view->scan;
	struct view_place *known;
	int error = view_begin(reach->view, table, NULL, 1, table->geometry.value_size, request);

	if (error)
		return error;
	if (!find(request->lineup, leaver, &reach->instance))
		return error_set(-EHOSTDOWN, "%s is not connected", leaver->name);
	/* Of the leaver alone it is known where the table is: nobody else's is read. */
	known = &request->lineup->places[table->number][reach->instance];
	known->state = 0;
	known->far = (struct far_table){ &table->geometry, place->offset, place->salt };
	request->query.deadline_us = pace_us(&reach->view->pace) + READ_US;
	reach->stripes = stripes_begin(reach->view, request, home);
	if (!reach->stripes)
		return -ENOMEM;
	reach->table = table;
	reach->offset = place->offset;
	return 0;
}

int reach_begin(struct reach *reach, const struct roster_entry *leaver, struct estate_table *table,
		const struct region_table *place, uint64_t home)
{
	struct estate_view *view = reach->view;
	int error = 0;

	view_enter(view);
	if (reach->table != table || reach->offset != place->offset ||
	    !view_is_current(view, view->lineup)) {
		reach->table = NULL;
		error = begin(reach, leaver, table, place, home);
	}
	if (error)
		view_exit(view);
	return error;
}

void reach_rest(struct reach *reach)
{
	view_exit(reach->view);
}

struct remote_source reach_home(struct reach *reach, uint64_t home, int *error)
{
	reach->view->scan.query.deadline_us = pace_us(&reach->view->pace) + READ_US;
	return stripes_source(reach->stripes, reach->instance, home, error);
}

int reach_extent(struct reach *reach, uint64_t block, uint32_t length, unsigned char *value)
{
	return stripes_extent(reach->stripes, reach->instance, block, length, value);
}

int reach_is_busy(struct reach *reach)
{
	int busy;

	/* Whatever was there is of the connections of before. */
	reach->table = NULL;
	view_enter(reach->view);
	if (reach->view->io)
		gather_progress(reach->view);
	busy = stripes_busy(reach->view);
	view_exit(reach->view);
	return busy;
}
