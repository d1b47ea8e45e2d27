// SPDX-License-Identifier: BSD-3-Clause
#include "keep.h"

#include "estatepp.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct shelf {
	void *memory[ES_STRINGS_KEPT];
	unsigned int next;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t shelf_key;
static int shelf_key_error;
static __thread int missing = -1;

static void shelf_free(void *arg)
{
	struct shelf *shelf = arg;

	for (unsigned int i = 0; i < ES_STRINGS_KEPT; i++)
		free(shelf->memory[i]);
	free(shelf);
}

static void shelf_key_create(void)
{
	shelf_key_error = pthread_key_create(&shelf_key, shelf_free);
}

static struct shelf *shelf_get(void)
{
	struct shelf *shelf;

	pthread_once(&once, shelf_key_create);
	if (shelf_key_error)
		return NULL;
	shelf = pthread_getspecific(shelf_key);
	if (shelf)
		return shelf;

	shelf = calloc(1, sizeof(*shelf));
	if (!shelf)
		return NULL;
	if (pthread_setspecific(shelf_key, shelf)) {
		free(shelf);
		return NULL;
	}
	return shelf;
}

int keep(void *memory)
{
	struct shelf *shelf = shelf_get();
	void **place;

	if (!shelf) {
		free(memory);
		return -1;
	}
	place = &shelf->memory[shelf->next];
	shelf->next = (shelf->next + 1) % ES_STRINGS_KEPT;
	free(*place);
	*place = memory;
	return 0;
}

const char *keep_string(const char *string)
{
	char *copy = strdup(string);

	if (!copy || keep(copy))
		return NULL;
	return copy;
}

int *keep_missing(void)
{
	return &missing;
}
