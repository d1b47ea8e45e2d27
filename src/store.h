/* SPDX-License-Identifier: BSD-3-Clause */
/* An instance: its region, its tables, its group. */
#ifndef STORE_H
#define STORE_H

#include "clock.h"
#include "membership.h"
#include "pool.h"
#include "region.h"
#include "table.h"

#include <estate/instance.h>

#include <pthread.h>

struct estate {
	struct region_identity identity;
	struct region region; /* of an observer: no memory */
	struct clock clock;
	struct group *group;
	struct pool *pool; /* NULL: none */
	struct estate_recovery recovery;
	unsigned int views; /* that are open */

	pthread_mutex_t lock; /* over what follows */
	unsigned int table_count;
	struct estate_table *tables[ESTATE_TABLES_MAX]; /* in the order they were opened */
};

#endif
