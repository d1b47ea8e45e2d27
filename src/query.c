// SPDX-License-Identifier: BSD-3-Clause
/* The calls that read many keys over the group, or do not wait. */
#include "view.h"

#include "error.h"
#include "gather.h"

#include <errno.h>
#include <stdlib.h>

static int check_keys(const struct estate_view *view, const struct estate_table *table,
		      unsigned int count, const void *const *keys, size_t key_length,
		      const void *out, const int *status)
{
	int error = view_check(view, table, keys, key_length, out);

	if (error)
		return error;
	if (!status)
		return error_set(-EINVAL, "global read: status is NULL");
	for (unsigned int i = 0; i < count; i++)
		if (!keys[i])
			return error_set(-EINVAL, "global read: key %u is NULL", i);
	return 0;
}

int estate_query_batch(struct estate_view *view, struct estate_table *table, unsigned int count,
		       const void *const *keys, size_t key_length, const struct estate_query *q,
		       void *out, size_t out_size, int *status, struct estate_answer *answers)
{
	struct request *request;
	int found = 0;
	int error = check_keys(view, table, count, keys, key_length, out, status);

	if (error)
		return error;
	request = &view->call;
	view_enter(view);
	error = view_begin(view, table, q, count, out_size, request);
	if (!error) {
		request->out = out;
		request->status = status;
		request->answers = answers;
		error = view_read_keys(view, request, count, keys, key_length);
	}
	if (!error && request->lineup->far)
		gather_wait(view, request);
	view_exit(view);
	if (error)
		return error;
	for (unsigned int i = 0; i < count; i++)
		found += !status[i];
	return found;
}

static int take_idle(struct estate_view *view, struct request **request)
{
	*request = view->idle;
	if (*request) {
		view->idle = (*request)->next;
		return 0;
	}
	if (view->request_count == view->request_max)
		return error_set(-EAGAIN,
				 "%u requests are under way, as many as the view may have: poll, "
				 "or open it with more",
				 view->request_max);
	*request = calloc(1, sizeof(**request));
	if (!*request)
		return error_set(-ENOMEM, "no memory for another request");
	view->request_count++;
	return 0;
}

int estate_query_start(struct estate_view *view, struct estate_table *table, unsigned int count,
		       const void *const *keys, size_t key_length, const struct estate_query *q,
		       void *out, size_t out_size, int *status, struct estate_answer *answers,
		       void *tag)
{
	struct request *request;
	int error = check_keys(view, table, count, keys, key_length, out, status);

	if (!error)
		error = take_idle(view, &request);
	if (error)
		return error;
	request->tag = tag;
	request->out = out;
	request->status = status;
	request->answers = answers;
	view_enter(view);
	error = view_begin(view, table, q, count, out_size, request);
	if (!error)
		error = view_read_keys(view, request, count, keys, key_length);
	/* Nobody is far: it is over, and was not put on the list of those under way. */
	if (error || !request->lineup->far) {
		struct request **list = error ? &view->idle : &view->requests;

		while (*list)
			list = &(*list)->next;
		request->next = NULL;
		*list = request;
	}
	view_exit(view);
	return error;
}

int estate_query_poll(struct estate_view *view, void **tags, unsigned int max)
{
	uint64_t now;
	unsigned int told = 0;

	if (!view || (!tags && max))
		return error_set(-EINVAL, "estate_query_poll: %s is NULL", view ? "tags" : "view");
	view_enter(view);
	if (view->io)
		gather_progress(view);
	now = pace_us(&view->pace);
	if (view->io)
		gather_hurry(view, now);
	for (struct request **link = &view->requests; *link && told < max;) {
		struct request *request = *link;

		if (request->unfinished && now >= view_deadline(view, request))
			gather_expire(view, request);
		else if (request->unfinished)
			link = &request->next;
		else
			*link = request->next;
		if (request->unfinished)
			continue;
		tags[told++] = request->tag;
		request->next = view->idle;
		view->idle = request;
	}
	view_exit(view);
	return (int)told;
}
