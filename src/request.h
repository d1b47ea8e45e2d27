/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A global read under way: keys of one table, over all instances. The READs of
 * far instances are posted for all keys, as far as there is room; when a key's
 * have all come back, the instances that are near are read and all is reduced.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "handover.h"
#include "lineup.h"
#include "reduce.h"

#include <estate/view.h>

#include <stddef.h>
#include <stdint.h>

struct op; /* one key at one far instance */

/* A query on a table, checked, and by when it must be done. */
struct view_query {
	struct estate_table *table; /* NULL: there was no query yet, or it failed */
	struct reducer reducer;
	/* What the reducer was made from. */
	enum estate_reduce reduce;
	int common; /* the table's merge rule, and not a function */
	estate_reduce_fn *call;
	void *arg;
	uint64_t deadline_us; /* CLOCK_MONOTONIC; 0: not looked up yet, see view_deadline() */
	uint32_t span_us; /* from the beginning of the call to the deadline */
};

/* What one instance says to one key. */
struct reading {
	struct op *op; /* in whose memory the value is; NULL: in no op's */
	unsigned char *value; /* aligned to 8 */
	size_t length;
	uint64_t stamp;
	/* Of a near one, that is still to be read: the slot where the key seems to be. */
	const unsigned char *copies; /* NULL: nobody knows */
	uint32_t slot;
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
	int only_status; /* of a single key's call */
	struct estate_answer *answers;
	void *tag;

	unsigned int unfinished; /* not 0: it is under way */
	unsigned int keys_left; /* that are not reduced, this time */
	/* All readings were begun of so many keys, and of the next one those of so many instances. */
	unsigned int begun;
	unsigned int begun_instances;
	unsigned int key_room;
	size_t reading_room;
	size_t missing_room;
	unsigned int standing; /* the first key's readings have ops, which stay theirs */
	unsigned int awaited; /* of these, READs that have not come yet */
	unsigned int ready; /* room for so many keys of the same query by the same lineup */
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
	int distrusted; /* it was found not to be leased just now */
	int partial; /* results are there, and are right, but somebody is missing */
	unsigned int page_next; /* whose page is to be read next */
	unsigned int pages_pending; /* and 1 as long as not all were begun */
	struct reading *pages; /* one per roster entry */
	struct handover_page *look_pages; /* the same, for the look */
	uint64_t
		patience_us; /* until when pages are waited for; who has not answered then is missing */
	uint64_t look_us; /* when the last look's READs began, or before */
	uint64_t last_look_us; /* the same of the one before it */
	uint64_t lease_us; /* until when values that are read now are sure: see handover_lease() */
	uint64_t *joined; /* the same, one per roster entry */
};

/* Room to look at @instances' hand-overs, twice, and at their pages. 0 or -ENOMEM with a sentence. */
int request_reserve_handovers(struct request *request, unsigned int instances);

/* So many keys of near instances are worked on at a time: their lines stay in the L1 cache. */
#define REQUEST_NEAR 16

/* Room for @count keys at @instances, which are all near if not @far. 0 or -ENOMEM with a sentence. */
int request_reserve(struct request *request, unsigned int count, unsigned int instances, int far);

/* A key's readings, one per roster entry. */
static inline struct reading *request_readings(const struct request *request, unsigned int key)
{
	return request->readings + (size_t)key * request->lineup->count;
}
void request_free(struct request *request);

#endif
