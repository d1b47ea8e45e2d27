// SPDX-License-Identifier: BSD-3-Clause
/* The lanes of views to peers: made when either appears, mended when they break. */
#include "verbs.h"

#include "clock.h"
#include "error.h"
#include "explain.h"

#include <errno.h>
#include <stdlib.h>

#define CONNECT_US 2000000
#define BACKOFF_FIRST_US 10000
#define BACKOFF_LAST_US 1000000

/* READs on a queue pair in the error state are flushed at once; if not, they never will be. */
#define DRAIN_US 100000

static void changed(struct verbs *verbs)
{
	verbs->events->changed(verbs->group);
}

static uint64_t jitter(struct verbs *verbs, uint64_t us)
{
	return us / 2 + (uint64_t)rand_r(&verbs->random) % us;
}

static struct peer_link *peer_of(const struct verbs *verbs, uint64_t id)
{
	struct peer_link *peer = verbs->peers;

	while (peer && peer->id != id)
		peer = peer->next;
	return peer && peer->member ? peer : NULL;
}

/* Tell the group what went wrong, with the peer's address before the sentence that is set. */
static void tell(const struct peer_link *peer, int error)
{
	if (!peer)
		return;
	peer_sentence(peer, error);
	peer->verbs->events->trouble(peer->verbs->group, peer->member);
}

/* From now on the view does not post on it; when it has drained it is freed. */
static void stop(struct lane *lane)
{
	__atomic_store_n(&lane->link.state, LINK_DOWN, __ATOMIC_RELEASE);
	lane->drain_us = clock_monotonic_us() + DRAIN_US;
	link_stop(&lane->link);
}

static void take_down(struct verbs *verbs, struct lane *lane)
{
	if (lane->link.state == LINK_DOWN)
		return;
	stop(lane);
	if (!lane->backoff_us)
		lane->backoff_us = BACKOFF_FIRST_US;
	lane->due_us = clock_monotonic_us() + jitter(verbs, lane->backoff_us);
	changed(verbs);
}

void lane_start(struct io *io, struct peer_link *peer, uint64_t backoff_us)
{
	struct verbs *verbs = peer->verbs;
	struct lane *lane = io_lane(io, peer->id);

	/* Until there is room this view says that the peer is not connected. */
	if (!lane) {
		tell(peer, -ENOMEM);
		io->mend_us = clock_monotonic_us() + BACKOFF_LAST_US;
		return;
	}
	lane->backoff_us = backoff_us;
	lane->due_us = clock_monotonic_us() + CONNECT_US;
	if (link_start(&lane->link, verbs->channel, (struct sockaddr *)&peer->address)) {
		tell(peer, -EHOSTUNREACH);
		take_down(verbs, lane);
	}
}

static int needs_queue(struct verbs *verbs, struct lane *lane)
{
	struct device *device = device_of(&verbs->devices, lane->link.id->verbs, verbs->region);
	int error;

	if (!device)
		return -ENOMEM;
	error = io_lane_device(lane, device);
	if (error)
		return error;
	return link_connect(&lane->link, device, lane->io->devices[lane->device].completions,
			    (int)lane->depth, &verbs->identity);
}

/* It is connected: to the very instance that its peer was checked to be? */
static int ready(struct verbs *verbs, struct lane *lane)
{
	const struct peer_link *peer = peer_of(verbs, lane->peer);
	const struct handshake_welcome *welcome = &lane->link.welcome;

	if (!peer || memcmp(welcome->uuid, peer->identity.uuid, sizeof(welcome->uuid)) ||
	    welcome->epoch != peer->identity.epoch || welcome->size != peer->link.welcome.size)
		return error_set(-EHOSTDOWN, "another instance listens there now");
	lane->backoff_us = 0;
	__atomic_store_n(&lane->link.state, LINK_READY, __ATOMIC_RELEASE);
	changed(verbs);
	return 0;
}

void lane_event(struct verbs *verbs, struct lane *lane, const struct cm_event *event)
{
	int result = link_event(&lane->link, event);

	if (lane->link.state == LINK_DOWN)
		return;
	if (result == LINK_NEEDS_QUEUE)
		result = needs_queue(verbs, lane);
	if (result == LINK_UP)
		result = ready(verbs, lane);
	if (result < 0) {
		tell(peer_of(verbs, lane->peer), result);
		take_down(verbs, lane);
	}
}

void lanes_drop(struct verbs *verbs, uint64_t peer)
{
	for (struct io *io = verbs->ios; io; io = io->next)
		for (struct lane *lane = io->lanes; lane; lane = lane->next)
			if (lane->peer == peer)
				take_down(verbs, lane);
}

