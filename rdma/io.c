// SPDX-License-Identifier: BSD-3-Clause
#include "io.h"

#include "clock.h"
#include "error.h"
#include "explain.h"
#include "mapping.h"
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES_FIRST 1024

/* One completion tells of all READs before it; the last of a chain always is one. */
#define SIGNAL_EVERY 16

/* Acknowledging an event takes a lock, so not for each one. */
#define EVENTS_PER_ACK 64

struct io *io_make(void)
{
	struct io *io = calloc(1, sizeof(*io));

	if (!io) {
		error_set(-ENOMEM, "no memory for a view's RDMA queues");
		return NULL;
	}
	pthread_mutex_init(&io->lock, NULL);
	return io;
}

static void close_device(struct io_device *device)
{
	if (device->events)
		ibv_ack_cq_events(device->completions, device->events);
	if (device->completions)
		ibv_destroy_cq(device->completions);
	if (device->channel)
		ibv_destroy_comp_channel(device->channel);
	*device = (struct io_device){ 0 };
}

static void free_landing(struct io_landing *landing)
{
	for (unsigned int i = 0; i < IO_DEVICES_MAX; i++)
		if (landing->regions[i])
			ibv_dereg_mr(landing->regions[i]);
	if (landing->landing.memory)
		mapping_free(landing->landing.memory, landing->landing.size);
	free(landing);
}

void io_free(struct io *io)
{
	while (io->landings) {
		struct io_landing *landing = io->landings;

		io->landings = landing->next;
		free_landing(landing);
	}
	for (unsigned int i = 0; i < io->device_count; i++)
		close_device(&io->devices[i]);
	pthread_mutex_destroy(&io->lock);
	free(io);
}

struct lane *io_lane(struct io *io, uint64_t peer)
{
	struct lane *lane;
	unsigned int number = 0;

	while (number < IO_LANES_MAX && io->numbers[number])
		number++;
	if (number == IO_LANES_MAX) {
		error_set(-ENOSPC, "a view has %d connections already", IO_LANES_MAX);
		return NULL;
	}
	lane = calloc(1, sizeof(*lane));
	if (!lane) {
		error_set(-ENOMEM, "no memory for a connection");
		return NULL;
	}
	lane->link.owner = OWNER_LANE;
	lane->io = io;
	lane->peer = peer;
	lane->number = number;
	/* A completion of the lane that had this number before is none of this one's. */
	lane->queued = io->lanes_made++ << 16;
	lane->completed = lane->queued;
	lane->done = lane->queued;
	lane->posted = lane->queued;
	lane->next = io->lanes;
	io->lanes = lane;
	io->numbers[number] = lane;
	return lane;
}

void io_lane_free(struct lane *lane)
{
	struct io *io = lane->io;

	link_free(&lane->link);
	for (struct lane **link = &io->lanes; *link; link = &(*link)->next) {
		if (*link == lane) {
			*link = lane->next;
			break;
		}
	}
	io->numbers[lane->number] = NULL;
	if (lane->depth)
		io->devices[lane->device].wanted -= (int)lane->depth;
	free(lane->requests);
	free(lane->places);
	free(lane->tags);
	free(lane);
}

