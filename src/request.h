/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A global read under way: keys of one table, over all instances. The READs of
 * far instances are posted for all keys, as far as there is room; when a key's
 * have all come back, the instances that are near are read and all is reduced.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "lineup.h"
#include "reduce.h"

#include <estate/view.h>

#include <stddef.h>
#include <stdint.h>

struct op; /* one key at one far instance */

/* A query on a table, checked, and by when it must be done. */
struct view_query {
	struct estate_table *table;
	struct reducer reducer;
	uint64_t deadline_us; /* CLOCK_MONOTONIC */
};

/* What one instance says to one key; of near ones, nothing is kept. */
struct reading {
	struct op *op; /* that holds the value */
	int error; /* READING_NEAR, READING_PENDING, 0 or why there is no value */
};

#define READING_NEAR 1
#define READING_PENDING 2

struct request_key {
	struct entry_key words;
	unsigned int pending; /* readings that are, and 1 as long as not all were begun */
};

/* What a request waits for: see verdict.h. */
enum request_phase {
	REQUEST_READS, /* values */
	REQUEST_LOOKS, /* pages, and then values */
	REQUEST_LOOKS_AGAIN, /* pages, when all values were read */
	REQUEST_SCANS, /* pages, of a scan, which sees to everything itself */
};

struct request {
	struct request *next; /* of those under way, in the order they began */
	struct lineup *lineup;
	struct view_query query;
	unsigned int count;
	size_t out_size;
	unsigned char *out;
	int *status;
	struct estate_answer *answers;
	void *tag;

	unsigned int unfinished; /* not 0: it is under way */
	unsigned int keys_left; /* that are not reduced, this time */
	size_t begun; /* how many readings were: count times instances is all */
	unsigned int key_room;
	size_t reading_room;
	size_t missing_room;
	size_t missing_count;
	struct request_key *keys;
	struct reading *readings; /* of each key, one per roster entry */
	struct estate_missing *missing;
	struct handover *handovers; /* two per instance: before and after; NULL: never needed */
	unsigned int handover_room;
	const struct handover *before; /* NULL: nobody hands over, as far as is known */

	/* If there are far instances. */
	enum request_phase phase;
	unsigned int turn; /* grows with each of these */
	unsigned int looked; /* looks in a row */
	unsigned int latest; /* which of the two in @handovers is of the last look */
	int partial; /* results are there, and are right, but somebody is missing */
	unsigned int page_next; /* whose page is to be read next */
	unsigned int pages_pending; /* and 1 as long as not all were begun */
	struct reading *pages; /* one per roster entry */
	struct handover_page *look_pages; /* the same, for the look */
	uint64_t look_us; /* when the last look's READs began, or before */
	uint64_t last_look_us; /* the same of the one before it */
	uint64_t lease_us; /* until when values that are read now are sure: see handover.h */
};

/* Room to look at @instances' hand-overs, twice, and at their pages. 0 or -ENOMEM with a sentence. */
int request_reserve_handovers(struct request *request, unsigned int instances);

/* Room for @count keys at @instances. 0 or -ENOMEM with a sentence. */
int request_reserve(struct request *request, unsigned int count, unsigned int instances, int far);
void request_free(struct request *request);

#endif
