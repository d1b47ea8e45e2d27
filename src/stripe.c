// SPDX-License-Identifier: BSD-3-Clause
#include "stripe.h"

#include "error.h"
#include "gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A READ of so many bytes is as fast as the link, and so many under way keep it busy. */
#define STRIPE_BYTES 65536u
#define STRIPES_AHEAD 8u

enum stripe_state {
	STRIPE_IDLE,
	STRIPE_READING,
	STRIPE_THERE
};

/* One READ, and the memory in which it lands. */
struct stripe {
	struct arrival arrival;
	enum stripe_state state;
	int error;
	uint64_t first; /* bucket */
	uint64_t count;
	unsigned char *room;
};

/* An instance's part. */
struct stripe_lane {
	struct stripes *stripes;
	struct endpoint *endpoint; /* NULL: it is not far, or cannot be read */
	const struct view_place *place;
	uint64_t next; /* the first bucket of the stripe to post next */
	struct stripe ahead[STRIPES_AHEAD];
	struct stripe again; /* for what is read by itself: two buckets */
	unsigned int again_attempt;
	int error;
};

struct stripes {
	struct estate_view *view;
	struct request *request;
	struct landing *landing;
	uint64_t homes_each; /* that one stripe is for; it has one bucket more */
	unsigned int ahead; /* stripes of each lane under way at a time */
	uint64_t singles; /* READs of what is read by itself */
	unsigned int room; /* lanes */
	struct stripe_lane lanes[];
};

static void arrived(struct estate_view *view, struct arrival *arrival, int error)
{
	struct stripe *stripe = (struct stripe *)arrival;

	(void)view;
	stripe->state = STRIPE_THERE;
	stripe->error = error;
}

/* Post the READ of @length bytes of the table from @offset. */
static int post_at(struct stripe_lane *lane, struct stripe *stripe, uint64_t offset,
		   uint64_t length)
{
	struct stripes *stripes = lane->stripes;
	const struct far_table *table = &lane->place->far;
	const struct transport_operations *operations = stripes->view->transport->operations;
	const struct transport_read read = {
		.landing = stripes->landing,
		.to = stripe->room,
		.offset = table->offset + offset,
		.length = (uint32_t)length,
		.tag = &stripe->arrival,
	};
	int error = operations->read(stripes->view->io, lane->endpoint, &read);

	if (error)
		return error;
	operations->flush(stripes->view->io);
	stripe->state = STRIPE_READING;
	return 0;
}

/* Post the READ of @count buckets from @first. */
static int post(struct stripe_lane *lane, struct stripe *stripe, uint64_t first, uint64_t count)
{
	const struct geometry *geometry = lane->place->far.geometry;

	stripe->first = first;
	stripe->count = count;
	return post_at(lane, stripe, geometry_bucket_offset(geometry, first),
		       count * geometry->bucket_size);
}

/* Wait for one READ. 0, or why there is nothing to be had. */
static int await(struct stripe_lane *lane, const struct stripe *stripe)
{
	struct gather_patience patience = { 0 };

	while (stripe->state == STRIPE_READING)
		if (gather_turn(lane->stripes->view, &patience,
				lane->stripes->request->query.deadline_us))
			return -ETIMEDOUT;
	return stripe->error;
}

/* Keep as many READs under way as there is room for. */
static void read_ahead(struct stripe_lane *lane)
{
	const struct geometry *geometry = lane->place->far.geometry;

	for (unsigned int s = 0; s < lane->stripes->ahead && lane->next < geometry->homes; s++) {
		uint64_t homes = geometry->homes - lane->next;

		if (lane->ahead[s].state != STRIPE_IDLE)
			continue;
		if (homes > lane->stripes->homes_each)
			homes = lane->stripes->homes_each;
		if (post(lane, &lane->ahead[s], lane->next, homes + 1))
			return;
		lane->next += homes;
	}
}

/* The stripe that has @bucket, and its next one if it is a home. NULL: none that is read ahead. */
static struct stripe *find(struct stripe_lane *lane, uint64_t bucket)
{
	for (unsigned int s = 0; s < STRIPES_AHEAD; s++) {
		struct stripe *stripe = &lane->ahead[s];

		if (stripe->state != STRIPE_IDLE && bucket >= stripe->first &&
		    bucket - stripe->first < stripe->count)
			return stripe;
	}
	return NULL;
}

