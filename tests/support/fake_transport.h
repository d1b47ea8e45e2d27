/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transport without a network: READs are done by memcpy() from the regions of
 * instances in the same process. Everything of the library that is above the
 * transport runs as it does with a real one, and can be counted.
 */
#ifndef FAKE_TRANSPORT_H
#define FAKE_TRANSPORT_H

#include <stdint.h>

/* READs so far. */
uint64_t fake_reads(void);

/* From now on READs do not complete, until it is called with 0. */
void fake_hold(int hold);

#endif
