/* SPDX-License-Identifier: BSD-3-Clause */
/* All instances' values of a key, as the prototype's reduce functions want them. */
#ifndef COLLECT_H
#define COLLECT_H

#include "estatepp.h"

/*
 * The items and their strings are one piece of memory from malloc(), at *items.
 * Returns how many there are; 0 with nothing to free if there are none or,
 * after a complaint in the name of @call, on failure.
 */
int collect(const char *call, const char *key, state_item_t **items);

#endif
