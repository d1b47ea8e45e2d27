// SPDX-License-Identifier: BSD-3-Clause
#include "result.h"

#include "error.h"

#include <errno.h>

/* No value: -ENOENT, or -EHOSTDOWN with a sentence. */
static int explain(const struct request *request, const struct estate_answer *answer)
{
	if (!answer->missing)
		return error_literal(-ENOENT, "no instance has the key");
	return error_set(-EHOSTDOWN,
			 "table %s: %u of %u instances do not have the key, %s and %u more did "
			 "not answer: look at the answer's who",
			 request->query.table->name, answer->answered, answer->asked,
			 answer->who[0].name, answer->missing - 1);
}

int result_reduce(struct estate_view *view, const struct request *request,
		  const struct reading *readings, void *out, size_t *length)
{
	const struct roster *roster = request->lineup->roster;
	struct reduction reduction;

	reduction_start(&reduction, &request->query.reducer, &view->room);
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		if (likely(!readings[i].error))
			reduction_add(&reduction, readings[i].value, readings[i].length,
				      readings[i].stamp, entry->name, entry->uuid, entry->epoch);
	}
	return reduction_finish(&reduction, out, request->out_size, length);
}

int result_make(struct estate_view *view, struct request *request, const struct reading *readings,
		void *out, struct estate_answer *answer)
{
	const struct roster *roster = request->lineup->roster;
	struct estate_missing *who = request->missing + request->missing_count;
	struct estate_answer result = { .asked = roster->count, .who = who };
	int error;

	for (unsigned int i = 0; i < roster->count; i++) {
		const struct roster_entry *entry = &roster->entries[i];
		uint64_t stamp = readings[i].stamp;

		if (readings[i].error && readings[i].error != -ENOENT) {
			who[result.missing++] = (struct estate_missing){ entry->name, entry->uuid,
									 readings[i].error };
			continue;
		}
		result.answered++;
		result.stale += (unsigned int)view_stale(entry);
		if (readings[i].error)
			continue;
		if (!result.present || stamp < result.oldest)
			result.oldest = stamp;
		if (stamp > result.newest)
			result.newest = stamp;
		result.present++;
	}
	request->missing_count += result.missing;
	if (result.present) {
		clock_observe(&view->es->clock, result.newest);
		error = result_reduce(view, request, readings, out, &result.length);
		if (error)
			return error;
	} else {
		error = explain(request, &result);
	}
	if (answer)
		*answer = result;
	return error;
}
