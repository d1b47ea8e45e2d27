/* SPDX-License-Identifier: BSD-3-Clause */
/* The RDMA devices in use, each with its protection domain and the region's MR. */
#ifndef DEVICE_H
#define DEVICE_H

#include "region.h"

#include <infiniband/verbs.h>

struct device {
	struct device *next;
	struct ibv_context *context; /* librdmacm's: not ours to close */
	struct ibv_context **held; /* so that librdmacm does not close it either */
	struct ibv_pd *pd;
	struct ibv_mr *region; /* NULL: an observer's */
	struct ibv_cq *inbound; /* of those who read us; nothing ever completes there */
	struct ibv_cq *control; /* of our connections that are no view's */
	int control_entries; /* that it has room for */
	int controls; /* those connections */
	int depth; /* READs that one QP may hold */
	int completions_max; /* that one CQ may hold */
};

/*
 * The device of @context, opened if it is new; the region is registered for
 * remote reads, and nothing else. NULL with a sentence.
 */
struct device *device_of(struct device **devices, struct ibv_context *context,
			 const struct region *region);
void devices_close(struct device **devices);

/*
 * Let @queue, which has room for *@entries completions, have room for @wanted. 0, or a
 * negative errno value with a sentence.
 */
int device_reserve(const struct device *device, struct ibv_cq *queue, int *entries, int wanted);

#endif
