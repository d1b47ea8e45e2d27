/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory on huge pages, as far as the system gives them: the same for every table. */
#ifndef HUGE_H
#define HUGE_H

#include <stddef.h>

/* Zeroed and touched; NULL after a message. */
void *huge_alloc(size_t bytes);
void huge_free(void *memory, size_t bytes);

/* Replace mapped memory by huge pages with the same content. 0, or -1 after a message. */
int huge_replace(void *memory, size_t bytes);

/* Run this program anew so that malloc() asks for huge pages; returns if it does already. */
void huge_malloc(char **argv);

#endif
