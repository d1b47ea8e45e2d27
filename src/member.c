// SPDX-License-Identifier: BSD-3-Clause
#include "member.h"

#include "error.h"
#include "shared.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define WATCH_US 20000 /* between two looks at the heartbeats, and for connections to try */
#define HANDSHAKE_US 1000000 /* a member that takes longer to answer is missing, for now */
#define RETRY_FIRST_US 20000
#define RETRY_LAST_US 1000000
#define READERS_MAX 1024 /* connections that others may hold to us */

/* What an epoll event is about. */
enum source_kind {
	SOURCE_TICK,
	SOURCE_STOP,
	SOURCE_REGISTRY,
	SOURCE_LISTENER,
	SOURCE_READER,
	SOURCE_MEMBER
};

struct source {
	enum source_kind kind;
	int fd;
};

/* Somebody who reads us. */
struct reader {
	struct source source;
	struct reader *next;
};

/* Somebody whom the registry lists. Only the background thread changes it, under the lock. */
struct member {
	struct source source; /* the connection; fd is -1 if there is none */
	struct member *next;
	int listed; /* in the registry, at the last look */
	int connecting;
	int tried; /* reached, or found missing, at least once */
	char listed_name[ESTATE_NAME_MAX]; /* as the registry has it; may be "" */
	char address[REGISTRY_ADDRESS_MAX];
	struct peer *peer; /* NULL while it cannot be read */
	struct region_identity identity; /* of the peer that it is, or was last; zeros before */
	char reason[256];
	uint64_t heartbeat;
	uint64_t beat_us; /* when that was first seen */
	uint64_t due_us; /* when to try to connect, or to give the handshake up */
	uint64_t backoff_us;
};

struct group {
	struct region_identity identity;
	struct region *region;
	struct clock *clock;
	struct registry *registry;
	char address[REGISTRY_ADDRESS_MAX];
	pthread_t thread;
	int epoll;
	struct source tick;
	struct source stop;
	struct source events;
	struct source listener;
	struct reader *readers;
	unsigned int reader_count;
	unsigned int random; /* state of the jitter */

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t changed;
	struct member *members;
	struct roster *roster;
	int settled; /* every member of the first list was tried */
	uint64_t generation; /* read without the lock */
};

static void peer_release(struct peer *peer)
{
	if (!peer || __atomic_sub_fetch(&peer->references, 1, __ATOMIC_ACQ_REL))
		return;
	shm_unmap(&peer->region);
	free(peer);
}

void roster_release(struct roster *roster)
{
	if (!roster || __atomic_sub_fetch(&roster->references, 1, __ATOMIC_ACQ_REL))
		return;
	for (unsigned int i = 0; i < roster->count; i++)
		peer_release(roster->entries[i].peer);
	free(roster);
}

static int compare_entries(const void *a, const void *b)
{
	const struct roster_entry *left = a;
	const struct roster_entry *right = b;
	int order = memcmp(left->uuid, right->uuid, sizeof(left->uuid));

	return order ? order : strcmp(left->name, right->name);
}

/* What is known of it: its own word, else the registry's, else where it should be. */
static void member_name(const struct member *member, char name[ESTATE_NAME_MAX])
{
	const char *known = member->identity.name[0] ? member->identity.name
			    : member->listed_name[0] ? member->listed_name
						     : member->address;

	snprintf(name, ESTATE_NAME_MAX, "%.*s", ESTATE_NAME_MAX - 1, known);
}

/* Replace the roster by what the members are now. The caller has the lock. */
static void renew_roster(struct group *group)
{
	unsigned int count = !!group->region;
	struct roster *roster;

	for (const struct member *m = group->members; m; m = m->next)
		count++;
	roster = calloc(1, sizeof(*roster) + count * sizeof(roster->entries[0]));
	/* No memory: views go on with the old one, and the next change tries again. */
	if (!roster)
		return;
	roster->references = 1;
	for (const struct member *m = group->members; m; m = m->next) {
		struct roster_entry *entry = &roster->entries[roster->count++];

		entry->peer = m->peer;
		if (m->peer)
			__atomic_add_fetch(&m->peer->references, 1, __ATOMIC_RELAXED);
		member_name(m, entry->name);
		memcpy(entry->uuid, m->identity.uuid, sizeof(entry->uuid));
		entry->epoch = m->identity.epoch;
	}
	if (group->region) {
		struct roster_entry *entry = &roster->entries[roster->count++];

		entry->self = 1;
		strcpy(entry->name, group->identity.name);
		memcpy(entry->uuid, group->identity.uuid, sizeof(entry->uuid));
		entry->epoch = group->identity.epoch;
	}
	qsort(roster->entries, roster->count, sizeof(roster->entries[0]), compare_entries);
	roster_release(group->roster);
	group->roster = roster;
	__atomic_add_fetch(&group->generation, 1, __ATOMIC_RELEASE);
}

