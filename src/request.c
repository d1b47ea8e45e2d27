// SPDX-License-Identifier: BSD-3-Clause
#include "request.h"

#include "error.h"
#include "handover.h"

#include <errno.h>
#include <stdlib.h>

/* Make *@array one of @count elements of @size, whatever was in it. */
static int reserve(void **array, size_t count, size_t size)
{
	void *larger = calloc(count, size);

	if (!larger)
		return error_set(-ENOMEM, "no memory for a global read: %zu bytes", count * size);
	free(*array);
	*array = larger;
	return 0;
}

int request_reserve(struct request *request, unsigned int count, unsigned int instances, int far)
{
	size_t all = (size_t)count * instances;
	int error = 0;

	if (all > request->missing_room) {
		error = reserve((void **)&request->missing, all, sizeof(*request->missing));
		if (error)
			return error;
		request->missing_room = all;
	}
	if (!far && count > REQUEST_NEAR)
		count = REQUEST_NEAR;
	all = (size_t)count * instances;
	if (count > request->key_room) {
		error = reserve((void **)&request->keys, count, sizeof(*request->keys));
		if (error)
			return error;
		request->key_room = count;
	}
	if (all > request->reading_room) {
		error = reserve((void **)&request->readings, all, sizeof(*request->readings));
		if (error)
			return error;
		request->reading_room = all;
	}
	return request_reserve_handovers(request, instances);
}

int request_reserve_handovers(struct request *request, unsigned int instances)
{
	int error;

	if (instances <= request->handover_room)
		return 0;
	error = reserve((void **)&request->handovers, (size_t)instances * 2,
			sizeof(*request->handovers));
	if (!error)
		error = reserve((void **)&request->pages, instances, sizeof(*request->pages));
	if (!error)
		error = reserve((void **)&request->joined, instances, sizeof(*request->joined));
	if (!error)
		error = reserve((void **)&request->look_pages, instances,
				sizeof(*request->look_pages));
	if (!error)
		request->handover_room = instances;
	return error;
}

void request_free(struct request *request)
{
	lineup_release(request->lineup);
	free(request->handovers);
	free(request->pages);
	free(request->look_pages);
	free(request->joined);
	free(request->keys);
	free(request->readings);
	free(request->missing);
}