/* The scan has come to @home: what is before it is not needed any more. */
static void go_to(struct stripe_lane *lane, uint64_t home)
{
	for (unsigned int s = 0; s < STRIPES_AHEAD; s++) {
		struct stripe *stripe = &lane->ahead[s];

		if (stripe->state == STRIPE_THERE && home >= stripe->first + stripe->count - 1)
			stripe->state = STRIPE_IDLE;
	}
	read_ahead(lane);
}

/* Read two buckets (or the last one) by themselves. */
static const unsigned char *read_again(struct stripe_lane *lane, uint64_t bucket, int *error)
{
	struct stripe *stripe = &lane->again;
	uint64_t buckets = lane->place->far.geometry->slots / LAYOUT_SLOTS;

	lane->stripes->singles++;
	*error = post(lane, stripe, bucket, buckets - bucket < 2 ? buckets - bucket : 2);
	if (!*error)
		*error = await(lane, stripe);
	return *error ? NULL : stripe->room;
}

static const unsigned char *stripe_bucket(void *arg, uint64_t bucket, unsigned int attempt,
					  int *error)
{
	struct stripe_lane *lane = arg;
	struct stripe *stripe = &lane->again;
	size_t bucket_size = lane->place->far.geometry->bucket_size;

	/* Read a moment ago, with the one before it. */
	if (attempt > 1 && attempt == lane->again_attempt && bucket >= stripe->first &&
	    bucket - stripe->first < stripe->count)
		return stripe->room + (bucket - stripe->first) * bucket_size;
	lane->again_attempt = attempt;
	stripe = attempt == 1 ? find(lane, bucket) : NULL;
	if (!stripe)
		return read_again(lane, bucket, error);
	*error = await(lane, stripe);
	if (*error)
		return NULL;
	return stripe->room + (bucket - stripe->first) * bucket_size;
}

struct remote_source stripes_source(struct stripes *stripes, unsigned int i, uint64_t home,
				    int *error)
{
	struct stripe_lane *lane = &stripes->lanes[i];

	*error = lane->error;
	if (lane->error)
		return (struct remote_source){ 0 };
	go_to(lane, home);
	lane->again_attempt = 0;
	return (struct remote_source){ lane->place->far.geometry, lane->place->far.salt,
				       stripe_bucket, lane };
}

static size_t lane_bytes(const struct stripes *stripes, const struct geometry *geometry)
{
	size_t single = (size_t)geometry->bucket_size * 2;

	if (geometry->blocks && geometry->block_size > single)
		single = (geometry->block_size + (size_t)63) / 64 * 64;
	return (stripes->homes_each + 1) * STRIPES_AHEAD * geometry->bucket_size + single;
}

/* The last scan may have gone without what it had asked for: the memory is the READs' until then. */
static void wait_for_all(struct stripes *stripes)
{
	struct gather_patience patience = { 0 };

	for (unsigned int i = 0; i < stripes->room; i++) {
		struct stripe_lane *lane = &stripes->lanes[i];

		for (unsigned int s = 0; s <= STRIPES_AHEAD; s++) {
			struct stripe *stripe = s < STRIPES_AHEAD ? &lane->ahead[s] : &lane->again;

			while (stripe->state == STRIPE_READING)
				gather_turn(stripes->view, &patience, UINT64_MAX);
		}
	}
}

static struct stripes *make(struct estate_view *view, unsigned int lanes)
{
	struct stripes *stripes = view->stripes;

	if (stripes)
		wait_for_all(stripes);
	if (stripes && stripes->room >= lanes)
		return stripes;
	stripes = calloc(1, sizeof(*stripes) + lanes * sizeof(stripes->lanes[0]));
	if (!stripes) {
		error_set(-ENOMEM, "scan: no memory for %u instances", lanes);
		return NULL;
	}
	stripes->view = view;
	stripes->room = lanes;
	if (view->stripes)
		stripes->landing = view->stripes->landing;
	free(view->stripes);
	view->stripes = stripes;
	return stripes;
}

