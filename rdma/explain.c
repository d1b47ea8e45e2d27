// SPDX-License-Identifier: BSD-3-Clause
#include "explain.h"

#include "error.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

const char *explain_completion(enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_RETRY_EXC_ERR:
		return "its host is down or cannot be reached: look at the cable and the link "
		       "(rdma link), at the route, and that no firewall drops UDP port 4791";
	case IBV_WC_RNR_RETRY_EXC_ERR:
		return "it was not ready to receive: it is no instance of estate, which is always "
		       "ready";
	case IBV_WC_REM_ACCESS_ERR:
		return "its region is gone or was registered anew: it was restarted";
	case IBV_WC_REM_INV_REQ_ERR:
		return "its device does not take this request: READs may be disabled there";
	case IBV_WC_REM_OP_ERR:
		return "its device failed to carry the READ out: look at its kernel log";
	case IBV_WC_LOC_PROT_ERR:
	case IBV_WC_LOC_ACCESS_ERR:
		return "the memory for the READ is not registered here: a bug in this library";
	case IBV_WC_LOC_LEN_ERR:
	case IBV_WC_LOC_QP_OP_ERR:
	case IBV_WC_LOC_EEC_OP_ERR:
		return "this host's device would not take the READ: a bug in this library or the "
		       "driver";
	case IBV_WC_WR_FLUSH_ERR:
		return "the connection ended";
	case IBV_WC_RESP_TIMEOUT_ERR:
		return "its device did not answer in time";
	default:
		return "look at the kernel logs of both hosts";
	}
}

const char *explain_event(enum rdma_cm_event_type event, int status)
{
	switch (event) {
	case RDMA_CM_EVENT_ADDR_ERROR:
		if (status == -ENODEV || status == -EADDRNOTAVAIL)
			return "no RDMA device of this host reaches it: see rdma link, and "
			       "\"estate "
			       "doctor\"";
		return "its address did not resolve: is there a route, and does it answer "
		       "ARP (ping)?";
	case RDMA_CM_EVENT_ROUTE_ERROR:
		return "no path to it: on InfiniBand, is a subnet manager running?";
	case RDMA_CM_EVENT_UNREACHABLE:
		return "its host does not answer connection requests: is it up, and does no "
		       "firewall drop UDP port 4791?";
	case RDMA_CM_EVENT_CONNECT_ERROR:
		return "the connection failed half-way: GIDs or MTUs of the two sides may not fit";
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		return "the RDMA device of this host was removed";
	case RDMA_CM_EVENT_ADDR_CHANGE:
		return "the address of this host's network device changed";
	default:
		return "see \"estate doctor\"";
	}
}

int explain_registration(int error, size_t bytes, const char *device)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if ((error == -ENOMEM || error == -EAGAIN) && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < bytes)
		return error_set(-ENOMEM,
				 "device %s: registering %zu bytes: this process may lock %llu "
				 "(RLIMIT_MEMLOCK): ulimit -l unlimited, or LimitMEMLOCK=infinity "
				 "in its systemd unit",
				 device, bytes, (unsigned long long)limit.rlim_cur);
	return error_set(error, "device %s: registering %zu bytes: ibv_reg_mr: %s", device, bytes,
			 strerror(-error));
}
