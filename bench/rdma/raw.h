/* SPDX-License-Identifier: BSD-3-Clause */
/* READs of random places, as fast as verbs allow: the limit of everything else. */
#ifndef RAW_H
#define RAW_H

#include "wire.h"

struct raw {
	struct wires *wires;
	unsigned int wire; /* raw_one: which of them */
	uint32_t length; /* of each READ */
	unsigned int depth; /* raw_stream: in flight on each wire */
	unsigned int count; /* raw_stream: READs in all, on each wire */
};

/* One READ, and wait for it. These are contest_run functions; @arg is a struct raw. */
int raw_one(void *arg);
/* One READ on each wire at the same time, and wait for all. */
int raw_each(void *arg);
/* @count READs on each wire, @depth of them in flight. */
int raw_stream(void *arg);

#endif
