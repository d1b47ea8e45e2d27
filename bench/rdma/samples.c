// SPDX-License-Identifier: BSD-3-Clause
#include "samples.h"

#include "ticks.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

void samples_reserve(struct samples *samples, size_t more)
{
	size_t room = samples->count + more;

	if (room <= samples->room)
		return;
	samples->ticks = realloc(samples->ticks, room * sizeof(*samples->ticks));
	if (!samples->ticks)
		errx(1, "no memory for %zu samples", room);
	/* Touched here, and not while something is timed. */
	memset(samples->ticks + samples->room, 0, (room - samples->room) * sizeof(*samples->ticks));
	samples->room = room;
}

void samples_join(struct samples *samples, const struct samples *from)
{
	samples_reserve(samples, from->count);
	for (size_t i = 0; i < from->count; i++)
		samples_add(samples, from->ticks[i]);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

double samples_ns(struct samples *samples, double part)
{
	size_t rank;

	if (!samples->count)
		return 0;
	if (!samples->sorted)
		qsort(samples->ticks, samples->count, sizeof(*samples->ticks), by_size);
	samples->sorted = 1;
	rank = (size_t)(part * (double)samples->count);
	if (rank >= samples->count)
		rank = samples->count - 1;
	return (double)samples->ticks[rank] / ticks_per_ns();
}

void samples_free(struct samples *samples)
{
	free(samples->ticks);
	*samples = (struct samples){ 0 };
}
