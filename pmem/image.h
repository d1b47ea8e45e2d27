/* SPDX-License-Identifier: BSD-3-Clause */
/* What a pool is written with, but for its tables' slots and values. All drain before they return. */
#ifndef IMAGE_H
#define IMAGE_H

#include "format.h"
#include "persist.h"

/*
 * Make zeros of what is there: it may be of a table that was never finished, or of
 * whoever had the device before. @offset is a multiple of LAYOUT_PAGE, and so is @length.
 */
int image_clear(struct medium *medium, uint64_t offset, uint64_t length);

/* Describe table @number, whose place is cleared: all but the first word of its name, and then that. */
int image_describe(struct medium *medium, unsigned int number, const struct region_table *table);

/* Seal @life and write it as copy @copy. */
int image_write_life(struct medium *medium, unsigned int copy, struct format_life *life);

/* Seal @header and write it; the magic, which makes a pool of it, last. */
int image_write_header(struct medium *medium, struct format_header *header);

#endif
