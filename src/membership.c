// SPDX-License-Identifier: BSD-3-Clause
#include "membership.h"

#include "ask.h"
#include "error.h"
#include "member.h"
#include "shared.h"
#include "shm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define WATCH_US 20000 /* between two looks at the heartbeats, and for connections to try */
#define RENEW_US 500000 /* a far member that takes longer is taken for what it was */
#define READERS_MAX 1024 /* connections that others may hold to us */

const uint64_t *group_generation(const struct group *group)
{
	return &group->generation;
}

struct endpoint *group_endpoint(struct group *group, struct transport_io *io,
				const struct roster_entry *entry)
{
	struct endpoint *endpoint;

	if (!io || !entry->peer || !entry->peer->far)
		return NULL;
	pthread_mutex_lock(&group->lock);
	endpoint = group->transport->operations->io_endpoint(io, entry->peer->far);
	pthread_mutex_unlock(&group->lock);
	return endpoint;
}

void group_endpoints(struct group *group, struct transport_io *io, const struct roster *roster,
		     struct endpoint **endpoints)
{
	pthread_mutex_lock(&group->lock);
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct peer *peer = roster->entries[i].peer;

		endpoints[i] = NULL;
		if (peer && peer->far)
			endpoints[i] = group->transport->operations->io_endpoint(io, peer->far);
	}
	pthread_mutex_unlock(&group->lock);
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

/* The copies of @peer, or (0) of all. 1: they are of now; 0: not yet; or a negative errno value. */
static int renew(struct group *group, uint64_t peer)
{
	const struct timespec pause = { .tv_nsec = 500000 };
	uint64_t since = clock_monotonic_us();
	int renewed = 0;

	pthread_mutex_lock(&group->lock);
	if (group->transport)
		group->transport->operations->renew(group->transport, peer);
	while (group->transport && !renewed && clock_monotonic_us() < since + RENEW_US) {
		renewed = group->transport->operations->renewed(group->transport, peer, since);
		pthread_mutex_unlock(&group->lock);
		if (!renewed)
			nanosleep(&pause, NULL);
		pthread_mutex_lock(&group->lock);
	}
	pthread_mutex_unlock(&group->lock);
	return renewed;
}

void group_renew(struct group *group)
{
	renew(group, 0);
}

