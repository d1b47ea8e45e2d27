// SPDX-License-Identifier: BSD-3-Clause
#include "driver.h"

#include <stddef.h>

const struct driver *const drivers[] = {
	&driver_estate,
#ifdef HAVE_DPDK
	&driver_dpdk,
#endif
#ifdef HAVE_URCU
	&driver_urcu,
#endif
#ifdef HAVE_CK
	&driver_ck,
#endif
	NULL,
};
