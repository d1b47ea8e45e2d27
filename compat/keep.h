/* SPDX-License-Identifier: BSD-3-Clause */
/* Who owns the strings that are returned: their thread, for a while. */
#ifndef KEEP_H
#define KEEP_H

#include <stddef.h>

/*
 * Take over memory from malloc(): it is freed when this thread has kept
 * ES_STRINGS_KEPT more, or ends. Returns -1, with the memory freed, if there
 * is no room to remember it.
 */
int keep(void *memory);

/* A kept copy of a string, or NULL. */
const char *keep_string(const char *string);

/* How many instances the thread's last global read missed; see es_missing(). */
int *keep_missing(void);

#endif