uint64_t group_generation(const struct group *group)
{
	return __atomic_load_n(&group->generation, __ATOMIC_ACQUIRE);
}

struct roster *group_roster(struct group *group, uint64_t *generation)
{
	struct roster *roster;

	pthread_mutex_lock(&group->lock);
	roster = group->roster;
	__atomic_add_fetch(&roster->references, 1, __ATOMIC_RELAXED);
	*generation = group->generation;
	pthread_mutex_unlock(&group->lock);
	return roster;
}

static int watch(struct group *group, struct source *source)
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
static void close_source(struct group *group, struct source *source)
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
static void lose(struct group *group, struct member *member, const char *reason)
{
	close_source(group, &member->source);
	member->connecting = 0;
	member->tried = 1;
	snprintf(member->reason, sizeof(member->reason), "%s", reason);
	if (member->backoff_us < RETRY_FIRST_US)
		member->backoff_us = RETRY_FIRST_US;
	member->due_us = clock_monotonic_us() + jitter(group, member->backoff_us);
	member->backoff_us *= 2;
	if (member->backoff_us > RETRY_LAST_US)
		member->backoff_us = RETRY_LAST_US;
	if (!member->peer)
		return;
	peer_release(member->peer);
	member->peer = NULL;
	renew_roster(group);
}

static void connect_member(struct group *group, struct member *member)
{
	int error = shm_connect(member->address, group->identity.group, group->identity.name,
				&member->source.fd);

	if (!error) {
		error = watch(group, &member->source);
		member->connecting = 1;
		member->due_us = clock_monotonic_us() + HANDSHAKE_US;
	}
	if (error) {
		lose(group, member, estate_errormsg());
		/* Nobody is there: died, perhaps, without a word. */
		if (member->listed_name[0] && (error == -ECONNREFUSED || error == -ENOENT))
			group->registry->operations->reap(group->registry, member->listed_name);
	}
}

static void welcome_member(struct group *group, struct member *member)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	int error;

	if (!peer) {
		lose(group, member, "no memory for a peer");
		return;
	}
	error = shm_accept(member->source.fd, group->identity.group, &peer->region);
	if (error) {
		free(peer);
		if (error != -EAGAIN)
			lose(group, member, estate_errormsg());
		return;
	}
	peer->references = 1;
	member->peer = peer;
	member->identity = peer->region.identity;
	member->connecting = 0;
	member->tried = 1;
	member->backoff_us = 0;
	member->reason[0] = 0;
	member->heartbeat = region_heartbeat(peer->region.memory);
	member->beat_us = clock_monotonic_us();
	renew_roster(group);
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

static void free_member(struct group *group, struct member *member)
{
	close_source(group, &member->source);
	peer_release(member->peer);
	free(member);
}

/* Make the members what the registry lists. Lock held. */
static void read_registry(struct group *group)
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
		free_member(group, member);
		listing.changed = 1;
	}
	if (listing.changed)
		renew_roster(group);
}

