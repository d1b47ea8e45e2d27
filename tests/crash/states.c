// SPDX-License-Identifier: BSD-3-Clause
#include "states.h"

#include <stdlib.h>
#include <string.h>

#define UNIT_MAX 64

/* All subsets of so many stores, each as a whole, are among the samples. */
#define STORES_EXHAUSTIVE 10

/* A unit as a store left it, undrained. */
struct version {
	uint64_t batch;
	uint64_t unit;
	size_t store; /* the event */
	unsigned char bytes[UNIT_MAX];
};

struct visit {
	struct states *states;
	const struct states_caller *caller;
	size_t size;
	unsigned char *durable;
	unsigned char *current;
	unsigned char *image;
	struct version *pending; /* in the order they were stored in */
	size_t count;
	size_t room;
	/* The same by units: starts of each one's versions in @sorted, and one more. */
	const struct version **sorted;
	size_t *starts;
	size_t *chosen; /* of each unit: so many of its versions got through */
	size_t units;
	size_t *stores; /* those that the versions are of */
	size_t store_count;
};

/* xorshift64* (Vigna 2016). */
uint64_t states_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static void add_version(struct visit *visit, uint64_t batch, uint64_t unit, size_t store)
{
	struct version *version;

	if (visit->count == visit->room) {
		visit->room = visit->room * 2 + 64;
		visit->pending = realloc(visit->pending, visit->room * sizeof(*visit->pending));
		if (!visit->pending)
			abort();
	}
	version = &visit->pending[visit->count++];
	*version = (struct version){ .batch = batch, .unit = unit, .store = store };
	memcpy(version->bytes, visit->current + unit * visit->states->unit, visit->states->unit);
}

static int is_pending(const struct visit *visit, uint64_t unit)
{
	for (size_t i = 0; i < visit->count; i++)
		if (visit->pending[i].unit == unit)
			return 1;
	return 0;
}

static void store(struct visit *visit, const struct recorder *recorder, size_t number)
{
	const struct recorder_event *event = &recorder->events[number];
	unsigned int unit = visit->states->unit;

	memcpy(visit->current + event->offset, recorder->bytes + event->data, event->length);
	if (!event->length)
		return;
	for (uint64_t i = event->offset / unit; i <= (event->offset + event->length - 1) / unit;
	     i++)
		/* What stays as it was is nothing that could get lost. */
		if (memcmp(visit->current + i * unit, visit->durable + i * unit, unit) ||
		    is_pending(visit, i))
			add_version(visit, event->batch, i, number);
}

/* A unit that was drained is at least what it was then: older versions are gone. */
static void drain(struct visit *visit, uint64_t batch)
{
	unsigned int unit = visit->states->unit;
	size_t kept = 0;

	for (size_t i = visit->count; i-- > 0;) {
		uint64_t drained = visit->pending[i].unit;

		if (visit->pending[i].batch != batch)
			continue;
		/* From the last one back: the first that is met is the newest. */
		memcpy(visit->durable + drained * unit, visit->pending[i].bytes, unit);
		for (size_t older = 0; older <= i; older++)
			if (visit->pending[older].unit == drained)
				visit->pending[older].batch = 0;
		visit->pending[i].batch = 0;
	}
	for (size_t i = 0; i < visit->count; i++)
		if (visit->pending[i].batch)
			visit->pending[kept++] = visit->pending[i];
	visit->count = kept;
}

static int compare(const void *a, const void *b)
{
	const struct version *left = *(const struct version *const *)a;
	const struct version *right = *(const struct version *const *)b;

	if (left->unit != right->unit)
		return left->unit < right->unit ? -1 : 1;
	return left < right ? -1 : left > right;
}

static void *again(void *array, size_t count, size_t size)
{
	array = realloc(array, (count + 1) * size);
	if (!array)
		abort();
	return array;
}

static void sort(struct visit *visit)
{
	visit->sorted = again(visit->sorted, visit->count, sizeof(*visit->sorted));
	visit->starts = again(visit->starts, visit->count, sizeof(*visit->starts));
	visit->chosen = again(visit->chosen, visit->count, sizeof(*visit->chosen));
	visit->stores = again(visit->stores, visit->count, sizeof(*visit->stores));
	visit->store_count = 0;
	for (size_t i = 0; i < visit->count; i++) {
		size_t number = visit->pending[i].store;

		visit->sorted[i] = &visit->pending[i];
		if (!visit->store_count || visit->stores[visit->store_count - 1] != number)
			visit->stores[visit->store_count++] = number;
	}
	if (visit->count)
		qsort(visit->sorted, visit->count, sizeof(*visit->sorted), compare);
	visit->units = 0;
	for (size_t i = 0; i < visit->count; i++)
		if (!i || visit->sorted[i]->unit != visit->sorted[i - 1]->unit)
			visit->starts[visit->units++] = i;
	visit->starts[visit->units] = visit->count;
}

static size_t versions_of(const struct visit *visit, size_t unit)
{
	return visit->starts[unit + 1] - visit->starts[unit];
}

