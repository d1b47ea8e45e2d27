/* SPDX-License-Identifier: BSD-3-Clause */
/* What went wrong, in words, and what to do about it. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

/* The likely cause and the fix for a failed completion; never NULL. */
const char *explain_completion(enum ibv_wc_status status);

/* The same for an event of a connection that did not come about. */
const char *explain_event(enum rdma_cm_event_type event, int status);

/* @error: a negative errno value from registering @bytes of memory. A sentence, always. */
int explain_registration(int error, size_t bytes, const char *device);

#endif
