/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A view's side of the transport: a completion queue on each device, the memory
 * in which READs land, and a lane to each peer. The background thread makes and
 * frees lanes; the view's thread posts on those that are ready, and polls.
 */
#ifndef IO_H
#define IO_H

#include "link.h"
#include "transport.h"

#include <pthread.h>
#include <stdint.h>

#define IO_DEVICES_MAX 8
#define IO_LANES_MAX 1024
#define IO_POLL_BATCH 16

/* A queue of READs to one peer. */
struct lane {
	struct endpoint endpoint;
	struct link link;
	struct io *io;
	struct lane *next; /* of the io's */
	struct lane *next_dirty; /* with READs to post */
	struct lane *next_broken; /* with READs that could not be posted */
	struct lane *next_over; /* with READs that will never complete */
	uint64_t peer;
	unsigned int number; /* among the io's lanes: in the upper half of each wr_id */
	unsigned int device; /* which of the io's */
	uint64_t due_us; /* when to give up connecting, or to try anew */
	uint64_t backoff_us;
	uint64_t drain_us; /* once it is down: when its READs have completed, or never will */
	int failure; /* enum ibv_wc_status of the first READ that failed, 0 if none; by the view */
	int replaced; /* by another lane to the same peer */

	/* READs by number: [completed, done) came, [done, posted) did not, [posted, queued) wait. */
	uint32_t completed;
	uint32_t done;
	uint32_t posted;
	uint32_t queued;
	uint32_t depth; /* a power of two */
	int dirty;
	int broken;
	int over; /* on the list of those; set by the background thread, cleared by the view */
	int status; /* of the last READ before @done */
	struct ibv_send_wr *requests;
	struct ibv_sge *places;
	void **tags;
};

struct io_device {
	struct device *device;
	struct ibv_comp_channel *channel;
	struct ibv_cq *completions;
	int entries; /* that the queue has room for */
	int wanted; /* by its lanes */
	unsigned int events; /* to acknowledge */
};

struct io_landing {
	struct landing landing;
	struct io_landing *next;
	struct ibv_mr *regions[IO_DEVICES_MAX];
};

struct io {
	struct transport_io base;
	struct io *next;
	struct lane *lanes;
	struct lane *numbers[IO_LANES_MAX];
	uint32_t lanes_made;
	int retiring;
	int retired;
	uint64_t mend_us; /* when to look for peers without a lane; 0: there are none */

	pthread_mutex_t lock; /* over devices and landings, which both threads add to */
	unsigned int device_count;
	struct io_device devices[IO_DEVICES_MAX];
	struct io_landing *landings;

	struct lane *over; /* whose queue pair is no more, from the background thread to the view */

	/* The view's alone. */
	struct lane *dirty;
	struct lane *broken;
	struct lane *draining; /* with READs that came and were not told */
	unsigned int work_next;
	unsigned int work_count;
	struct ibv_wc work[IO_POLL_BATCH];
};

/* The background thread's side. NULL with a sentence. */
struct io *io_make(void);
void io_free(struct io *io);
/* A lane, not yet connected. NULL with a sentence. */
struct lane *io_lane(struct io *io, uint64_t peer);
/* Its route is known: a queue for its completions on @device. 0 or an error with a sentence. */
int io_lane_device(struct lane *lane, struct device *device);
void io_lane_free(struct lane *lane);
/* Whether nothing that the view can reach, or the device writes, belongs to @lane, which is down. */
int io_lane_idle(const struct lane *lane);
/* It is down since long: take its queue pair away, unless its view is in a call. */
void io_lane_drain(struct lane *lane);

/* The view's side: see struct transport_operations. */
int io_landing(struct transport_io *base, size_t size, struct landing **landing);
int io_read(struct transport_io *base, struct endpoint *endpoint,
	    const struct transport_read *read);
void io_flush(struct transport_io *base);
unsigned int io_poll(struct transport_io *base, struct transport_done *done, unsigned int max);
void io_wait(struct transport_io *base, uint64_t until_us);

#endif
