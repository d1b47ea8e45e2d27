/* SPDX-License-Identifier: BSD-3-Clause */
/* Which tables there are in the group. */
#ifndef TABLES_H
#define TABLES_H

#include "geometry.h"
#include "roster.h"

/* The geometry of a table as most peers have it; of equals, the first. 0 or -ENOENT. */
int tables_find(const struct roster *roster, const char *name, struct geometry *geometry);

#endif
