// SPDX-License-Identifier: BSD-3-Clause
#include "member.h"

#include "adopt.h"
#include "error.h"
#include "shared.h"
#include "shm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDSHAKE_US 1000000 /* a member that takes longer to answer is missing, for now */
#define RETRY_FIRST_US 20000
#define RETRY_LAST_US 1000000

int source_watch(struct group *group, struct source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	if (epoll_ctl(group->epoll, EPOLL_CTL_ADD, source->fd, &event))
		return error_set(-errno, "watching a connection: epoll: %m");
	return 0;
}

/*
 * A child of a fork() has the same descriptors, and keeps them open: closing ours
 * alone would leave its events with us, about something that is freed.
 */
void source_close(struct group *group, struct source *source)
{
	if (source->fd < 0)
		return;
	epoll_ctl(group->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	close(source->fd);
	source->fd = -1;
}

/* So that members that all lost the same peer do not all come back at the same moment. */
static uint64_t jitter(struct group *group, uint64_t us)
{
	return us / 2 + (uint64_t)rand_r(&group->random) % us;
}

/* The connection to a member is over, or did not come about: @reason says why. Lock held. */
static void lose(struct group *group, struct member *member, int error, const char *reason)
{
	int refused = member->refused || error == -ECONNREFUSED;
	int changed = member->peer || refused != member->refused;

	member->refused = refused;
	/* It may be this thread's last error, which what follows may change. */
	snprintf(member->reason, sizeof(member->reason), "%s", reason);
	source_close(group, &member->source);
	if (member->far)
		group->transport->operations->disconnect(group->transport, member);
	member->far = 0;
	member->connecting = 0;
	member->tried = 1;
	if (member->backoff_us < RETRY_FIRST_US)
		member->backoff_us = RETRY_FIRST_US;
	member->due_us = clock_monotonic_us() + jitter(group, member->backoff_us);
	member->backoff_us *= 2;
	if (member->backoff_us > RETRY_LAST_US)
		member->backoff_us = RETRY_LAST_US;
	peer_release(member->peer);
	member->peer = NULL;
	if (changed)
		roster_renew(group);
}

static void far_up(struct group *group, struct member *member, const struct transport_peer *peer);
static void far_down(struct group *group, struct member *member, int error);
static void far_trouble(struct group *group, struct member *member);
static void far_changed(struct group *group);

int member_transport(struct group *group, const char *listen)
{
	static const struct transport_events events = {
		.up = far_up,
		.down = far_down,
		.trouble = far_trouble,
		.changed = far_changed,
	};
	const struct transport_attr attr = { .identity = &group->identity,
					     .region = group->region,
					     .listen = listen,
					     .events = &events,
					     .group = group };
	int error = transport_open(&attr, &group->transport);

	if (error)
		return error;
	group->transport_events.fd = group->transport->operations->event_fd(group->transport);
	return source_watch(group, &group->transport_events);
}

/* Connect over a Unix socket: to @address itself, or to the one beside it. */
static int connect_near(struct group *group, struct member *member)
{
	char local[REGISTRY_ADDRESS_MAX];
	const char *address = member->address;
	int error = 0;

	if (transport_address(address)) {
		address = local;
		error = registry_local_address(member->address, local);
	}
	if (!error)
		error = shm_connect(address, group->identity.group, group->identity.name,
				    &member->source.fd);
	if (!error)
		error = source_watch(group, &member->source);
	if (error)
		source_close(group, &member->source);
	return error;
}

static int connect_far(struct group *group, struct member *member)
{
	int error = group->transport ? 0 : member_transport(group, "");

	if (error)
		return error;
	member->far = 1;
	return group->transport->operations->connect(group->transport, member->address, member);
}

static void connect_member(struct group *group, struct member *member)
{
	int kind = transport_address(member->address);
	int error = kind == TRANSPORT_ONLY ? -ENOENT : connect_near(group, member);

	if (kind && error)
		error = connect_far(group, member);
	if (!error) {
		member->connecting = 1;
		member->due_us = clock_monotonic_us() + HANDSHAKE_US;
		return;
	}
	lose(group, member, error, estate_errormsg());
	/* Nobody is there: died, perhaps, without a word. */
	if (!kind && member->listed_name[0] && (error == -ECONNREFUSED || error == -ENOENT))
		group->registry->operations->reap(group->registry, member->listed_name);
}

/* A peer can be read. It owns @region's memory. */
static void welcome(struct group *group, struct member *member, const struct peer *found,
		    const struct region_identity *identity)
{
	struct peer *peer;

	/* Everybody may be given the same list of addresses. */
	if (group->region &&
	    !memcmp(identity->uuid, group->identity.uuid, sizeof(identity->uuid))) {
		lose(group, member, 0, "this is the instance itself");
		member->ours = 1;
		roster_renew(group);
		return;
	}
	peer = malloc(sizeof(*peer));
	if (!peer) {
		lose(group, member, -ENOMEM, "no memory for a peer");
		return;
	}
	*peer = *found;
	peer->references = 1;
	member->peer = peer;
	member->identity = *identity;
	member->connecting = 0;
	member->tried = 1;
	member->refused = 0;
	member->backoff_us = 0;
	member->reason[0] = 0;
	member->heartbeat = region_heartbeat(peer->memory);
	member->beat_us = clock_monotonic_us();
	roster_renew(group);
}

static void welcome_near(struct group *group, struct member *member)
{
	struct shm_region region;
	int error = shm_accept(member->source.fd, group->identity.group, &region);

	if (error == -EAGAIN)
		return;
	if (error) {
		lose(group, member, error, estate_errormsg());
		return;
	}
	welcome(group, member,
		&(struct peer){ .memory = region.memory, .size = region.size, .pid = region.pid },
		&region.identity);
	if (!member->peer)
		shm_unmap(&region);
}

/* What a header says that was read after @seen_us; see struct peer. */
static uint64_t joined(const void *memory, uint64_t seen_us)
{
	return region_state(memory) == LAYOUT_JOINED ? seen_us : 0;
}

static void far_up(struct group *group, struct member *member, const struct transport_peer *peer)
{
	welcome(group, member,
		&(struct peer){ .far = peer->id,
				.joined_us = joined(peer->memory, peer->seen_us),
				.memory = peer->memory,
				.size = peer->size,
				.pid = peer->pid },
		&peer->identity);
	if (!member->peer)
		free((void *)(uintptr_t)peer->memory);
}

struct listing {
	struct group *group;
	int changed;
};

static int list_member(const char *name, const char *address, void *arg)
{
	struct listing *listing = arg;
	struct member *member;

	for (member = listing->group->members; member; member = member->next) {
		if (!strcmp(member->address, address)) {
			member->listed = 1;
			return 0;
		}
	}
	member = calloc(1, sizeof(*member));
	if (!member)
		return error_set(-ENOMEM, "no memory for a member");
	member->source = (struct source){ SOURCE_MEMBER, -1 };
	member->listed = 1;
	snprintf(member->listed_name, sizeof(member->listed_name), "%.*s", ESTATE_NAME_MAX - 1,
		 name);
	snprintf(member->address, sizeof(member->address), "%s", address);
	strcpy(member->reason, "not connected yet");
	member->next = listing->group->members;
	listing->group->members = member;
	listing->changed = 1;
	return 0;
}

void member_free(struct group *group, struct member *member)
{
	if (member->far)
		group->transport->operations->disconnect(group->transport, member);
	source_close(group, &member->source);
	peer_release(member->peer);
	free(member);
}

void members_list(struct group *group)
{
	struct listing listing = { .group = group };

	for (struct member *m = group->members; m; m = m->next)
		m->listed = 0;
	if (group->registry->operations->list(group->registry, list_member, &listing))
		return; /* unreadable for now: keep whom we know */
	for (struct member **link = &group->members; *link;) {
		struct member *member = *link;

		/* Still connected: it lives, whatever the registry says. */
		if (member->listed || member->peer) {
			link = &member->next;
			continue;
		}
		*link = member->next;
		member_free(group, member);
		listing.changed = 1;
	}
	if (listing.changed)
		roster_renew(group);
}

void member_event(struct group *group, struct member *member)
{
	char byte;

	if (member->connecting) {
		welcome_near(group, member);
		return;
	}
	/* A peer says nothing more: what comes is the end. */
	if (recv(member->source.fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return;
	lose(group, member, 0,
	     region_state(member->peer->memory) == LAYOUT_LEFT ? "it left the group" : "it died");
	/* See now whether it is gone for good or comes back, not after the back-off. */
	member->due_us = 0;
	members_list(group);
}

static void far_down(struct group *group, struct member *member, int error)
{
	int was_up = member->peer != NULL;

	lose(group, member, error, estate_errormsg());
	if (member->listed_name[0] && (was_up || error == -ECONNREFUSED)) {
		group->registry->operations->reap(group->registry, member->listed_name);
		members_list(group);
	}
}

static void far_trouble(struct group *group, struct member *member)
{
	(void)group;
	snprintf(member->reason, sizeof(member->reason), "%s", estate_errormsg());
}

static void far_changed(struct group *group)
{
	__atomic_add_fetch(&group->generation, 1, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&group->changed);
}

static void watch_heartbeat(struct group *group, struct member *member, uint64_t now)
{
	const struct transport *transport = group->transport;
	uint64_t heartbeat = region_heartbeat(member->peer->memory);

	if (heartbeat != member->heartbeat) {
		member->heartbeat = heartbeat;
		member->beat_us = now;
	}
	__atomic_store_n(&member->peer->stale, now - member->beat_us > MEMBER_STALE_US,
			 __ATOMIC_RELAXED);
	if (member->peer->far)
		shared_store(&member->peer->joined_us,
			     joined(member->peer->memory,
				    transport->operations->seen_us(transport, member->peer->far)));
}

/* Whether a member has sealed its region, for us to take it over. */
static int wants_us(const struct group *group, const struct member *member)
{
	const struct layout_header *header = member->peer->memory;

	return region_state(header) == LAYOUT_SEALED &&
	       !memcmp(header->adopter, group->identity.uuid, sizeof(header->adopter));
}

void members_watch(struct group *group)
{
	uint64_t now = clock_monotonic_us();
	int settled = 1;

	for (struct member *m = group->members; m; m = m->next) {
		if (m->peer) {
			watch_heartbeat(group, m, now);
			if (group->adopter && wants_us(group, m))
				adopter_wake(group->adopter);
		} else if (m->connecting && now >= m->due_us) {
			lose(group, m, -ETIMEDOUT,
			     m->far ? "it does not answer: its host or the network is down, "
				      "or it is stopped or hung"
				    : "it accepts connections but does not answer: stopped or "
				      "hung");
		} else if (!m->connecting && !m->ours && now >= m->due_us) {
			connect_member(group, m);
		}
		settled = settled && m->tried;
	}
	if (settled && !group->settled) {
		group->settled = 1;
		pthread_cond_broadcast(&group->changed);
	}
}
