// SPDX-License-Identifier: BSD-3-Clause
/*
 * One connection to each member, of the background thread's own: through it the
 * member's header is read now and then, for its identity, its heartbeat and the
 * tables that it has; and its end tells that the member is gone.
 */
#include "verbs.h"

#include "address.h"
#include "clock.h"
#include "error.h"
#include "explain.h"
#include "shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEARTBEAT_US 50000

int peer_sentence(const struct peer_link *peer, int error)
{
	char sentence[320];

	strncpy(sentence, estate_errormsg(), sizeof(sentence) - 1);
	sentence[sizeof(sentence) - 1] = 0;
	return error_set(error, "%s: %s", peer->text, sentence);
}

/* Tell the group that it is over; the sentence is set. The group answers by disconnecting. */
static void fail(struct peer_link *peer, int error)
{
	struct verbs *verbs = peer->verbs;

	error = peer_sentence(peer, error);
	verbs->events->down(verbs->group, peer->member, error);
}

int peer_connect(struct transport *transport, const char *address, struct member *member)
{
	struct verbs *verbs = (struct verbs *)transport;
	struct peer_link *peer = calloc(1, sizeof(*peer));
	int error;

	if (!peer)
		return error_set(-ENOMEM, "no memory for a peer");
	peer->link.owner = OWNER_CONTROL;
	peer->verbs = verbs;
	peer->member = member;
	peer->id = ++verbs->next_id;
	strcpy(peer->text, address);
	error = address_parse(address, &peer->address);
	if (!error)
		error = link_start(&peer->link, verbs->channel, (struct sockaddr *)&peer->address);
	if (error) {
		peer_sentence(peer, error);
		link_free(&peer->link);
		free(peer);
		return error;
	}
	peer->next = verbs->peers;
	verbs->peers = peer;
	return 0;
}

void peer_disconnect(struct transport *transport, struct member *member)
{
	struct verbs *verbs = (struct verbs *)transport;

	for (struct peer_link *peer = verbs->peers; peer; peer = peer->next) {
		if (peer->member != member)
			continue;
		peer->member = NULL;
		if (peer->up)
			peer->memory = NULL; /* the group's */
		peer->up = 0;
		peer->checked = 0;
		link_stop(&peer->link);
		peer->link.state = LINK_DOWN;
		lanes_drop(verbs, peer->id);
	}
}

/* Memory to read its header and directory into. */
static int prepare(struct peer_link *peer, const struct device *device)
{
	peer->landing = aligned_alloc(LAYOUT_PAGE, LAYOUT_TABLES);
	peer->memory = aligned_alloc(64, LAYOUT_TABLES);
	if (!peer->landing || !peer->memory)
		return error_set(-ENOMEM, "no memory for a peer's header");
	peer->landing_region =
		ibv_reg_mr(device->pd, peer->landing, LAYOUT_TABLES, IBV_ACCESS_LOCAL_WRITE);
	if (!peer->landing_region)
		return explain_registration(-errno, LAYOUT_TABLES,
					    ibv_get_device_name(device->context->device));
	return 0;
}

static int read_header(struct peer_link *peer, uint32_t length)
{
	struct ibv_sge place = { .addr = (uintptr_t)peer->landing,
				 .length = length,
				 .lkey = peer->landing_region->lkey };
	struct ibv_send_wr request = { .wr_id = peer->id,
				       .sg_list = &place,
				       .num_sge = 1,
				       .opcode = IBV_WR_RDMA_READ,
				       .send_flags = IBV_SEND_SIGNALED,
				       .wr.rdma = { peer->link.welcome.address,
						    peer->link.welcome.rkey } };
	struct ibv_send_wr *bad;
	uint64_t now = clock_monotonic_us();
	int error = ibv_post_send(peer->link.id->qp, &request, &bad);

	if (error)
		return error_set(-error, "ibv_post_send: %s", strerror(error));
	peer->reading = 1;
	peer->length = length;
	/* The directory that is read next is as of the header, which says how long it is. */
	if (length == sizeof(struct layout_header))
		peer->begun_us = now;
	return 0;
}

/* Header and directory came for the first time. */
static int check(struct peer_link *peer)
{
	const struct handshake_welcome *welcome = &peer->link.welcome;
	int error;

	memcpy(peer->memory, peer->landing, LAYOUT_TABLES);
	error = region_check(peer->memory, welcome->size, &peer->identity);
	if (error)
		return error;
	if (memcmp(peer->identity.uuid, welcome->uuid, sizeof(welcome->uuid)) ||
	    peer->identity.epoch != welcome->epoch)
		return error_set(-EHOSTDOWN, "its region is not the one that it spoke of");
	if (strcmp(peer->identity.group, peer->verbs->identity.group))
		return error_set(-EPROTO, "its region is of group %s, not %s", peer->identity.group,
				 peer->verbs->identity.group);
	peer->checked = 1;
	peer->seen_us = peer->begun_us;
	peer->fresh_us = peer->begun_us;
	for (struct io *io = peer->verbs->ios; io; io = io->next)
		if (!io->retiring)
			lane_start(io, peer, 0);
	return 0;
}

