/* SPDX-License-Identifier: BSD-3-Clause */
/* The one instance of this process, which the prototype's calls mean without naming it. */
#ifndef INSTANCE_H
#define INSTANCE_H

#include "peers.h"

#include <estate/estate.h>

#include <pthread.h>

struct instance {
	struct estate *estate;
	struct estate_table *table;
	struct peers peers;
	size_t value_size;
	/* Global reads: a view is for one thread at a time. */
	struct estate_view *view;
	pthread_mutex_t view_lock;
};

/*
 * Borrow the instance for one call: it is not closed before it is given back.
 * NULL, with a complaint in the name of @call, if there is none.
 */
struct instance *instance_enter(const char *call);
void instance_leave(void);

/* A key as the table has it: no bytes are as good as one zero byte, which no C string has. */
struct key {
	const char *bytes;
	size_t length;
};

/* 0, or -1 with a complaint. */
int instance_key(const char *call, const char *string, struct key *key);

#endif
