// SPDX-License-Identifier: BSD-3-Clause
#include "persist.h"

#include "error.h"

#include <errno.h>

int persist_check(const struct medium *medium)
{
	if (unlikely(persist_has_failed(medium)))
		return error_set(-EIO, "the pool could not be written before, and is not written "
				       "any more: what came since is in memory alone");
	return 0;
}

int persist_drain(struct persist_batch *batch)
{
	int error = persist_check(batch->medium);

	if (error)
		return error;
	error = medium_drain(batch);
	if (unlikely(error))
		__atomic_store_n(&batch->medium->failed, 1, __ATOMIC_RELEASE);
	return error;
}
