// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.h"

#include "error.h"
#include "medium.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *enlarge(void *array, size_t *room, size_t needed, size_t size)
{
	if (needed <= *room)
		return array;
	*room = needed * 2;
	array = realloc(array, *room * size);
	if (!array)
		abort();
	return array;
}

struct recorder_memory *recorder_memory_make(size_t size)
{
	struct recorder_memory *memory = aligned_alloc(4096, sizeof(*memory) + size);

	if (!memory)
		abort();
	memset(memory, 0, sizeof(*memory) + size);
	memory->size = size;
	snprintf(memory->path, sizeof(memory->path), "%p", (void *)memory);
	return memory;
}

void recorder_memory_free(struct recorder_memory *memory)
{
	free(memory);
}

void recorder_init(struct recorder *recorder)
{
	*recorder = (struct recorder){ 0 };
	pthread_mutex_init(&recorder->lock, NULL);
}

void recorder_destroy(struct recorder *recorder)
{
	pthread_mutex_destroy(&recorder->lock);
	free(recorder->events);
	free(recorder->bytes);
}

void recorder_clear(struct recorder *recorder)
{
	recorder->count = 0;
	recorder->bytes_count = 0;
}

static void record(struct recorder *recorder, const struct recorder_event *event)
{
	recorder->events = enlarge(recorder->events, &recorder->room, recorder->count + 1,
				   sizeof(*recorder->events));
	recorder->events[recorder->count++] = *event;
}

void recorder_note(struct recorder *recorder, uint64_t note)
{
	pthread_mutex_lock(&recorder->lock);
	record(recorder, &(struct recorder_event){ .kind = RECORDER_NOTE, .offset = note });
	pthread_mutex_unlock(&recorder->lock);
}

static struct recorder_memory *memory_of(const struct medium *medium)
{
	return (struct recorder_memory *)(medium->memory - offsetof(struct recorder_memory, bytes));
}

int medium_open(struct medium *medium, const char *path, size_t size)
{
	void *place;
	struct recorder_memory *memory;

	(void)size;
	if (sscanf(path, "%p", &place) != 1)
		abort();
	memory = place;
	*medium = (struct medium){ .memory = memory->bytes, .size = memory->size, .fd = -1 };
	return 0;
}

int medium_open_to_read(struct medium *medium, const char *path)
{
	return medium_open(medium, path, 0);
}

void medium_close(struct medium *medium)
{
	(void)medium;
}

/*
 * Of the two fields that are an implementation's own, @high is the batch's number,
 * and @low where it stored last.
 */
static void stored(struct persist_batch *batch, const unsigned char *to, size_t length)
{
	const struct recorder_memory *memory = memory_of(batch->medium);
	struct recorder *recorder = memory->recorder;
	struct recorder_event event = { .kind = RECORDER_STORE, .length = length };

	if ((size_t)(to - memory->bytes) + length > memory->size)
		abort();
	if (!batch->high)
		batch->high = (unsigned char *)(uintptr_t)++recorder->batches;
	batch->low = batch->medium->memory + (to - memory->bytes);
	event.batch = (uintptr_t)batch->high;
	event.offset = (uint64_t)(to - memory->bytes);
	event.data = recorder->bytes_count;
	recorder->bytes =
		enlarge(recorder->bytes, &recorder->bytes_room, recorder->bytes_count + length, 1);
	memcpy(recorder->bytes + recorder->bytes_count, to, length);
	recorder->bytes_count += length;
	record(recorder, &event);
}

void medium_copy(struct persist_batch *batch, void *to, const void *from, size_t length)
{
	struct recorder *recorder = memory_of(batch->medium)->recorder;

	if (!recorder) {
		memcpy(to, from, length);
		return;
	}
	/* Threads that store into one line do so one after the other. */
	pthread_mutex_lock(&recorder->lock);
	memcpy(to, from, length);
	stored(batch, to, length);
	pthread_mutex_unlock(&recorder->lock);
}

void medium_zero(struct persist_batch *batch, void *to, size_t length)
{
	struct recorder *recorder = memory_of(batch->medium)->recorder;

	if (!recorder) {
		memset(to, 0, length);
		return;
	}
	pthread_mutex_lock(&recorder->lock);
	memset(to, 0, length);
	stored(batch, to, length);
	pthread_mutex_unlock(&recorder->lock);
}

int medium_drain(struct persist_batch *batch)
{
	const struct recorder_memory *memory = memory_of(batch->medium);
	struct recorder *recorder = memory->recorder;
	struct recorder_event event = { .kind = RECORDER_DRAIN, .batch = (uintptr_t)batch->high };
	int failed;

	if (!recorder || !batch->high)
		return 0;
	pthread_mutex_lock(&recorder->lock);
	recorder->drains++;
	failed = recorder->drains == recorder->fail;
	if (recorder->forget &&
	    recorder->forget(recorder->drains, (uint64_t)(batch->low - memory->bytes)))
		recorder->forgotten++;
	else if (!failed)
		record(recorder, &event);
	pthread_mutex_unlock(&recorder->lock);
	batch->low = batch->high = NULL;
	return failed ? error_set(-EIO, "the test's drain %llu fails",
				  (unsigned long long)recorder->fail)
		      : 0;
}
