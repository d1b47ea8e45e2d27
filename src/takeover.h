/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking one leaver's tables over: read home by home, absorbed, and said how far. */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include "pool.h"
#include "roster.h"

struct estate;

/* What our pool knows of a takeover in which we ended. */
struct takeover_past {
	struct pool_adoption last; /* as it is in the pool, if there is one */
	/* Hashes of keys, of last.home, that are ours. */
	unsigned int done_count;
	uint64_t done[POOL_INTENTS_MAX];
};

struct takeover {
	struct estate *es; /* ours */
	const struct roster_entry *leaver; /* sealed; its region is mapped, or it is far */
	struct roster *roster; /* that it is in, if it came back meanwhile: to be released */
	struct layout_adoption *record; /* in our region */
	const int *stop; /* not 0: end in the midst */
	struct takeover_past *past;
	int lost; /* it was far, and died in the midst, for good */
};

/*
 * What the pool says that we were taking over when we ended: before anybody can see us,
 * or write. @record is zeros, and stays so if that is nothing. 0, or what the pool says.
 */
int takeover_remember(const struct estate *es, struct takeover_past *past,
		      struct layout_adoption *record);

/* Sets the record's state and error. */
void takeover_run(struct takeover *takeover);

/* Whether this is the header of a leaver who has sealed for us. */
int takeover_named(const struct estate *es, const struct layout_header *header);

#endif