/* A READ of the header, or of the directory too, has come. */
static int take_header(struct peer_link *peer)
{
	struct layout_header *header = (struct layout_header *)peer->landing;
	int known = peer->checked && peer->tables == region_tables(header) &&
		    peer->fresh_us > peer->renew_us;

	/*
	 * The directory is read after the header: so that all is there that the
	 * header counts, see region_publish_table(). What is within one READ has no
	 * order.
	 */
	if (peer->length == sizeof(*header)) {
		peer->tables = region_tables(header);
		if (!known)
			return read_header(peer, LAYOUT_TABLES);
	} else {
		header->tables = peer->tables;
		if (!peer->checked)
			return check(peer);
		shared_copy_to(peer->memory + LAYOUT_ADOPTIONS, peer->landing + LAYOUT_ADOPTIONS,
			       LAYOUT_TABLES - LAYOUT_ADOPTIONS);
		peer->fresh_us = peer->begun_us;
	}
	shared_copy_to(peer->memory, peer->landing, sizeof(*header));
	peer->seen_us = peer->begun_us;
	return 0;
}

void peers_renew(struct transport *transport, uint64_t id)
{
	struct verbs *verbs = (struct verbs *)transport;

	for (struct peer_link *peer = verbs->peers; peer; peer = peer->next)
		if (!id || peer->id == id)
			peer->renew_us = clock_monotonic_us();
}

int peers_renewed(const struct transport *transport, uint64_t id, uint64_t since_us)
{
	const struct verbs *verbs = (const struct verbs *)transport;
	int found = !id;

	for (const struct peer_link *peer = verbs->peers; peer; peer = peer->next) {
		if (!peer->up || (id && peer->id != id))
			continue;
		found = 1;
		if (peer->fresh_us <= since_us)
			return 0;
	}
	return found ? 1 : -EHOSTDOWN;
}

uint64_t peer_seen_us(const struct transport *transport, uint64_t id)
{
	const struct verbs *verbs = (const struct verbs *)transport;

	for (const struct peer_link *peer = verbs->peers; peer; peer = peer->next)
		if (peer->up && peer->id == id)
			return peer->seen_us;
	return 0;
}

static void completed(struct peer_link *peer, enum ibv_wc_status status)
{
	int error;

	peer->reading = 0;
	peer->next_us = clock_monotonic_us() + HEARTBEAT_US;
	if (peer->link.state != LINK_READY)
		return;
	if (status)
		error = error_set(-EHOSTDOWN, "READ of its header: %s (%d): %s",
				  ibv_wc_status_str(status), (int)status,
				  explain_completion(status));
	else
		error = take_header(peer);
	if (error)
		fail(peer, error);
}

static int needs_queue(struct peer_link *peer)
{
	struct verbs *verbs = peer->verbs;
	struct device *device = device_of(&verbs->devices, peer->link.id->verbs, verbs->region);
	int error;

	if (!device)
		return -ENOMEM;
	/* Of each peer there is one completion; and one of a peer that it replaced. */
	error = device_reserve(device, device->control, &device->control_entries,
			       (device->controls + 1) * 2);
	if (!error)
		error = link_connect(&peer->link, device, device->control, 1, &verbs->identity);
	if (peer->link.device)
		device->controls++;
	return error ? error : prepare(peer, device);
}

void peer_event(struct peer_link *peer, const struct cm_event *event)
{
	int result = link_event(&peer->link, event);

	if (peer->link.state == LINK_DOWN)
		return;
	if (result == LINK_NEEDS_QUEUE)
		result = needs_queue(peer);
	if (result == LINK_UP) {
		peer->link.state = LINK_READY;
		result = read_header(peer, sizeof(struct layout_header));
	}
	if (result < 0)
		fail(peer, result);
}

static void peer_free(struct peer_link *peer)
{
	/* Destroying the queue pair ends a READ that is under way. */
	link_free(&peer->link);
	if (peer->link.device)
		peer->link.device->controls--;
	if (peer->landing_region)
		ibv_dereg_mr(peer->landing_region);
	free(peer->landing);
	free(peer->memory);
	free(peer);
}

static void poll_control(struct verbs *verbs)
{
	for (struct device *device = verbs->devices; device; device = device->next) {
		struct ibv_wc work;

		while (ibv_poll_cq(device->control, 1, &work) > 0) {
			struct peer_link *peer = verbs->peers;

			/* It may be gone; its completions are not. */
			while (peer && peer->id != work.wr_id)
				peer = peer->next;
			if (peer)
				completed(peer, work.status);
		}
	}
}

static void tick(struct peer_link *peer, uint64_t now)
{
	struct verbs *verbs = peer->verbs;
	int error;

	if (peer->checked && !peer->up && lanes_settled(verbs, peer->id)) {
		const struct transport_peer told = { .id = peer->id,
						     .identity = peer->identity,
						     .pid = (pid_t)peer->link.welcome.pid,
						     .size = peer->link.welcome.size,
						     .memory = peer->memory,
						     .seen_us = peer->seen_us };

		peer->up = 1;
		verbs->events->up(verbs->group, peer->member, &told);
		return;
	}
	if (peer->link.state != LINK_READY || peer->reading ||
	    (now < peer->next_us && peer->fresh_us > peer->renew_us))
		return;
	error = read_header(peer, sizeof(struct layout_header));
	if (error)
		fail(peer, error);
}

void peers_tick(struct verbs *verbs, uint64_t now)
{
	poll_control(verbs);
	for (struct peer_link *peer = verbs->peers; peer; peer = peer->next)
		if (peer->member)
			tick(peer, now);
	for (struct peer_link **link = &verbs->peers; *link;) {
		struct peer_link *peer = *link;

		if (peer->member) {
			link = &peer->next;
			continue;
		}
		*link = peer->next;
		peer_free(peer);
	}
}

void peers_close(struct verbs *verbs)
{
	while (verbs->peers) {
		struct peer_link *peer = verbs->peers;

		verbs->peers = peer->next;
		peer_free(peer);
	}
}