static void place_lane(struct stripe_lane *lane, unsigned char *room, size_t bucket_size)
{
	size_t stripe = (lane->stripes->homes_each + 1) * bucket_size;

	for (unsigned int s = 0; s < STRIPES_AHEAD; s++)
		lane->ahead[s] =
			(struct stripe){ .arrival = { arrived }, .room = room + s * stripe };
	lane->again =
		(struct stripe){ .arrival = { arrived }, .room = room + STRIPES_AHEAD * stripe };
}

int stripes_busy(const struct estate_view *view)
{
	const struct stripes *stripes = view->stripes;

	for (unsigned int i = 0; stripes && i < stripes->room; i++) {
		const struct stripe_lane *lane = &stripes->lanes[i];

		if (lane->again.state == STRIPE_READING)
			return 1;
		for (unsigned int s = 0; s < STRIPES_AHEAD; s++)
			if (lane->ahead[s].state == STRIPE_READING)
				return 1;
	}
	return 0;
}

void stripes_restart(struct stripes *stripes, uint64_t home, unsigned int ahead)
{
	wait_for_all(stripes);
	stripes->ahead = ahead ? ahead : STRIPES_AHEAD;
	for (unsigned int i = 0; i < stripes->request->lineup->roster->count; i++) {
		struct stripe_lane *lane = &stripes->lanes[i];

		if (!lane->endpoint || lane->error)
			continue;
		for (unsigned int s = 0; s < STRIPES_AHEAD; s++)
			lane->ahead[s].state = STRIPE_IDLE;
		lane->next = home;
		read_ahead(lane);
	}
}

uint64_t stripes_window(struct stripes *stripes, uint64_t home)
{
	stripes_restart(stripes, home, 1);
	for (unsigned int i = 0; i < stripes->request->lineup->roster->count; i++)
		await(&stripes->lanes[i], &stripes->lanes[i].ahead[0]);
	return home + stripes->homes_each;
}

uint64_t stripes_singles(const struct stripes *stripes)
{
	return stripes->singles;
}

int stripes_extent(struct stripes *stripes, unsigned int i, uint64_t block, uint32_t length,
		   unsigned char *value)
{
	struct stripe_lane *lane = &stripes->lanes[i];
	const struct far_table *table = &lane->place->far;
	struct stripe *stripe = &lane->again;
	int error = post_at(lane, stripe, geometry_block_offset(table->geometry, block), length);

	/* It is of no bucket. */
	stripe->count = 0;
	if (!error)
		error = await(lane, stripe);
	if (!error)
		memcpy(value, stripe->room, length);
	return error;
}

struct stripes *stripes_begin(struct estate_view *view, struct request *request, uint64_t home)
{
	const struct lineup *lineup = request->lineup;
	const struct geometry *geometry = &request->query.table->geometry;
	const struct view_place *places = lineup->places[request->query.table->number];
	struct stripes *stripes = make(view, lineup->roster->count);
	unsigned int far = 0;
	size_t bytes;

	if (!stripes)
		return NULL;
	stripes->request = request;
	stripes->ahead = STRIPES_AHEAD;
	stripes->homes_each = STRIPE_BYTES / geometry->bucket_size;
	stripes->homes_each = stripes->homes_each > 2 ? stripes->homes_each - 1 : 1;
	bytes = lane_bytes(stripes, geometry);
	if (!stripes->landing || stripes->landing->size < bytes * lineup->far) {
		if (view->transport->operations->landing(view->io, bytes * lineup->far,
							 &stripes->landing))
			return NULL;
	}
	for (unsigned int i = 0; i < lineup->roster->count; i++) {
		struct stripe_lane *lane = &stripes->lanes[i];

		*lane = (struct stripe_lane){ .stripes = stripes, .next = home, .error = -ENOENT };
		if (!lineup_is_far(&lineup->roster->entries[i]))
			continue;
		lane->endpoint = lineup->endpoints[i];
		lane->place = &places[i];
		lane->error = !lane->endpoint ? -EHOSTDOWN : places[i].state;
		place_lane(lane, stripes->landing->memory + far++ * bytes, geometry->bucket_size);
		if (!lane->error)
			read_ahead(lane);
	}
	return stripes;
}
