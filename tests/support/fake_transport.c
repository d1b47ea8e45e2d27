// SPDX-License-Identifier: BSD-3-Clause
#include "fake_transport.h"

#include "error.h"
#include "region.h"
#include "shared.h"
#include "transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ENDPOINTS_MAX 256
#define QUEUE 1024 /* READs, a power of two */
#define ADDRESS_MAX 128
#define HOSTS_MAX 256

/* Somebody who listens, or listened: where he did is known for good. */
struct fake_host {
	char address[ADDRESS_MAX];
	struct region_identity identity;
	const unsigned char *memory; /* NULL: nobody is there any more */
	size_t size;
	int unplugged;
	unsigned int plugs; /* connections of before are broken */
};

/* The other end of a connection. */
struct fake_peer {
	struct member *member;
	struct fake_host *host;
	unsigned int plugs;
	int up;
	int lost; /* for good */
	unsigned char *memory; /* the copy that the group has */
	uint64_t seen_us;
};

struct fake {
	struct transport base;
	struct transport_attr attr;
	struct fake_host *host; /* NULL: it does not listen */
	int event;
	unsigned int peer_count;
	struct fake_peer peers[ENDPOINTS_MAX];
};

struct fake_endpoint {
	struct endpoint base;
	const struct fake_peer *peer;
};

struct fake_landing {
	struct landing base;
	struct fake_landing *next;
};

struct fake_io {
	struct transport_io base;
	struct fake *fake;
	struct fake_landing *landings;
	struct fake_endpoint endpoints[ENDPOINTS_MAX];
	/* [told, done) have come, [done, queued) wait for a flush. */
	uint32_t told;
	uint32_t done;
	uint32_t queued;
	struct transport_read queue[QUEUE];
	struct endpoint *from[QUEUE];
	int status[QUEUE];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over all hosts */
static struct fake_host hosts[HOSTS_MAX];
static unsigned int host_count;
static uint64_t reads;
static int held;
static int frozen;
static fake_read_fn *watcher;
static void *watcher_arg;

int verbs_open(const struct transport_attr *attr, struct transport **transport);

uint64_t fake_reads(void)
{
	return __atomic_load_n(&reads, __ATOMIC_RELAXED);
}

void fake_hold(int hold)
{
	held = hold;
}

void fake_freeze(int freeze)
{
	__atomic_store_n(&frozen, freeze, __ATOMIC_SEQ_CST);
}

void fake_watch(fake_read_fn *watch, void *arg)
{
	__atomic_store_n(&watcher_arg, arg, __ATOMIC_SEQ_CST);
	__atomic_store_n(&watcher, watch, __ATOMIC_SEQ_CST);
}

void fake_unplug(const char *address, int unplugged)
{
	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < host_count; i++) {
		if (strcmp(hosts[i].address, address) != 0)
			continue;
		hosts[i].unplugged = unplugged;
		hosts[i].plugs++;
	}
	pthread_mutex_unlock(&lock);
}

/* Whether the other end is there. Lock held. */
static int is_there(const struct fake_peer *peer)
{
	const struct fake_host *host = peer->host;

	return host->memory && !host->unplugged && host->plugs == peer->plugs;
}

static int event_fd(const struct transport *transport)
{
	return ((const struct fake *)transport)->event;
}

static void handle(struct transport *transport)
{
	(void)transport;
}

/* Read what is first in its region. 1: the group is to be told something. */
static int renew_copy(struct fake_peer *peer, uint64_t now_us)
{
	static _Alignas(64) unsigned char copy[LAYOUT_TABLES];
	static pthread_mutex_t copying = PTHREAD_MUTEX_INITIALIZER;

	if (peer->up && __atomic_load_n(&frozen, __ATOMIC_SEQ_CST))
		return 0;
	if (!peer->memory)
		peer->memory = aligned_alloc(64, LAYOUT_TABLES);
	if (!peer->memory)
		return 0;
	pthread_mutex_lock(&copying);
	pthread_mutex_lock(&lock);
	peer->lost = !is_there(peer);
	if (!peer->lost) {
		unsigned int tables = region_tables(peer->host->memory);

		/* What is behind these is being written, and ThreadSanitizer sees that it is read. */
		shared_copy_from(copy, peer->host->memory,
				 LAYOUT_DIRECTORY + tables * sizeof(struct layout_table));
		((struct layout_header *)copy)->tables = tables;
	}
	pthread_mutex_unlock(&lock);
	if (!peer->lost) {
		shared_copy_to(peer->memory, copy, LAYOUT_TABLES);
		peer->seen_us = now_us;
	} else if (!peer->up) {
		free(peer->memory);
		peer->memory = NULL;
	}
	pthread_mutex_unlock(&copying);
	return peer->lost || !peer->up;
}

