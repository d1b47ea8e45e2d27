/* SPDX-License-Identifier: BSD-3-Clause */
#include "display.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"

/* All lines fit into 80 columns: one that wraps could not be drawn over. */
#define BAR 20

void display_begin(struct display *display)
{
	*display = (struct display){
		.terminal = isatty(STDOUT_FILENO),
		.started = clock_now(),
	};
}

static double seconds(const struct display *display)
{
	return (double)(clock_now() - display->started) / SECOND;
}

__attribute__((format(printf, 2, 3))) static void line(struct display *display, const char *format,
						       ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fputs("\033[K\n", stdout); /* and what was behind it is cleared */
	display->lines++;
}

static void draw_instance(struct display *display, const struct group_instance *instance,
			  const struct totals *group)
{
	static const char full[BAR + 1] = "####################";
	static const char empty[BAR + 1] = "....................";
	uint64_t packets = instance->totals.packets;
	int filled = 0;

	if (packets <= group->packets && group->packets)
		filled = (int)((double)packets / (double)group->packets * BAR + 0.5);
	line(display, "  %-17.17s %11" PRIu64 " %13" PRIu64 " %8" PRIu64 "  %.*s%.*s",
	     instance->name, packets, instance->totals.bytes, instance->totals.matches, filled,
	     full, BAR - filled, empty);
}

static const char *step_text(const struct step *step)
{
	switch (step->state) {
	case STEP_WAITING:
		return "waiting for them";
	case STEP_RUNNING:
		return "running";
	case STEP_RIGHT:
		return "global view = sent";
	case STEP_WRONG:
		return "GLOBAL VIEW IS NOT WHAT WAS SENT";
	default:
		return "";
	}
}

static void draw(struct display *display, const struct picture *picture)
{
	const struct group *group = picture->group;

	if (display->lines)
		printf("\033[%uA", display->lines);
	display->lines = 0;
	line(display, "%.60s, %.1f s", picture->source, seconds(display));
	line(display, "  %-17s %11s %13s %8s", "", "packets", "bytes", "matches");
	line(display, "  %-17s %11" PRIu64 " %13" PRIu64, "sent to instances", picture->packets,
	     picture->bytes);
	line(display, "  %-17s %11" PRIu64 " %13" PRIu64 " %8" PRIu64 "  %u of %u instances",
	     "global view", group->totals.packets, group->totals.bytes, group->totals.matches,
	     group->answer.answered, group->answer.asked);
	line(display, "%s", "");
	for (unsigned int i = 0; i < group->count; i++)
		draw_instance(display, &group->instances[i], &group->totals);
	if (picture->plan->count)
		line(display, "%s", "");
	for (unsigned int i = 0; i < picture->plan->count; i++) {
		const struct step *step = &picture->plan->steps[i];

		line(display, "  from packet %8" PRIu64 " on %2u instance%s  %s", step->first + 1,
		     step->instances, step->instances == 1 ? " " : "s", step_text(step));
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

static void print(const struct display *display, const struct picture *picture)
{
	const struct group *group = picture->group;

	printf("%6.1f s  sent %" PRIu64 " packets %" PRIu64 " bytes | global view %" PRIu64
	       " packets %" PRIu64 " bytes %" PRIu64 " matches, %u of %u instances |",
	       seconds(display), picture->packets, picture->bytes, group->totals.packets,
	       group->totals.bytes, group->totals.matches, group->answer.answered,
	       group->answer.asked);
	for (unsigned int i = 0; i < group->count; i++)
		printf(" %s %" PRIu64, group->instances[i].name,
		       group->instances[i].totals.packets);
	putchar('\n');
	fflush(stdout);
}

void display_draw(struct display *display, const struct picture *picture)
{
	if (display->terminal)
		draw(display, picture);
	else
		print(display, picture);
}