int lanes_settled(const struct verbs *verbs, uint64_t peer)
{
	for (const struct io *io = verbs->ios; io; io = io->next)
		for (const struct lane *lane = io->lanes; lane; lane = lane->next)
			if (lane->peer == peer && lane->link.state == LINK_CONNECTING &&
			    !lane->backoff_us)
				return 0;
	return 1;
}

static void tick(struct verbs *verbs, struct lane *lane, uint64_t now)
{
	struct io *io = lane->io;
	struct peer_link *peer = peer_of(verbs, lane->peer);
	int failure = __atomic_load_n(&lane->failure, __ATOMIC_ACQUIRE);

	if (lane->link.state == LINK_READY && failure) {
		tell(peer, error_set(-EHOSTDOWN, "READ: %s (%d): %s", ibv_wc_status_str(failure),
				     failure, explain_completion(failure)));
		take_down(verbs, lane);
	} else if (lane->link.state == LINK_CONNECTING && now >= lane->due_us) {
		tell(peer,
		     error_set(-ETIMEDOUT, "rdma_connect: no answer in %d ms: %s",
			       CONNECT_US / 1000, explain_event(RDMA_CM_EVENT_UNREACHABLE, 0)));
		take_down(verbs, lane);
	}
	if (lane->link.state != LINK_DOWN)
		return;
	if (!lane->replaced && peer && !io->retiring && now >= lane->due_us) {
		uint64_t backoff = lane->backoff_us * 2;

		lane->replaced = 1;
		lane_start(io, peer, backoff < BACKOFF_LAST_US ? backoff : BACKOFF_LAST_US);
	}
	if ((lane->replaced || !peer || io->retiring) && io_lane_idle(lane)) {
		io_lane_free(lane);
		changed(verbs);
	} else if (now >= lane->drain_us) {
		io_lane_drain(lane);
	}
}

static int has_lane(const struct io *io, uint64_t peer)
{
	for (const struct lane *lane = io->lanes; lane; lane = lane->next)
		if (lane->peer == peer && !lane->replaced)
			return 1;
	return 0;
}

/* Lanes could not be made: there may be memory, or a number, for them by now. */
static void mend(struct verbs *verbs, struct io *io, uint64_t now)
{
	if (!io->mend_us || now < io->mend_us)
		return;
	io->mend_us = 0;
	for (struct peer_link *peer = verbs->peers; peer; peer = peer->next)
		if (peer->checked && peer->member && !has_lane(io, peer->id))
			lane_start(io, peer, BACKOFF_LAST_US);
}

/* Its view waits for its end: poll for it, so that every READ is accounted for. */
static void retire(struct verbs *verbs, struct io *io)
{
	struct transport_done done[IO_POLL_BATCH];

	while (io_poll(&io->base, done, IO_POLL_BATCH))
		;
	if (io->lanes)
		return;
	for (struct io **link = &verbs->ios; *link; link = &(*link)->next) {
		if (*link == io) {
			*link = io->next;
			break;
		}
	}
	io->retired = 1;
	changed(verbs);
}

void lanes_tick(struct verbs *verbs, uint64_t now)
{
	for (struct io *io = verbs->ios; io;) {
		struct io *next = io->next;

		for (struct lane *lane = io->lanes; lane;) {
			struct lane *after = lane->next;

			tick(verbs, lane, now);
			lane = after;
		}
		if (io->retiring)
			retire(verbs, io);
		else
			mend(verbs, io, now);
		io = next;
	}
}

int lane_io_open(struct transport *transport, struct transport_io **result)
{
	struct verbs *verbs = (struct verbs *)transport;
	struct io *io = io_make();

	if (!io)
		return -ENOMEM;
	io->next = verbs->ios;
	verbs->ios = io;
	for (struct peer_link *peer = verbs->peers; peer; peer = peer->next)
		if (peer->checked && peer->member)
			lane_start(io, peer, 0);
	*result = &io->base;
	return 0;
}

int lane_io_settled(const struct transport_io *base)
{
	const struct io *io = (const struct io *)base;

	for (const struct lane *lane = io->lanes; lane; lane = lane->next)
		if (lane->link.state == LINK_CONNECTING && !lane->backoff_us)
			return 0;
	return 1;
}

void lane_io_retire(struct transport_io *base)
{
	struct io *io = (struct io *)base;

	io->retiring = 1;
	for (struct lane *lane = io->lanes; lane; lane = lane->next)
		if (lane->link.state != LINK_DOWN)
			stop(lane);
}

int lane_io_retired(struct transport_io *base)
{
	struct io *io = (struct io *)base;

	if (!io->retired)
		return 0;
	io_free(io);
	return 1;
}

struct endpoint *lane_io_endpoint(struct transport_io *base, uint64_t peer)
{
	struct io *io = (struct io *)base;

	for (struct lane *lane = io->lanes; lane; lane = lane->next)
		if (lane->peer == peer && lane->link.state == LINK_READY)
			return &lane->endpoint;
	return NULL;
}
