/* SPDX-License-Identifier: BSD-3-Clause */
/* Random gets on a table that nobody writes: for curves. */
#ifndef TIMING_H
#define TIMING_H

#include "driver.h"

#include <stdint.h>

struct timing {
	const struct driver *driver;
	void *table;
	uint64_t first; /* keys are numbers @first to @first + @count - 1 */
	uint64_t count;
	int present; /* whether they are in the table */
	uint64_t random;
	uint64_t failures;
};

/* ns for one; negative after a message if a result is wrong. */
double timing_get(struct timing *timing);
double timing_get_batch(struct timing *timing);

/* Put keys @from to @to - 1. 0, or -1 after a message. */
int timing_fill(const struct driver *driver, void *table, uint64_t from, uint64_t to);

#endif
