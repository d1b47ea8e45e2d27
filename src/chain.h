/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overflow chain of a bucket, in its owner's memory: the slots elsewhere of
 * keys that found their two buckets full. Changed under the lock of the bucket.
 */
#ifndef CHAIN_H
#define CHAIN_H

#include "table.h"

#define NO_SLOT UINT32_MAX

/* The first slot of @home's chain; the slot after @slot. NO_SLOT at the end. */
uint32_t chain_first(const struct estate_table *table, uint64_t home);
uint32_t chain_next(const struct estate_table *table, uint32_t slot);

void chain_push(struct estate_table *table, uint64_t home, uint32_t slot);
void chain_remove(struct estate_table *table, uint64_t home, uint32_t slot);

#endif
