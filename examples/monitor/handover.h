/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A leaver gives its counters to those who stay.
 *
 * This is the example's own hand-over, at the level of the application, as each
 * entry goes to the instance that has its flow from now on, and estate_leave()
 * gives all to one: each entry is deleted here and added there, so that
 * while it is on its way the global view lacks it, and if the leaver is killed
 * in the middle, what it had not yet sent is lost. Once it is over, each packet
 * counts once.
 */
#ifndef MONITOR_HANDOVER_H
#define MONITOR_HANDOVER_H

#include "channel.h"
#include "counters.h"

/* The leaver: sends all entries. Returns 0 or a negative errno value. */
int handover_give(int channel, const struct counters *counters);

/* Who stays: takes one entry. Returns 0, -EBADMSG or as estate_fold(). */
int handover_take(struct counters *counters, const struct channel_entry *entry);

#endif
