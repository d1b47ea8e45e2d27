/* SPDX-License-Identifier: BSD-3-Clause */
/* What the monitor tells: lines of text, or one JSON object per line. */
#ifndef MONITOR_REPORT_H
#define MONITOR_REPORT_H

#include <stdint.h>

#include "alarm.h"
#include "counters.h"

struct report {
	const char *name; /* of the instance */
	int json;
	uint64_t started; /* all times are of clock_now() */
	uint64_t last;
	struct totals own; /* as of @last: what this instance counted itself */
	struct totals group;
};

void report_begin(struct report *report, const char *name, int json);

/* Local and global rates since the last one, and totals. Return 0 or a negative errno value. */
int report_rates(struct report *report, struct counters *counters, struct estate_view *view);
int report_final(struct report *report, struct counters *counters, struct estate_view *view);

void report_alarm(const struct report *report, const struct alarm *alarm);

/*
 * Writes all flows of the global view into the file @path, one a line:
 * protocol, source, port, destination, port, packets, bytes, matches, with tabs
 * between. Returns 0 or a negative errno value.
 */
int report_flows(const char *path, const struct counters *counters, struct estate_view *view);

#endif