/* Whether its view is in a call that may have begun before a lane was down. */
static int is_busy(const struct io *io)
{
	/* Pairs with the fence after the view sets busy: see view_enter(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&io->base.busy, __ATOMIC_ACQUIRE) != 0;
}

int io_lane_idle(const struct lane *lane)
{
	return !is_busy(lane->io) &&
	       !__atomic_load_n(&lane->endpoint.outstanding, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&lane->over, __ATOMIC_ACQUIRE);
}

void io_lane_drain(struct lane *lane)
{
	struct io *io = lane->io;

	if (!lane->link.id || is_busy(io) ||
	    !__atomic_load_n(&lane->endpoint.outstanding, __ATOMIC_ACQUIRE))
		return;
	/* From here on nothing is written to the memory of READs that did not complete. */
	link_free(&lane->link);
	__atomic_store_n(&lane->over, 1, __ATOMIC_RELAXED);
	lane->next_over = __atomic_load_n(&io->over, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&io->over, &lane->next_over, lane, 0, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

static int register_on(struct io_landing *landing, struct io_device *device, unsigned int number)
{
	landing->regions[number] = ibv_reg_mr(device->device->pd, landing->landing.memory,
					      landing->landing.size, IBV_ACCESS_LOCAL_WRITE);
	if (!landing->regions[number])
		return explain_registration(-errno, landing->landing.size,
					    ibv_get_device_name(device->device->context->device));
	return 0;
}

/* The io's queue on @device; a new one, with all landings registered, if there is none. */
static int find_device(struct io *io, struct device *device, unsigned int *number)
{
	struct io_device *made = &io->devices[io->device_count];
	int error = 0;

	for (*number = 0; *number < io->device_count; ++*number)
		if (io->devices[*number].device == device)
			return 0;
	if (io->device_count == IO_DEVICES_MAX)
		return error_set(-ENOSPC, "a view can use %d RDMA devices, not more",
				 IO_DEVICES_MAX);
	made->device = device;
	made->entries =
		ENTRIES_FIRST < device->completions_max ? ENTRIES_FIRST : device->completions_max;
	made->channel = ibv_create_comp_channel(device->context);
	if (!made->channel) {
		error = error_set(-errno, "ibv_create_comp_channel: %m");
		goto fail;
	}
	fcntl(made->channel->fd, F_SETFL, fcntl(made->channel->fd, F_GETFL) | O_NONBLOCK);
	made->completions = ibv_create_cq(device->context, made->entries, NULL, made->channel, 0);
	if (!made->completions) {
		error = error_set(-errno, "ibv_create_cq of %d entries: %m", made->entries);
		goto fail;
	}
	for (struct io_landing *l = io->landings; l && !error; l = l->next)
		error = register_on(l, made, *number);
	if (error)
		goto fail;
	__atomic_store_n(&io->device_count, io->device_count + 1, __ATOMIC_RELEASE);
	return 0;

fail:
	for (struct io_landing *l = io->landings; l; l = l->next) {
		if (l->regions[*number])
			ibv_dereg_mr(l->regions[*number]);
		l->regions[*number] = NULL;
	}
	close_device(made);
	return error;
}

static int depth_of(const struct device *device)
{
	int depth = 1;

	while (depth * 2 <= device->depth)
		depth *= 2;
	return depth;
}

int io_lane_device(struct lane *lane, struct device *device)
{
	int depth = depth_of(device);
	int error;

	lane->requests = calloc((size_t)depth, sizeof(*lane->requests));
	lane->places = calloc((size_t)depth, sizeof(*lane->places));
	lane->tags = calloc((size_t)depth, sizeof(*lane->tags));
	if (!lane->requests || !lane->places || !lane->tags)
		return error_set(-ENOMEM, "no memory for %d READs", depth);
	pthread_mutex_lock(&lane->io->lock);
	error = find_device(lane->io, device, &lane->device);
	if (!error) {
		struct io_device *used = &lane->io->devices[lane->device];

		/* Every READ of every lane may come to have a completion: of an error. */
		error = device_reserve(device, used->completions, &used->entries,
				       used->wanted + depth);
		if (!error)
			used->wanted += depth;
	}
	pthread_mutex_unlock(&lane->io->lock);
	if (!error)
		lane->depth = (uint32_t)depth;
	return error;
}

int io_landing(struct transport_io *base, size_t size, struct landing **landing)
{
	struct io *io = (struct io *)base;
	struct io_landing *made = calloc(1, sizeof(*made));
	int error = 0;

	if (!made)
		return error_set(-ENOMEM, "no memory to read into");
	made->landing.size = size;
	made->landing.memory = mapping_private(size);
	if (!made->landing.memory) {
		free(made);
		return error_set(-ENOMEM, "no memory to read into: %zu bytes", size);
	}
	pthread_mutex_lock(&io->lock);
	for (unsigned int i = 0; i < io->device_count && !error; i++)
		error = register_on(made, &io->devices[i], i);
	if (!error) {
		made->next = io->landings;
		io->landings = made;
	}
	pthread_mutex_unlock(&io->lock);
	if (error) {
		free_landing(made);
		return error;
	}
	*landing = &made->landing;
	return 0;
}

int io_read(struct transport_io *base, struct endpoint *endpoint, const struct transport_read *read)
{
	struct io *io = (struct io *)base;
	struct lane *lane = (struct lane *)endpoint;
	uint32_t slot = lane->queued & (lane->depth - 1);
	struct ibv_send_wr *request;

	if (__atomic_load_n(&lane->link.state, __ATOMIC_ACQUIRE) != LINK_READY || lane->failure)
		return -EHOSTDOWN;
	if (lane->queued - lane->completed == lane->depth)
		return -EAGAIN;
	/* What a peer says where something is must not lead out of its region. */
	if (read->offset > lane->link.welcome.size ||
	    read->length > lane->link.welcome.size - read->offset)
		return -EBADMSG;
	lane->places[slot] = (struct ibv_sge){
		.addr = (uintptr_t)read->to,
		.length = read->length,
		.lkey = ((struct io_landing *)read->landing)->regions[lane->device]->lkey,
	};
	request = &lane->requests[slot];
	request->wr_id = (uint64_t)lane->number << 32 | lane->queued;
	request->sg_list = &lane->places[slot];
	request->num_sge = 1;
	request->opcode = IBV_WR_RDMA_READ;
	request->send_flags = lane->queued % SIGNAL_EVERY ? 0 : IBV_SEND_SIGNALED;
	request->wr.rdma.remote_addr = lane->link.welcome.address + read->offset;
	request->wr.rdma.rkey = lane->link.welcome.rkey;
	lane->tags[slot] = read->tag;
	lane->queued++;
	__atomic_store_n(&endpoint->outstanding, endpoint->outstanding + 1, __ATOMIC_RELAXED);
	if (!lane->dirty) {
		lane->dirty = 1;
		lane->next_dirty = io->dirty;
		io->dirty = lane;
	}
	return 0;
}

static void add_broken(struct io *io, struct lane *lane)
{
	if (lane->broken)
		return;
	lane->broken = 1;
	lane->next_broken = io->broken;
	io->broken = lane;
}

/* Post what is queued as one chain: one doorbell, or on rxe one system call. */
static void post(struct io *io, struct lane *lane)
{
	struct ibv_send_wr *first = &lane->requests[lane->posted & (lane->depth - 1)];
	struct ibv_send_wr *last = first;
	struct ibv_send_wr *bad = NULL;

	for (uint32_t i = lane->posted + 1; i != lane->queued; i++) {
		last->next = &lane->requests[i & (lane->depth - 1)];
		last = last->next;
	}
	last->next = NULL;
	last->send_flags |= IBV_SEND_SIGNALED;
	if (!ibv_post_send(lane->link.id->qp, first, &bad)) {
		lane->posted = lane->queued;
		return;
	}
	/*
	 * The device took those before @bad, and will not take any after it. Not all
	 * drivers say where that is: then it may have taken all of them.
	 */
	lane->posted = bad ? (uint32_t)bad->wr_id : lane->queued;
	if (bad)
		add_broken(io, lane);
	__atomic_store_n(&lane->failure, (int)IBV_WC_LOC_QP_OP_ERR, __ATOMIC_RELEASE);
}

void io_flush(struct transport_io *base)
{
	struct io *io = (struct io *)base;

	while (io->dirty) {
		struct lane *lane = io->dirty;

		io->dirty = lane->next_dirty;
		lane->dirty = 0;
		post(io, lane);
	}
}

static int to_errno(enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_SUCCESS:
		return 0;
	case IBV_WC_WR_FLUSH_ERR:
	case IBV_WC_RETRY_EXC_ERR:
	case IBV_WC_REM_ACCESS_ERR:
	case IBV_WC_RESP_TIMEOUT_ERR:
		return -EHOSTDOWN;
	default:
		return -EIO;
	}
}

/* A completion: of its READ, and of all that were posted before it on the same lane. */
static void take(struct io *io, const struct ibv_wc *work)
{
	struct lane *lane = io->numbers[work->wr_id >> 32];
	uint32_t number = (uint32_t)work->wr_id;

	/* Of a READ that was given up: see io_lane_drain(). */
	if (unlikely(!lane || number - lane->done >= lane->posted - lane->done))
		return;
	lane->done = number + 1;
	lane->status = to_errno(work->status);
	io->draining = lane;
	if (unlikely(work->status) && !lane->failure)
		__atomic_store_n(&lane->failure, (int)work->status, __ATOMIC_RELEASE);
}

/* The next READ of the lane that came. */
static void tell(struct lane *lane, struct transport_done *done, int status)
{
	done->tag = lane->tags[lane->completed & (lane->depth - 1)];
	done->status = status;
	lane->completed++;
	__atomic_store_n(&lane->endpoint.outstanding, lane->endpoint.outstanding - 1,
			 __ATOMIC_RELEASE);
}

/* READs that will never complete are as if they could not have been posted. */
static void give_up(struct io *io)
{
	struct lane *lane = __atomic_exchange_n(&io->over, NULL, __ATOMIC_ACQUIRE);

	while (lane) {
		struct lane *next = lane->next_over;

		lane->done = lane->completed;
		lane->posted = lane->completed;
		if (lane->completed != lane->queued)
			add_broken(io, lane);
		__atomic_store_n(&lane->over, 0, __ATOMIC_RELEASE);
		lane = next;
	}
}

/* READs that could not be posted, once those before them have come. */
static unsigned int poll_broken(struct io *io, struct transport_done *done, unsigned int max)
{
	unsigned int count = 0;

	for (struct lane **link = &io->broken; *link && count < max;) {
		struct lane *lane = *link;

		while (lane->completed == lane->posted && lane->posted != lane->queued &&
		       count < max) {
			lane->posted++;
			lane->done = lane->posted;
			tell(lane, &done[count++], -EHOSTDOWN);
		}
		if (lane->completed != lane->queued) {
			link = &lane->next_broken;
			continue;
		}
		lane->broken = 0;
		*link = lane->next_broken;
	}
	return count;
}

static int poll_queues(struct io *io)
{
	unsigned int devices = __atomic_load_n(&io->device_count, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < devices; i++) {
		int count = ibv_poll_cq(io->devices[i].completions, IO_POLL_BATCH, io->work);

		if (count <= 0)
			continue;
		io->work_next = 0;
		io->work_count = (unsigned int)count;
		return 1;
	}
	return 0;
}

unsigned int io_poll(struct transport_io *base, struct transport_done *done, unsigned int max)
{
	struct io *io = (struct io *)base;
	unsigned int count = 0;

	while (count < max) {
		struct lane *lane = io->draining;

		if (lane) {
			int last = lane->completed + 1 == lane->done;

			/* Those before it on the same queue pair came in order, and well. */
			tell(lane, &done[count++], last ? lane->status : 0);
			if (last)
				io->draining = NULL;
		} else if (io->work_next < io->work_count) {
			take(io, &io->work[io->work_next++]);
		} else if (!poll_queues(io)) {
			break;
		}
	}
	if (unlikely(__atomic_load_n(&io->over, __ATOMIC_RELAXED)) && count < max)
		give_up(io);
	if (unlikely(io->broken))
		count += poll_broken(io, done + count, max - count);
	return count;
}

static void drain_events(struct io_device *device)
{
	struct ibv_cq *completions;
	void *context;

	if (ibv_get_cq_event(device->channel, &completions, &context))
		return;
	if (++device->events < EVENTS_PER_ACK)
		return;
	ibv_ack_cq_events(completions, device->events);
	device->events = 0;
}

/* Whether the next io_poll() has something to tell. */
static int has_come(struct io *io)
{
	if (io->draining || io->work_next < io->work_count ||
	    __atomic_load_n(&io->over, __ATOMIC_RELAXED))
		return 1;
	for (const struct lane *lane = io->broken; lane; lane = lane->next_broken)
		if (lane->completed == lane->posted)
			return 1;
	return poll_queues(io);
}

void io_wait(struct transport_io *base, uint64_t until_us)
{
	struct io *io = (struct io *)base;
	struct pollfd fds[IO_DEVICES_MAX];
	unsigned int devices = __atomic_load_n(&io->device_count, __ATOMIC_ACQUIRE);
	uint64_t now = clock_monotonic_us();
	struct timespec left = { 0 };

	for (unsigned int i = 0; i < devices; i++) {
		fds[i] = (struct pollfd){ .fd = io->devices[i].channel->fd, .events = POLLIN };
		ibv_req_notify_cq(io->devices[i].completions, 0);
	}
	/* What came before the queues were armed makes no event. */
	if (has_come(io) || now >= until_us)
		return;
	left.tv_sec = (time_t)((until_us - now) / 1000000);
	left.tv_nsec = (long)((until_us - now) % 1000000) * 1000;
	if (ppoll(fds, devices, &left, NULL) <= 0)
		return;
	for (unsigned int i = 0; i < devices; i++)
		if (fds[i].revents)
			drain_events(&io->devices[i]);
}
