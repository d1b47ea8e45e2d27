/* SPDX-License-Identifier: BSD-3-Clause */
/* Global reads of one table, by a view of its own. The functions of int are a contest's. */
#ifndef READER_H
#define READER_H

#include "options.h"
#include "tables.h"

#define READER_KEYS_MAX 1024

struct reader {
	struct estate *es;
	struct estate_table *table;
	struct estate_view *view;
	size_t size; /* of values */
	size_t entries;
	unsigned int owners;
	unsigned int keys; /* in a batch */
	struct tables_walk walk;
	uint64_t left; /* keys that were not read yet */
	uint64_t *values;
	uint64_t seen; /* by a scan */
};

/* An observer of all peers' group; ends the program if one is missing. */
struct estate *reader_join(const struct options *options);

/* Of the first @owners peers' common table of values of @size bytes. Ends the program on errors. */
void reader_open(struct reader *reader, struct estate *es, size_t size,
		 const struct options *options);
void reader_close(struct reader *reader);

/* From now on keys come from a few that the view has all read before. */
int reader_begin_warm(void *arg);
/* From now on no key comes twice, and none was read before by this view, which is a new one. */
int reader_begin_cold(void *arg);

int reader_get(void *arg);
int reader_batch(void *arg);
int reader_scan(void *arg);

#endif
