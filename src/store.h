/* SPDX-License-Identifier: BSD-3-Clause */
/* An instance: its region, its tables, its group. */
#ifndef STORE_H
#define STORE_H

#include "adopt.h"
#include "clock.h"
#include "leave.h"
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
	struct adopter *adopter; /* NULL: an observer's */
	struct pool *pool; /* NULL: none */
	struct estate_recovery recovery;
	unsigned int views; /* that are open */
	struct leave_wait wait; /* sealed: for its adopter */
	uint64_t ripe_us; /* sealed, when an adopter may begin; 0: not sealed, or not known yet */

	pthread_mutex_t lock; /* over what follows */
	unsigned int table_count;
	struct estate_table *tables[ESTATE_TABLES_MAX]; /* in the order they were opened */
};

/*
 * Our table with this geometry, made if it is not there. @geometry's durability is
 * for a new one, and only if there is a pool. As estate_table_open().
 */
int store_table(struct estate *es, const char *name, const struct geometry *geometry,
		struct estate_table **table);

#endif
