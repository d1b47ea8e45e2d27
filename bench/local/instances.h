/* SPDX-License-Identifier: BSD-3-Clause */
/* estate's table, as all of the benchmarks here have it. */
#ifndef INSTANCES_H
#define INSTANCES_H

#include "driver.h"

#include <estate/estate.h>

void bench_attributes(struct estate_table_attr *attr, size_t entries, enum driver_content content);

/*
 * An instance with room for such a table, in a registry folder of this
 * process and its children; NULL after a message.
 */
struct estate *bench_instance(const char *name, const struct estate_table_attr *attr);

/* The same, always of this name, with its durable tables in @pool and a region of @bytes. */
struct estate *bench_durable(const char *name, const char *pool, size_t bytes);

/* One that reads only. */
struct estate *bench_observer(void);

/* Choose the folder and remove it at exit: first of all, before any fork(). */
int bench_registry(void);

#endif
