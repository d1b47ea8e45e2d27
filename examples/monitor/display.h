/* SPDX-License-Identifier: BSD-3-Clause */
/* The splitter's picture of the group: redrawn on a terminal, else a line at a time. */
#ifndef MONITOR_DISPLAY_H
#define MONITOR_DISPLAY_H

#include <stdint.h>

#include "group.h"
#include "plan.h"

struct display {
	int terminal;
	unsigned int lines; /* that are to be drawn over */
	uint64_t started;
};

struct picture {
	const char *source;
	uint64_t packets; /* sent so far */
	uint64_t bytes;
	const struct group *group;
	const struct plan *plan;
};

void display_begin(struct display *display);
void display_draw(struct display *display, const struct picture *picture);

#endif
