/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What there is in a pool that nobody has open, and that may be damaged or cut
 * off anywhere: nothing in it is believed that does not verify, and nothing that
 * verifies is believed to lie within the pool.
 */
#ifndef SURVEY_H
#define SURVEY_H

#include "format.h"
#include "persist.h"

#include <estate/pool.h>

struct survey {
	const unsigned char *memory;
	size_t size;
	struct estate_pool_info info;
	uint64_t newest; /* stamp of all that was surveyed by survey_table() */
	struct region_table tables[ESTATE_TABLES_MAX]; /* info.tables of them */
};

/*
 * Header, life and directory of @memory. @insist: who asks knows that it is a pool of
 * this version, whatever its header says. 0, with the damage in @survey->info; -EBADMSG:
 * nothing of it is a pool's; -EPROTO: it is of another version. With a sentence.
 */
int survey_begin(struct survey *survey, const void *memory, size_t size, const char *path,
		 int insist);

/*
 * All entries of table @index. What verifies is copied to @to, unless that is NULL,
 * where the whole table has room: to the same places, as their checksums depend on
 * the slot only. 0, or -ENOMEM with a sentence.
 */
int survey_table(struct survey *survey, unsigned int index, struct persist_batch *batch,
		 unsigned char *to, struct estate_pool_table *report);

#endif