/* The image that was chosen. */
static int look(struct visit *visit)
{
	unsigned int unit = visit->states->unit;

	memcpy(visit->image, visit->durable, visit->size);
	for (size_t i = 0; i < visit->units; i++) {
		const struct version *version;

		if (!visit->chosen[i])
			continue;
		version = visit->sorted[visit->starts[i] + visit->chosen[i] - 1];
		memcpy(visit->image + version->unit * unit, version->bytes, unit);
	}
	visit->states->images++;
	return visit->caller->check(visit->caller->arg, visit->image);
}

static int look_at_all(struct visit *visit)
{
	size_t unit;

	memset(visit->chosen, 0, visit->units * sizeof(*visit->chosen));
	do {
		int result = look(visit);

		if (result)
			return result;
		for (unit = 0; unit < visit->units; unit++) {
			if (visit->chosen[unit]++ < versions_of(visit, unit))
				break;
			visit->chosen[unit] = 0;
		}
	} while (unit < visit->units);
	return 0;
}

/* All of one unit or nothing of it, and of the others the opposite. */
static void choose_one(struct visit *visit, size_t which, int all_others)
{
	for (size_t i = 0; i < visit->units; i++)
		visit->chosen[i] = (i == which) == !all_others ? versions_of(visit, i) : 0;
}

/* What the stores left whose bit is set in a number, or by chance. */
static void choose_stores(struct visit *visit, uint64_t sample)
{
	uint64_t *random = &visit->states->random;
	uint64_t seed = states_random(random);

	for (size_t i = 0; i < visit->units; i++) {
		visit->chosen[i] = 0;
		for (size_t j = 0; j < versions_of(visit, i); j++) {
			size_t number = visit->sorted[visit->starts[i] + j]->store;
			uint64_t coin = seed + number;
			int there;

			if (visit->store_count <= STORES_EXHAUSTIVE) {
				size_t bit = 0;

				while (visit->stores[bit] != number)
					bit++;
				there = sample >> bit & 1;
			} else {
				there = states_random(&coin) >> 63;
			}
			if (there)
				visit->chosen[i] = j + 1;
		}
	}
}

/* Each for itself: half of them, few, or nearly all. */
static void choose_units(struct visit *visit, uint64_t sample)
{
	static const unsigned int of_256[] = { 128, 8, 248 };
	uint64_t *random = &visit->states->random;

	for (size_t i = 0; i < visit->units; i++) {
		uint64_t coin = states_random(random) >> 32;

		visit->chosen[i] = 0;
		if (coin % 256 < of_256[sample % 3])
			visit->chosen[i] = 1 + coin / 256 % versions_of(visit, i);
	}
}

static int look_at_some(struct visit *visit)
{
	const unsigned int limit = visit->states->limit;
	const uint64_t subsets = visit->store_count <= STORES_EXHAUSTIVE
					 ? 1ull << visit->store_count
					 : STATES_EXHAUSTIVE / 4;
	uint64_t singles = (uint64_t)visit->units * 2;
	int result = 0;

	if (singles > limit / 2)
		singles = 0;
	visit->states->sampled++;
	for (uint64_t i = 0; i < limit && !result; i++) {
		if (i < singles)
			choose_one(visit, i / 2, i % 2);
		else if (i - singles < subsets && i < limit * 3 / 4)
			choose_stores(visit, i - singles);
		else
			choose_units(visit, i);
		result = look(visit);
	}
	return result;
}

static int look_at_point(struct visit *visit)
{
	uint64_t combinations = 1;

	sort(visit);
	visit->states->points++;
	for (size_t i = 0; i < visit->units && combinations <= visit->states->limit; i++)
		combinations *= versions_of(visit, i) + 1;
	if (combinations <= visit->states->limit)
		return look_at_all(visit);
	return look_at_some(visit);
}

int states_visit(struct states *states, const struct recorder *recorder, const unsigned char *start,
		 size_t size, const struct states_caller *caller)
{
	struct visit visit = { .states = states, .caller = caller, .size = size };
	int result = 0;

	visit.durable = malloc(size);
	visit.current = malloc(size);
	visit.image = malloc(size);
	if (!visit.durable || !visit.current || !visit.image)
		abort();
	memcpy(visit.durable, start, size);
	memcpy(visit.current, start, size);
	for (size_t i = 0; i < recorder->count && !result; i++) {
		const struct recorder_event *event = &recorder->events[i];

		switch (event->kind) {
		case RECORDER_STORE:
			store(&visit, recorder, i);
			break;
		case RECORDER_DRAIN:
			result = look_at_point(&visit);
			drain(&visit, event->batch);
			break;
		case RECORDER_NOTE:
			if (caller->note(caller->arg, event->offset))
				result = look_at_point(&visit);
			break;
		}
	}
	free(visit.durable);
	free(visit.current);
	free(visit.image);
	free(visit.pending);
	free(visit.sorted);
	free(visit.starts);
	free(visit.chosen);
	free(visit.stores);
	return result;
}
