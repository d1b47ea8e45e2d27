/* SPDX-License-Identifier: BSD-3-Clause */
/* What an instance that leaves knows of the one it has asked to take it over. */
#ifndef LEAVE_H
#define LEAVE_H

#include "roster.h"

struct estate;
struct layout_header;

/*
 * Kept from one call of estate_leave() to the next, as what was seen of an adopter that has ended
 * since is not seen again: whether it has begun, and will go on, is what must not be forgotten.
 */
struct leave_wait {
	uint8_t uuid[16];
	char name[ESTATE_NAME_MAX]; /* or its UUID, until it was seen; "": nobody was asked */
	struct roster *roster; /* the last one that has it: its memory stays, if it ends */
	const struct peer *peer; /* in there; NULL: it was not there yet */
	const struct layout_header *adopter; /* the same: its memory, or the copy */
	unsigned int recorded; /* looks in a row that found a record of us; of a far one */
	int there; /* it is connected, and what is read of it now is not older than now */
	int comes_back; /* it has a pool: when it ends in the midst, it goes on some day */
	const char *dead; /* of this call: who is said to be dead; NULL: nobody */
	uint64_t silent_us; /* since when it does not answer; 0: it does */
	uint64_t gone_us; /* since when it certainly is no more; 0: it may be */
};

/* Nobody is waited for any more. */
void leave_wait_end(struct leave_wait *wait);

#endif
