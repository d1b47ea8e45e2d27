/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes of a key's readings when all are there: a value, and who gave it. */
#ifndef RESULT_H
#define RESULT_H

#include "view.h"

#include <errno.h>

/* Reduce the values of several instances, or by what is not plain. 0, or why there is no result. */
int result_reduce(struct estate_view *view, const struct request *request,
		  const struct reading *readings, void *out, size_t *length);

/* Of any readings; returns the key's status. @answer: NULL, nobody wants it. */
int result_make(struct estate_view *view, struct request *request, const struct reading *readings,
		void *out, struct estate_answer *answer);

/* The same if every reading has a value, and there is one at least. */
static inline int result_of_all(struct estate_view *view, const struct request *request,
				const struct reading *readings, unsigned int count, void *out,
				struct estate_answer *answer)
{
	const struct roster_entry *entries = request->lineup->roster->entries;
	unsigned int stale = (unsigned int)view_stale(entries);
	uint64_t oldest = readings->stamp;
	uint64_t newest = oldest;
	size_t length = readings->length;

	for (unsigned int i = 1; i < count; i++) {
		oldest = readings[i].stamp < oldest ? readings[i].stamp : oldest;
		newest = readings[i].stamp > newest ? readings[i].stamp : newest;
		stale += (unsigned int)view_stale(&entries[i]);
	}
	clock_observe(&view->es->clock, newest);
	if (count == 1 && likely(request->query.reducer.plain && length <= request->out_size)) {
		memcpy(out, readings->value, length);
	} else {
		size_t reduced;
		int error = result_reduce(view, request, readings, out, &reduced);

		if (unlikely(error))
			return error;
		length = reduced;
	}
	if (unlikely(!answer))
		return 0;
	answer->asked = count;
	answer->answered = count;
	answer->present = count;
	answer->stale = stale;
	answer->missing = 0;
	answer->who = request->missing;
	answer->oldest = oldest;
	answer->newest = newest;
	answer->length = length;
	return 0;
}

#endif