static void member_event(struct group *group, struct member *member)
{
	char byte;

	if (member->connecting) {
		welcome_member(group, member);
		return;
	}
	/* A peer says nothing more: what comes is the end. */
	if (recv(member->source.fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return;
	lose(group, member,
	     region_state(member->peer->region.memory) == LAYOUT_LEFT ? "it left the group"
								      : "it died");
	/* See now whether it is gone for good or comes back, not after the back-off. */
	member->due_us = 0;
	read_registry(group);
}

static void watch_heartbeat(struct member *member, uint64_t now)
{
	uint64_t heartbeat = region_heartbeat(member->peer->region.memory);

	if (heartbeat != member->heartbeat) {
		member->heartbeat = heartbeat;
		member->beat_us = now;
	}
	__atomic_store_n(&member->peer->stale, now - member->beat_us > MEMBER_STALE_US,
			 __ATOMIC_RELAXED);
}

static void watch_members(struct group *group)
{
	uint64_t now = clock_monotonic_us();
	int settled = 1;

	for (struct member *m = group->members; m; m = m->next) {
		if (m->peer)
			watch_heartbeat(m, now);
		else if (m->connecting && now >= m->due_us)
			lose(group, m,
			     "it accepts connections but does not answer: stopped or hung");
		else if (!m->connecting && now >= m->due_us)
			connect_member(group, m);
		settled = settled && m->tried;
	}
	if (settled && !group->settled) {
		group->settled = 1;
		pthread_cond_broadcast(&group->changed);
	}
}

static void accept_readers(struct group *group)
{
	int fd;

	while ((fd = accept4(group->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct reader *reader = calloc(1, sizeof(*reader));

		if (reader)
			reader->source = (struct source){ SOURCE_READER, fd };
		if (!reader || group->reader_count == READERS_MAX ||
		    watch(group, &reader->source)) {
			free(reader);
			close(fd);
			continue;
		}
		reader->next = group->readers;
		group->readers = reader;
		group->reader_count++;
	}
}

static void reader_event(struct group *group, struct reader *reader)
{
	int error = shm_answer(reader->source.fd, &group->identity, group->region);

	if (!error || error == -EAGAIN)
		return;
	for (struct reader **link = &group->readers; *link; link = &(*link)->next) {
		if (*link == reader) {
			*link = reader->next;
			break;
		}
	}
	group->reader_count--;
	close_source(group, &reader->source);
	free(reader);
}

static void tick(struct group *group, uint64_t *watched)
{
	uint64_t expirations;
	uint64_t now;

	if (read(group->tick.fd, &expirations, sizeof(expirations)) < 0)
		return;
	clock_tick(group->clock);
	if (group->region) {
		struct layout_header *header = region_header(group->region);

		shared_store(&header->heartbeat, header->heartbeat + 1);
	}
	now = clock_monotonic_us();
	if (now - *watched < WATCH_US)
		return;
	*watched = now;
	pthread_mutex_lock(&group->lock);
	watch_members(group);
	pthread_mutex_unlock(&group->lock);
}

/* What happened to @source; returns 1 if it was told to stop. */
static int handle(struct group *group, struct source *source, uint64_t *watched)
{
	switch (source->kind) {
	case SOURCE_STOP:
		return 1;
	case SOURCE_TICK:
		tick(group, watched);
		return 0;
	case SOURCE_LISTENER:
		accept_readers(group);
		return 0;
	case SOURCE_READER:
		reader_event(group, (struct reader *)source);
		return 0;
	case SOURCE_REGISTRY:
		pthread_mutex_lock(&group->lock);
		read_registry(group);
		watch_members(group);
		pthread_mutex_unlock(&group->lock);
		return 0;
	case SOURCE_MEMBER:
		pthread_mutex_lock(&group->lock);
		member_event(group, (struct member *)source);
		watch_members(group);
		pthread_mutex_unlock(&group->lock);
		return 0;
	}
	return 0;
}

static void *run(void *arg)
{
	struct group *group = arg;
	uint64_t watched = 0;

	for (;;) {
		/* One at a time: what one event does may free what the next is about. */
		struct epoll_event event;
		int count = epoll_wait(group->epoll, &event, 1, -1);

		if (count < 0 && errno != EINTR)
			return NULL;
		if (count > 0 && handle(group, event.data.ptr, &watched))
			return NULL;
	}
}

static int open_sources(struct group *group)
{
	struct itimerspec period = { .it_interval = { .tv_nsec = CLOCK_TICK_US * 1000 },
				     .it_value = { .tv_nsec = CLOCK_TICK_US * 1000 } };
	int error;

	group->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (group->epoll < 0)
		return error_set(-errno, "epoll_create1: %m");
	group->tick.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (group->tick.fd < 0 || timerfd_settime(group->tick.fd, 0, &period, NULL))
		return error_set(-errno, "a timer for the clock: timerfd: %m");
	group->stop.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (group->stop.fd < 0)
		return error_set(-errno, "eventfd: %m");
	error = watch(group, &group->tick);
	if (!error)
		error = watch(group, &group->stop);
	group->events.fd = group->registry->event_fd;
	if (!error && group->events.fd >= 0)
		error = watch(group, &group->events);
	return error;
}

static int start_listening(struct group *group)
{
	int error = group->registry->operations->claim(group->registry, group->identity.name,
						       group->address);

	if (error)
		return error;
	error = shm_listen(group->address, group->registry->private_socket, &group->listener.fd);
	if (error)
		return error;
	return watch(group, &group->listener);
}

/* A signal is for the program's own threads. */
static int start_thread(struct group *group)
{
	sigset_t all;
	sigset_t before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&group->thread, NULL, run, group);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return error_set(-error, "starting the background thread: %s", strerror(error));
	pthread_setname_np(group->thread, "estate");
	return 0;
}

static void wait_settled(struct group *group)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&group->lock);
	while (!group->settled && !pthread_cond_timedwait(&group->changed, &group->lock, &until))
		;
	pthread_mutex_unlock(&group->lock);
}

static void destroy(struct group *group)
{
	while (group->members) {
		struct member *member = group->members;

		group->members = member->next;
		free_member(group, member);
	}
	while (group->readers) {
		struct reader *reader = group->readers;

		group->readers = reader->next;
		close_source(group, &reader->source);
		free(reader);
	}
	roster_release(group->roster);
	close_source(group, &group->listener);
	close_source(group, &group->tick);
	close_source(group, &group->stop);
	if (group->epoll >= 0)
		close(group->epoll);
	if (group->registry)
		group->registry->operations->close(group->registry);
	pthread_cond_destroy(&group->changed);
	pthread_mutex_destroy(&group->lock);
	free(group);
}

int group_join(const struct estate_attr *attr, const struct region_identity *identity,
	       struct region *region, struct clock *clock, struct group **result)
{
	struct group *group = calloc(1, sizeof(*group));
	int error;

	if (!group)
		return error_set(-ENOMEM, "no memory for a group");
	group->identity = *identity;
	group->region = region;
	group->clock = clock;
	group->epoll = -1;
	group->tick = (struct source){ SOURCE_TICK, -1 };
	group->stop = (struct source){ SOURCE_STOP, -1 };
	group->events = (struct source){ SOURCE_REGISTRY, -1 };
	group->listener = (struct source){ SOURCE_LISTENER, -1 };
	memcpy(&group->random, identity->uuid, sizeof(group->random));
	pthread_mutex_init(&group->lock, NULL);
	pthread_cond_init(&group->changed, NULL);

	error = registry_open(attr, &group->registry);
	if (error)
		goto fail;
	error = open_sources(group);
	if (!error && region)
		error = start_listening(group);
	if (error)
		goto fail;
	read_registry(group);
	if (!group->roster)
		renew_roster(group);
	if (!group->roster) {
		error = error_set(-ENOMEM, "no memory for a roster");
		goto fail;
	}
	if (region)
		error = group->registry->operations->join(group->registry);
	if (!error)
		error = start_thread(group);
	if (error)
		goto fail;
	wait_settled(group);
	*result = group;
	return 0;

fail:
	destroy(group);
	return error;
}

void group_leave(struct group *group)
{
	uint64_t one = 1;

	if (group->region) {
		__atomic_store_n(&region_header(group->region)->state, LAYOUT_LEFT,
				 __ATOMIC_RELEASE);
		group->registry->operations->leave(group->registry);
	}
	/* Cannot fail: the counter is at 0. */
	if (write(group->stop.fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(group->thread, NULL);
	destroy(group);
}

static int compare_members(const void *a, const void *b)
{
	const struct estate_member *left = a;
	const struct estate_member *right = b;

	return strcmp(left->name, right->name);
}

static void describe(const struct member *member, uint64_t now, struct estate_member *out)
{
	*out = (struct estate_member){ .epoch = member->identity.epoch };
	member_name(member, out->name);
	memcpy(out->uuid, member->identity.uuid, sizeof(out->uuid));
	strcpy(out->address, member->address);
	if (!member->peer) {
		out->state = ESTATE_MEMBER_MISSING;
		strcpy(out->reason, member->reason);
		return;
	}
	out->pid = member->peer->region.pid;
	out->heartbeat_us = now - member->beat_us;
	out->state = member->peer->stale ? ESTATE_MEMBER_STALE : ESTATE_MEMBER_LIVE;
}

int group_members(struct group *group, struct estate_member *members, unsigned int max)
{
	uint64_t now;
	unsigned int count = 0;

	pthread_mutex_lock(&group->lock);
	now = clock_monotonic_us();
	for (const struct member *m = group->members; m; m = m->next, count++)
		if (count < max)
			describe(m, now, &members[count]);
	if (group->region) {
		if (count < max) {
			struct estate_member *self = &members[count];

			*self = (struct estate_member){ .epoch = group->identity.epoch,
							.pid = getpid(),
							.self = 1,
							.state = ESTATE_MEMBER_LIVE };
			strcpy(self->name, group->identity.name);
			memcpy(self->uuid, group->identity.uuid, sizeof(self->uuid));
			strcpy(self->address, group->address);
		}
		count++;
	}
	pthread_mutex_unlock(&group->lock);
	if (members)
		qsort(members, count < max ? count : max, sizeof(*members), compare_members);
	return (int)count;
}
