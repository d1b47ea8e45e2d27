/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An instance as estate_open() makes one, but for all that takes threads and
 * system calls: no group, and ordinary memory for a region. Its clock starts at
 * zero and stands still: what goes on from a pool must come later by itself.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

#include "recorder.h"
#include "store.h"

#define INSTANCE_TABLES 3

struct instance {
	struct estate es;
	unsigned char *region;
	size_t room;
	size_t used;
	struct estate_table tables[INSTANCE_TABLES];
	uint64_t entries[INSTANCE_TABLES]; /* as the region's directory would have them */
};

/* @region_size: of the longest tables together. */
void instance_init(struct instance *instance, size_t region_size);
void instance_free(struct instance *instance);

/* 0, or what refuses; nothing is open then. */
int instance_open(struct instance *instance, const struct recorder_memory *memory);
/* As estate_table_open() makes a table that is not there yet. */
int instance_table(struct instance *instance, const char *name,
		   const struct estate_table_attr *attr, struct estate_table **table);
/* In order, as estate_close() does. */
int instance_close(struct instance *instance);
/* Its process is gone. */
void instance_crash(struct instance *instance);

#endif
