/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking over what a leaver has sealed: a thread that is there while there is something to take. */
#ifndef ADOPT_H
#define ADOPT_H

#include <stdint.h>

struct estate;
struct adopter;

/* For an instance, before it joins its group. 0, or -ENOMEM or what the pool says, with a sentence. */
int adopter_init(struct estate *es, struct adopter **adopter);
/* The instance is in its group now: what wakes it from here on, or did, is looked into. */
void adopter_begin(struct adopter *adopter);
/* Stop in the midst of whatever it is doing, for good; the group is still there. */
void adopter_stop(struct adopter *adopter);
void adopter_destroy(struct adopter *adopter);

/* Somebody may want to be adopted. The group's background thread calls this. */
void adopter_wake(struct adopter *adopter);

/*
 * Begin with nobody until adopter_go_on(). -EAGAIN, and nothing changes, if it is in
 * the midst; -EBUSY if somebody whom it has taken over may come back and ask.
 */
int adopter_pause(struct adopter *adopter);
void adopter_go_on(struct adopter *adopter);

#endif
