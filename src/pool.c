// SPDX-License-Identifier: BSD-3-Clause
#include "pool.h"

#include "error.h"

#include <errno.h>

#ifdef ESTATE_PMEM
int pmem_pool_open(const struct pool_attr *attr, struct pool **pool);
#endif

int pool_open(const struct pool_attr *attr, struct pool **pool)
{
#ifdef ESTATE_PMEM
	return pmem_pool_open(attr, pool);
#else
	(void)pool;
	return error_set(-ENOTSUP,
			 "pool %s: this build of the library has no persistent memory: build it "
			 "with -DESTATE_PMEM=ON",
			 attr->path);
#endif
}
