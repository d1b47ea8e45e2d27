// SPDX-License-Identifier: BSD-3-Clause
#include "fake_transport.h"

#include "error.h"
#include "layout.h"
#include "shared.h"
#include "transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ENDPOINTS_MAX 16
#define QUEUE 1024 /* READs, a power of two */
#define ADDRESS_MAX 128

/* The other end of a connection. */
struct fake_peer {
	struct member *member;
	const struct transport_attr *owner;
	int up;
};

struct fake {
	struct transport base;
	struct transport_attr attr;
	struct region_identity identity;
	char address[ADDRESS_MAX];
	int event;
	unsigned int peer_count;
	struct fake_peer peers[ENDPOINTS_MAX];
};

struct fake_endpoint {
	struct endpoint base;
	const unsigned char *memory;
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
};

/* Those who listen; they end after those who read them. */
static struct fake *owners[ENDPOINTS_MAX];
static unsigned int owner_count;
static uint64_t reads;
static int held;

int verbs_open(const struct transport_attr *attr, struct transport **transport);

uint64_t fake_reads(void)
{
	return reads;
}

void fake_hold(int hold)
{
	held = hold;
}

static int event_fd(const struct transport *transport)
{
	return ((const struct fake *)transport)->event;
}

static void handle(struct transport *transport)
{
	(void)transport;
}

static void tick(struct transport *transport, uint64_t now_us)
{
	struct fake *fake = (struct fake *)transport;

	(void)now_us;
	for (unsigned int i = 0; i < fake->peer_count; i++) {
		struct fake_peer *peer = &fake->peers[i];
		struct transport_peer told = { .id = i + 1, .pid = getpid() };
		void *memory;

		if (peer->up || !peer->member)
			continue;
		memory = aligned_alloc(64, LAYOUT_TABLES);
		if (!memory)
			continue;
		shared_copy_from(memory, peer->owner->region->memory, LAYOUT_TABLES);
		told.identity = *peer->owner->identity;
		told.size = peer->owner->region->size;
		told.memory = memory;
		peer->up = 1;
		fake->attr.events->up(fake->attr.group, peer->member, &told);
	}
}

static const char *address(const struct transport *transport)
{
	return ((const struct fake *)transport)->address;
}

static int connect_peer(struct transport *transport, const char *text, struct member *member)
{
	struct fake *fake = (struct fake *)transport;

	for (unsigned int i = 0; i < owner_count; i++) {
		if (strcmp(owners[i]->address, text) != 0 || fake->peer_count == ENDPOINTS_MAX)
			continue;
		fake->peers[fake->peer_count++] = (struct fake_peer){ member, &owners[i]->attr, 0 };
		return 0;
	}
	return error_set(-EHOSTDOWN, "%s is not here", text);
}

static void disconnect_peer(struct transport *transport, struct member *member)
{
	struct fake *fake = (struct fake *)transport;

	for (unsigned int i = 0; i < fake->peer_count; i++)
		if (fake->peers[i].member == member)
			fake->peers[i].member = NULL;
}

static void renew(struct transport *transport)
{
	(void)transport;
}

static int renewed(const struct transport *transport, uint64_t since_us)
{
	(void)transport;
	(void)since_us;
	return 1;
}

static void close_fake(struct transport *transport)
{
	struct fake *fake = (struct fake *)transport;

	for (unsigned int i = 0; i < owner_count; i++)
		if (owners[i] == fake)
			owners[i] = owners[--owner_count];
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

	io->endpoints[peer - 1].memory = io->fake->peers[peer - 1].owner->region->memory;
	return &io->endpoints[peer - 1].base;
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
	reads++;
	return 0;
}

static void fake_flush(struct transport_io *base)
{
	struct fake_io *io = (struct fake_io *)base;

	for (; io->done != io->queued; io->done++) {
		const struct transport_read *read = &io->queue[io->done % QUEUE];
		const struct endpoint *from = io->from[io->done % QUEUE];

		shared_copy_from(read->to,
				 ((const struct fake_endpoint *)from)->memory + read->offset,
				 read->length);
	}
}

static unsigned int fake_poll(struct transport_io *base, struct transport_done *done,
			      unsigned int max)
{
	struct fake_io *io = (struct fake_io *)base;
	unsigned int count = 0;

	while (!held && count < max && io->told != io->done) {
		io->from[io->told % QUEUE]->outstanding--;
		done[count++] = (struct transport_done){ io->queue[io->told++ % QUEUE].tag, 0 };
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
	fake->identity = *attr->identity;
	fake->attr.identity = &fake->identity;
	fake->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	strncpy(fake->address, attr->listen, sizeof(fake->address) - 1);
	if (*attr->listen && owner_count < ENDPOINTS_MAX)
		owners[owner_count++] = fake;
	*transport = &fake->base;
	return 0;
}
