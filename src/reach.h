/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A far leaver's tables, read by those who take it over: like a scan of one instance, in
 * large READs, many of them under way. All by one thread.
 */
#ifndef REACH_H
#define REACH_H

#include "region.h"
#include "remote.h"
#include "roster.h"

struct estate;
struct estate_table;
struct reach;

/* 0 or a negative errno value with a sentence. */
int reach_open(struct estate *es, struct reach **reach);
void reach_close(struct reach *reach);

/*
 * Begin, or go on, to read the leaver's table that becomes a part of @table, from @home on; then
 * reach_rest() is to be called before long, as connections are not mended before. -EHOSTDOWN,
 * and reach_rest() is not: it cannot be read now.
 */
int reach_begin(struct reach *reach, const struct roster_entry *leaver, struct estate_table *table,
		const struct region_table *place, uint64_t home);
void reach_rest(struct reach *reach);

/* Between these two: the buckets for @home, which never is lower than at the last call. */
struct remote_source reach_home(struct reach *reach, uint64_t home, int *error);
/* The first @length bytes of a block. 0 or an error. */
int reach_extent(struct reach *reach, uint64_t block, uint32_t length, unsigned char *value);

/* Whether READs are under way still; they have to end before the next one begins. */
int reach_is_busy(struct reach *reach);

#endif