static void tick(struct transport *transport, uint64_t now_us)
{
	struct fake *fake = (struct fake *)transport;

	for (unsigned int i = 0; i < fake->peer_count; i++) {
		struct fake_peer *peer = &fake->peers[i];
		struct transport_peer told = { .id = i + 1, .pid = getpid() };

		if (!peer->member || peer->lost || !renew_copy(peer, now_us))
			continue;
		if (peer->lost) {
			error_set(-EHOSTDOWN, "it is gone");
			fake->attr.events->down(fake->attr.group, peer->member, -EHOSTDOWN);
			continue;
		}
		told.identity = peer->host->identity;
		told.size = peer->host->size;
		told.memory = peer->memory;
		told.seen_us = peer->seen_us;
		peer->up = 1;
		fake->attr.events->up(fake->attr.group, peer->member, &told);
	}
}

static const char *address(const struct transport *transport)
{
	return ((const struct fake *)transport)->host->address;
}

static int connect_peer(struct transport *transport, const char *text, struct member *member)
{
	struct fake *fake = (struct fake *)transport;
	unsigned int number = 0;
	int error = -ECONNREFUSED;

	/* What was used before is free when nobody has it any more: an io may. */
	while (number < fake->peer_count && fake->peers[number].host)
		number++;
	if (number == ENDPOINTS_MAX)
		return error_set(-ENOSPC, "too many connections for a fake");
	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < host_count; i++) {
		if (strcmp(hosts[i].address, text) != 0)
			continue;
		error = -EHOSTUNREACH;
		if (hosts[i].unplugged)
			break;
		error = -ECONNREFUSED;
		if (!hosts[i].memory)
			continue;
		fake->peers[number] = (struct fake_peer){ .member = member,
							  .host = &hosts[i],
							  .plugs = hosts[i].plugs };
		fake->peer_count += number == fake->peer_count;
		error = 0;
		break;
	}
	pthread_mutex_unlock(&lock);
	return error ? error_set(error, "%s is not here", text) : 0;
}

static void disconnect_peer(struct transport *transport, struct member *member)
{
	struct fake *fake = (struct fake *)transport;

	for (unsigned int i = 0; i < fake->peer_count; i++) {
		struct fake_peer *peer = &fake->peers[i];

		if (peer->member != member)
			continue;
		if (!peer->up)
			free(peer->memory);
		peer->member = NULL;
		peer->memory = NULL;
		peer->lost = 1;
	}
}

static void renew(struct transport *transport, uint64_t peer)
{
	(void)transport;
	(void)peer;
}

static const struct fake_peer *find_peer(const struct transport *transport, uint64_t id)
{
	const struct fake *fake = (const struct fake *)transport;
	const struct fake_peer *peer = &fake->peers[id - 1];

	return peer->member && peer->up && !peer->lost ? peer : NULL;
}

static int renewed(const struct transport *transport, uint64_t id, uint64_t since_us)
{
	const struct fake *fake = (const struct fake *)transport;

	for (unsigned int i = 0; !id && i < fake->peer_count; i++)
		if (find_peer(transport, i + 1) && fake->peers[i].seen_us <= since_us)
			return 0;
	if (!id)
		return 1;
	if (!find_peer(transport, id))
		return -EHOSTDOWN;
	return fake->peers[id - 1].seen_us > since_us;
}

static uint64_t seen_us(const struct transport *transport, uint64_t id)
{
	const struct fake_peer *peer = find_peer(transport, id);

	return peer ? peer->seen_us : 0;
}

static void close_fake(struct transport *transport)
{
	struct fake *fake = (struct fake *)transport;

	for (unsigned int i = 0; i < fake->peer_count; i++)
		if (!fake->peers[i].up)
			free(fake->peers[i].memory);
	if (fake->host) {
		pthread_mutex_lock(&lock);
		fake->host->memory = NULL;
		pthread_mutex_unlock(&lock);
	}
	close(fake->event);
	free(fake);
}

static int io_open(struct transport *transport, struct transport_io **result)
{
	struct fake_io *io = calloc(1, sizeof(*io));

	if (!io)
		return error_set(-ENOMEM, "no memory");
	io->fake = (struct fake *)transport;
	*result = &io->base;
	return 0;
}

static int io_settled(const struct transport_io *io)
{
	(void)io;
	return 1;
}

