/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An instance takes another one over, and its pool is taken down meanwhile: what a
 * crash leaves of it must agree with what the pool says of how far it had come, and
 * lead to exactly what both had when the takeover goes on.
 */
#ifndef ADOPTION_H
#define ADOPTION_H

#include "instance.h"
#include "recorder.h"
#include "states.h"

#include "roster.h"
#include "takeover.h"

#define ADOPTION_TABLES 3
#define ADOPTION_KEYS 24
#define ADOPTION_VALUE 300

struct adoption {
	/* The leaver: its region is what is read. */
	char *folder;
	struct estate *leaver;
	struct peer peer;
	struct roster_entry entry;

	/* The adopter, and its pool as it was before. */
	struct recorder_memory *memory;
	struct recorder recorder;
	unsigned char *start;
	struct instance instance;
};

struct adoption_result {
	uint64_t points;
	uint64_t images;
	uint64_t resumed; /* of these, so many were in the midst */
	uint64_t second; /* images after a crash while it went on */
	unsigned int intents; /* of one home, at most */
};

/*
 * Two who have something in common, and the takeover, with drains left out by @forget or
 * NULL. @seed of the tables: which keys share a home. @fail: 0; or the drain with that number fails, and
 * the takeover stops there, while the adopter goes on writing as far as it may.
 */
void adoption_init(struct adoption *adoption, uint64_t seed, recorder_forget_fn *forget,
		   uint64_t fail);
void adoption_free(struct adoption *adoption);

/* Look at all that a crash may leave. 0; 1 with a sentence in @message. */
int adoption_verify(struct adoption *adoption, unsigned int unit, unsigned int limit,
		    struct adoption_result *result, char *message, size_t size);

#endif
