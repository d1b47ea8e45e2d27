/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transport without a network: READs are done by memcpy() from the regions of
 * instances in the same process. Everything of the library that is above the
 * transport runs as it does with a real one, and can be counted.
 */
#ifndef FAKE_TRANSPORT_H
#define FAKE_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

/* READs so far, of views. */
uint64_t fake_reads(void);

/* From now on READs do not complete, until it is called with 0. */
void fake_hold(int hold);

/* From now on no copy of anybody's header is renewed, until it is called with 0. */
void fake_freeze(int freeze);

/* Called before each READ of a view's is done, and with what is to be read; NULL: no more. */
typedef void fake_read_fn(const char *name, uint64_t offset, size_t length, void *arg);
void fake_watch(fake_read_fn *watch, void *arg);

/* Connections to @address break, and cannot be made, until it is called with 0. */
void fake_unplug(const char *address, int unplugged);

#endif
