// SPDX-License-Identifier: BSD-3-Clause
#include "transport.h"

#include "error.h"

#include <errno.h>
#include <string.h>

#ifdef ESTATE_RDMA
int verbs_open(const struct transport_attr *attr, struct transport **transport);
#endif

int transport_address(const char *address)
{
	int only = !strncmp(address, "verbs:", 6);
	const char *host = only ? address + 6 : address;
	const char *colon = strrchr(host, ':');

	if (!strncmp(address, "unix:", 5) || !colon || colon == host || !colon[1] ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1) || strchr(host, '/'))
		return 0;
	return only ? TRANSPORT_ONLY : TRANSPORT_OR_SHM;
}

int transport_open(const struct transport_attr *attr, struct transport **transport)
{
#ifdef ESTATE_RDMA
	return verbs_open(attr, transport);
#else
	(void)attr;
	(void)transport;
	return error_set(-ENOTSUP, "this build of the library has no RDMA: build it with "
				   "-DESTATE_RDMA=ON");
#endif
}
