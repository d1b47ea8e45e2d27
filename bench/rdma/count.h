/* SPDX-License-Identifier: BSD-3-Clause */
/* How many READs are posted, by whomever in this process. */
#ifndef COUNT_H
#define COUNT_H

#include <infiniband/verbs.h>
#include <stdint.h>

/*
 * librdmacm opens a device once per process, so that the library's queue pairs
 * post through the same function pointer as ours: from begin to end it counts.
 * Not while anything is timed.
 */
void count_begin(struct ibv_context *device);
uint64_t count_end(struct ibv_context *device);

#endif
