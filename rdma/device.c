// SPDX-License-Identifier: BSD-3-Clause
#include "device.h"

#include "error.h"
#include "explain.h"

#include <errno.h>
#include <rdma/rdma_cma.h>
#include <stdlib.h>
#include <string.h>

/* READs in flight to one peer: enough to keep a fast link busy with small ones. */
#define DEPTH_MAX 128
#define CONTROLS_FIRST 256

static void device_free(struct device *device)
{
	if (device->control)
		ibv_destroy_cq(device->control);
	if (device->inbound)
		ibv_destroy_cq(device->inbound);
	if (device->region)
		ibv_dereg_mr(device->region);
	if (device->pd)
		ibv_dealloc_pd(device->pd);
	if (device->held)
		rdma_free_devices(device->held);
	free(device);
}

static int set_up(struct device *device, const struct region *region)
{
	const char *name = ibv_get_device_name(device->context->device);
	struct ibv_device_attr attr;
	int error;

	/*
	 * The last identifier of a device that was removed takes its context with it; what
	 * we have of it may be there for longer. It is of the devices that these are.
	 */
	device->held = rdma_get_devices(NULL);
	if (!device->held)
		return error_set(-errno, "device %s: rdma_get_devices: %m", name);
	error = ibv_query_device(device->context, &attr);
	if (error)
		return error_set(-error, "device %s: ibv_query_device: %s", name, strerror(error));
	device->depth = attr.max_qp_wr < DEPTH_MAX ? attr.max_qp_wr : DEPTH_MAX;
	device->completions_max = attr.max_cqe;
	device->pd = ibv_alloc_pd(device->context);
	if (!device->pd)
		return error_set(-errno, "device %s: ibv_alloc_pd: %m", name);
	if (region) {
		device->region = ibv_reg_mr(device->pd, region->memory, region->size,
					    IBV_ACCESS_REMOTE_READ);
		if (!device->region)
			return explain_registration(-errno, region->size, name);
	}
	device->inbound = ibv_create_cq(device->context, 1, NULL, NULL, 0);
	if (!device->inbound)
		return error_set(-errno, "device %s: ibv_create_cq: %m", name);
	device->control_entries = attr.max_cqe < CONTROLS_FIRST ? attr.max_cqe : CONTROLS_FIRST;
	device->control = ibv_create_cq(device->context, device->control_entries, NULL, NULL, 0);
	if (!device->control)
		return error_set(-errno, "device %s: ibv_create_cq: %m", name);
	return 0;
}

int device_reserve(const struct device *device, struct ibv_cq *queue, int *entries, int wanted)
{
	int more = *entries;
	int error;

	if (wanted > device->completions_max)
		return error_set(-ENOSPC,
				 "the RDMA device's completion queues have %d entries at most: "
				 "too few for another peer",
				 device->completions_max);
	while (more < wanted)
		more = more > device->completions_max / 2 ? device->completions_max : more * 2;
	if (more == *entries)
		return 0;
	error = ibv_resize_cq(queue, more);
	if (error)
		return error_set(-error, "ibv_resize_cq to %d entries: %s", more, strerror(error));
	*entries = more;
	return 0;
}

struct device *device_of(struct device **devices, struct ibv_context *context,
			 const struct region *region)
{
	struct device *device;

	for (device = *devices; device; device = device->next)
		if (device->context == context)
			return device;
	device = calloc(1, sizeof(*device));
	if (!device) {
		error_set(-ENOMEM, "no memory for an RDMA device");
		return NULL;
	}
	device->context = context;
	if (set_up(device, region)) {
		device_free(device);
		return NULL;
	}
	device->next = *devices;
	*devices = device;
	return device;
}

void devices_close(struct device **devices)
{
	while (*devices) {
		struct device *device = *devices;

		*devices = device->next;
		device_free(device);
	}
}