int group_renew_peer(struct group *group, const struct peer *peer)
{
	int renewed;

	/* What was stored before this is seen by those who see less than what is loaded after it. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!peer->far)
		return 0;
	renewed = renew(group, peer->far);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return renewed > 0 ? 0 : renewed ? renewed : -ETIMEDOUT;
}

struct transport *group_transport(struct group *group)
{
	struct transport *transport;

	pthread_mutex_lock(&group->lock);
	transport = group->transport;
	pthread_mutex_unlock(&group->lock);
	return transport;
}

int group_io_open(struct group *group, struct transport_io **io)
{
	const struct transport_operations *operations = group->transport->operations;
	struct timespec until;
	int error;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&group->lock);
	error = operations->io_open(group->transport, io);
	while (!error && !operations->io_settled(*io) &&
	       !pthread_cond_timedwait(&group->changed, &group->lock, &until))
		;
	pthread_mutex_unlock(&group->lock);
	return error;
}

void group_io_close(struct group *group, struct transport_io *io)
{
	const struct transport_operations *operations = group->transport->operations;

	pthread_mutex_lock(&group->lock);
	operations->io_retire(io);
	while (!operations->io_retired(io))
		pthread_cond_wait(&group->changed, &group->lock);
	pthread_mutex_unlock(&group->lock);
}

static void accept_readers(struct group *group)
{
	int fd;

	while ((fd = accept4(group->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct reader *reader = calloc(1, sizeof(*reader));

		if (reader)
			reader->source = (struct source){ SOURCE_READER, fd };
		if (!reader || group->reader_count == READERS_MAX ||
		    source_watch(group, &reader->source)) {
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
	int error = ask_waits(reader->source.fd)
			    ? wish_take(group, reader)
			    : shm_answer(reader->source.fd, &group->identity, group->region);

	if (!error || error == -EAGAIN)
		return;
	for (struct reader **link = &group->readers; *link; link = &(*link)->next) {
		if (*link == reader) {
			*link = reader->next;
			break;
		}
	}
	group->reader_count--;
	source_close(group, &reader->source);
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
	wish_tell(group);
	now = clock_monotonic_us();
	if (!group->transport && now - *watched < WATCH_US)
		return;
	pthread_mutex_lock(&group->lock);
	if (group->transport)
		group->transport->operations->tick(group->transport, now);
	if (now - *watched >= WATCH_US) {
		*watched = now;
		members_watch(group);
	}
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
	case SOURCE_TRANSPORT:
		pthread_mutex_lock(&group->lock);
		group->transport->operations->handle(group->transport);
		members_watch(group);
		pthread_mutex_unlock(&group->lock);
		return 0;
	case SOURCE_REGISTRY:
		pthread_mutex_lock(&group->lock);
		members_list(group);
		members_watch(group);
		pthread_mutex_unlock(&group->lock);
		return 0;
	case SOURCE_MEMBER:
		pthread_mutex_lock(&group->lock);
		member_event(group, (struct member *)source);
		members_watch(group);
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
	error = source_watch(group, &group->tick);
	if (!error)
		error = source_watch(group, &group->stop);
	group->events.fd = group->registry->event_fd;
	if (!error && group->events.fd >= 0)
		error = source_watch(group, &group->events);
	return error;
}

static int start_listening(struct group *group, const char *listen)
{
	char local[REGISTRY_ADDRESS_MAX];
	int kind = listen ? transport_address(listen) : 0;
	int error =
		group->registry->operations->claim(group->registry, group->identity.name, local);

	if (error)
		return error;
	if (listen && !kind && strcmp(listen, local))
		return error_set(-EINVAL,
				 "listen \"%s\": with a folder as registry it must be HOST:PORT "
				 "or verbs:HOST:PORT, an address of an RDMA device",
				 listen);
	strcpy(group->address, local);
	if (kind) {
		error = member_transport(group, listen);
		if (error)
			return error;
		snprintf(group->address, sizeof(group->address), "%s",
			 group->transport->operations->address(group->transport));
		if (kind == TRANSPORT_ONLY)
			return 0;
		if (transport_address(local))
			error = registry_local_address(group->address, local);
	}
	if (!error)
		error = shm_listen(local, group->registry->private_socket, &group->listener.fd);
	if (error)
		return error;
	return source_watch(group, &group->listener);
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
		member_free(group, member);
	}
	while (group->readers) {
		struct reader *reader = group->readers;

		group->readers = reader->next;
		source_close(group, &reader->source);
		free(reader);
	}
	roster_release(group->roster);
	if (group->transport)
		group->transport->operations->close(group->transport);
	source_close(group, &group->listener);
	source_close(group, &group->tick);
	source_close(group, &group->stop);
	if (group->epoll >= 0)
		close(group->epoll);
	if (group->registry)
		group->registry->operations->close(group->registry);
	pthread_cond_destroy(&group->changed);
	pthread_mutex_destroy(&group->lock);
	free(group);
}

int group_join(const struct estate_attr *attr, const struct region_identity *identity,
	       struct region *region, struct clock *clock, struct adopter *adopter,
	       struct group **result)
{
	struct group *group = calloc(1, sizeof(*group));
	int error;

	if (!group)
		return error_set(-ENOMEM, "no memory for a group");
	group->identity = *identity;
	group->region = region;
	group->clock = clock;
	group->adopter = adopter;
	group->epoll = -1;
	group->tick = (struct source){ SOURCE_TICK, -1 };
	group->stop = (struct source){ SOURCE_STOP, -1 };
	group->events = (struct source){ SOURCE_REGISTRY, -1 };
	group->listener = (struct source){ SOURCE_LISTENER, -1 };
	group->transport_events = (struct source){ SOURCE_TRANSPORT, -1 };
	memcpy(&group->random, identity->uuid, sizeof(group->random));
	pthread_mutex_init(&group->lock, NULL);
	pthread_cond_init(&group->changed, NULL);

	error = registry_open(attr, &group->registry);
	if (error)
		goto fail;
	error = open_sources(group);
	if (!error && region)
		error = start_listening(group, attr->listen);
	if (error)
		goto fail;
	members_list(group);
	if (!group->roster)
		roster_renew(group);
	if (!group->roster) {
		error = error_set(-ENOMEM, "no memory for a roster");
		goto fail;
	}
	if (region)
		error = group->registry->operations->join(group->registry, group->address);
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
	wish_end(group);
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
	strcpy(out->reason, member->reason);
	if (!member->peer) {
		out->state = ESTATE_MEMBER_MISSING;
		return;
	}
	out->pid = member->peer->pid;
	out->heartbeat_us = now - member->beat_us;
	out->state = member->peer->stale ? ESTATE_MEMBER_STALE : ESTATE_MEMBER_LIVE;
	if (region_state(member->peer->memory) == LAYOUT_SEALED)
		out->state = ESTATE_MEMBER_SEALED;
}

int group_members(struct group *group, struct estate_member *members, unsigned int max)
{
	uint64_t now;
	unsigned int count = 0;

	pthread_mutex_lock(&group->lock);
	now = clock_monotonic_us();
	for (const struct member *m = group->members; m; m = m->next) {
		if (m->ours)
			continue;
		if (count < max)
			describe(m, now, &members[count]);
		count++;
	}
	if (group->region) {
		if (count < max) {
			struct estate_member *self = &members[count];

			*self = (struct estate_member){ .epoch = group->identity.epoch,
							.pid = getpid(),
							.self = 1,
							.state = ESTATE_MEMBER_LIVE };
			if (region_state(group->region->memory) == LAYOUT_SEALED)
				self->state = ESTATE_MEMBER_SEALED;
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
