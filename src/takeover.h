/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking one leaver's tables over: read home by home, absorbed, and said how far. */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include "pool.h"
#include "roster.h"

struct estate;

struct takeover {
	struct estate *es; /* ours */
	const struct roster_entry *leaver; /* sealed; its region is mapped, or it is far */
	struct roster *roster; /* that it is in, if it came back meanwhile: to be released */
	struct layout_adoption *record; /* in our region */
	const int *stop; /* not 0: end in the midst */
	struct pool_adoption *last; /* as it is in our pool, if there is one */
	/* Of one that the pool knew when we began: hashes of keys, of last->home, that are ours. */
	unsigned int done_count;
	const uint64_t *done;
	int lost; /* it was far, and died in the midst, for good */
};

/* Sets the record's state and error. */
void takeover_run(struct takeover *takeover);

/* Whether this is the header of a leaver who has sealed for us. */
int takeover_named(const struct estate *es, const struct layout_header *header);

#endif