static void io_retire(struct transport_io *io)
{
	(void)io;
}

static int io_retired(struct transport_io *base)
{
	struct fake_io *io = (struct fake_io *)base;

	while (io->landings) {
		struct fake_landing *landing = io->landings;

		io->landings = landing->next;
		free(landing->base.memory);
		free(landing);
	}
	free(io);
	return 1;
}

static struct endpoint *io_endpoint(struct transport_io *base, uint64_t peer)
{
	struct fake_io *io = (struct fake_io *)base;

	io->endpoints[peer - 1].peer = &io->fake->peers[peer - 1];
	return io->fake->peers[peer - 1].lost ? NULL : &io->endpoints[peer - 1].base;
}

static int fake_landing(struct transport_io *base, size_t size, struct landing **result)
{
	struct fake_io *io = (struct fake_io *)base;
	struct fake_landing *landing = calloc(1, sizeof(*landing));

	if (landing)
		landing->base.memory = aligned_alloc(64, (size + 63) / 64 * 64);
	if (!landing || !landing->base.memory) {
		free(landing);
		return error_set(-ENOMEM, "no memory");
	}
	landing->base.size = size;
	landing->next = io->landings;
	io->landings = landing;
	*result = &landing->base;
	return 0;
}

static int fake_read(struct transport_io *base, struct endpoint *endpoint,
		     const struct transport_read *read)
{
	struct fake_io *io = (struct fake_io *)base;

	if (io->queued - io->told == QUEUE)
		return -EAGAIN;
	endpoint->outstanding++;
	io->from[io->queued % QUEUE] = endpoint;
	io->queue[io->queued++ % QUEUE] = *read;
	__atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
	return 0;
}

static void fake_flush(struct transport_io *base)
{
	struct fake_io *io = (struct fake_io *)base;

	for (; io->done != io->queued; io->done++) {
		const struct transport_read *read = &io->queue[io->done % QUEUE];
		const struct endpoint *from = io->from[io->done % QUEUE];

		const struct fake_peer *peer = ((const struct fake_endpoint *)from)->peer;

		fake_read_fn *watch = __atomic_load_n(&watcher, __ATOMIC_SEQ_CST);

		if (watch)
			watch(peer->host->identity.name, read->offset, read->length,
			      __atomic_load_n(&watcher_arg, __ATOMIC_SEQ_CST));
		pthread_mutex_lock(&lock);
		io->status[io->done % QUEUE] = is_there(peer) ? 0 : -EHOSTDOWN;
		if (is_there(peer))
			shared_copy_from(read->to, peer->host->memory + read->offset, read->length);
		pthread_mutex_unlock(&lock);
	}
}

static unsigned int fake_poll(struct transport_io *base, struct transport_done *done,
			      unsigned int max)
{
	struct fake_io *io = (struct fake_io *)base;
	unsigned int count = 0;

	while (!held && count < max && io->told != io->done) {
		io->from[io->told % QUEUE]->outstanding--;
		done[count++] = (struct transport_done){ io->queue[io->told % QUEUE].tag,
							 io->status[io->told % QUEUE] };
		io->told++;
	}
	return count;
}

static void fake_wait(struct transport_io *io, uint64_t until_us)
{
	(void)io;
	(void)until_us;
}

static const struct transport_operations operations = {
	.event_fd = event_fd,
	.handle = handle,
	.tick = tick,
	.address = address,
	.connect = connect_peer,
	.disconnect = disconnect_peer,
	.renew = renew,
	.renewed = renewed,
	.seen_us = seen_us,
	.close = close_fake,
	.io_open = io_open,
	.io_settled = io_settled,
	.io_retire = io_retire,
	.io_retired = io_retired,
	.io_endpoint = io_endpoint,
	.landing = fake_landing,
	.read = fake_read,
	.flush = fake_flush,
	.poll = fake_poll,
	.wait = fake_wait,
};

int verbs_open(const struct transport_attr *attr, struct transport **transport)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	if (!fake)
		return error_set(-ENOMEM, "no memory");
	fake->base.operations = &operations;
	fake->attr = *attr;
	fake->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (*attr->listen) {
		pthread_mutex_lock(&lock);
		if (host_count == HOSTS_MAX)
			abort();
		fake->host = &hosts[host_count++];
		strncpy(fake->host->address, attr->listen, sizeof(fake->host->address) - 1);
		fake->host->identity = *attr->identity;
		fake->host->memory = attr->region->memory;
		fake->host->size = attr->region->size;
		pthread_mutex_unlock(&lock);
	}
	*transport = &fake->base;
	return 0;
}
