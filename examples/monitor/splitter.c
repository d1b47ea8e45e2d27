/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Splits traffic over a group of monitors: what a switch or a load balancer
 * does in a network.
 *
 * As it is the only one that decides, each packet is counted exactly once even
 * while instances join and leave. It is an observer of the group: it sees who
 * is there, and can show the global view, but counts nothing in it.
 */
#include <argp.h>
#include <err.h>
#include <errno.h>
#include <estate/estate.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "channel.h"
#include "clock.h"
#include "counters.h"
#include "display.h"
#include "group.h"
#include "options.h"
#include "outlets.h"
#include "packet.h"
#include "plan.h"
#include "report.h"
#include "share.h"

#define DRAW_TERMINAL (100 * MILLISECOND)
#define DRAW_LINES SECOND

struct options {
	const char *group;
	const char *registry;
	const char *socket;
	const char *flows_file;
	const char *summary_file;
	struct capture_options capture;
	struct plan plan;
	uint64_t limit; /* seconds that anything is waited for */
	int check;
	int show;
};

struct splitter {
	struct options options;
	struct estate *es;
	struct estate_view *view;
	struct counters counters;
	int tables; /* they are open: some instance has them */
	struct group group;
	struct outlets outlets;
	struct display display;
	uint64_t packets; /* sent */
	uint64_t bytes;
	uint64_t drawn;
};

static volatile sig_atomic_t stopping;

static void stop(int number)
{
	(void)number;
	stopping = 1;
}

static int complain(int error)
{
	warnx("%s", *estate_errormsg() ? estate_errormsg() : strerror(-error));
	return error;
}

static int read_group(struct splitter *splitter)
{
	int error;

	if (!splitter->tables) {
		error = counters_open(&splitter->counters, splitter->es, NULL);
		if (error == -ENOENT)
			return 0;
		if (error)
			return complain(error);
		splitter->tables = 1;
	}
	error = group_read(&splitter->group, &splitter->counters, splitter->view);
	return error ? complain(error) : 0;
}

static int draw(struct splitter *splitter)
{
	const struct capture_options *capture = &splitter->options.capture;
	struct picture picture = {
		.source = capture->file ? capture->file : capture->interface,
		.packets = splitter->packets,
		.bytes = splitter->bytes,
		.group = &splitter->group,
		.plan = &splitter->options.plan,
	};

	if (!splitter->options.show)
		return 0;
	if (read_group(splitter))
		return -1;
	display_draw(&splitter->display, &picture);
	splitter->drawn = clock_now();
	return 0;
}

/* All that is to be done besides sending packets. */
static int serve(struct splitter *splitter, int wait_ms)
{
	uint64_t every = splitter->display.terminal ? DRAW_TERMINAL : DRAW_LINES;
	int error = outlets_serve(&splitter->outlets, wait_ms);

	if (error)
		return complain(error);
	if (clock_now() - splitter->drawn < every)
		return 0;
	return draw(splitter);
}

/* Has every packet that was sent been counted, once? */
static int is_right(const struct splitter *splitter)
{
	const struct group *group = &splitter->group;

	return group->totals.packets == splitter->packets &&
	       group->totals.bytes == splitter->bytes && !group->answer.missing;
}

/* Waits for that: counting takes the instances a moment. */
static int wait_until_right(struct splitter *splitter)
{
	uint64_t give_up = clock_now() + splitter->options.limit * SECOND;
	const struct totals *totals = &splitter->group.totals;

	do {
		if (serve(splitter, 1) || read_group(splitter))
			return -1;
		if (is_right(splitter))
			return 0;
	} while (!stopping && clock_now() < give_up);
	warnx("sent were %" PRIu64 " packets of %" PRIu64 " bytes, but the global view has %" PRIu64
	      " of %" PRIu64 ", with %u instances missing",
	      splitter->packets, splitter->bytes, totals->packets, totals->bytes,
	      splitter->group.answer.missing);
	return -1;
}

/* Looks whether the global view is right, if that is asked for. */
static int check(struct splitter *splitter)
{
	struct step *step = plan_current(&splitter->options.plan);
	int result;

	if (!splitter->options.check)
		return 0;
	result = wait_until_right(splitter);
	if (step)
		step->state = result ? STEP_WRONG : STEP_RIGHT;
	return result;
}

static int wait_for_instances(struct splitter *splitter, const struct step *step)
{
	uint64_t give_up = clock_now() + splitter->options.limit * SECOND;

	warnx("waiting for %u instances before packet %" PRIu64, step->instances,
	      splitter->packets + 1);
	while (!outlets_settled(&splitter->outlets, step->instances)) {
		if (serve(splitter, OUTLETS_WAIT_MS) || stopping)
			return -1;
		if (clock_now() < give_up)
			continue;
		warnx("there are still %u", splitter->outlets.share.count);
		return -1;
	}
	return 0;
}

/* Goes over to the plan's next step if it begins here. */
static int step_on(struct splitter *splitter)
{
	struct step *step = plan_next(&splitter->options.plan, splitter->packets);

	if (!step)
		return 0;
	if (splitter->packets && check(splitter))
		return -1;
	splitter->options.plan.begun++;
	step->state = STEP_WAITING;
	if (draw(splitter) || wait_for_instances(splitter, step))
		return -1;
	/* What a leaver handed over must be there again. */
	if (check(splitter))
		return -1;
	step->state = STEP_RUNNING;
	return draw(splitter);
}

static int send_frame(struct splitter *splitter, const struct frame *frame)
{
	struct channel_frame head = {
		.type = CHANNEL_FRAME,
		.link_type = frame->link_type,
		.length = frame->length,
		.captured = frame->captured,
	};
	struct packet packet;
	uint64_t hash = 0;
	int error;

	if (packet_parse(frame->link_type, frame->bytes, frame->captured, &packet) == PACKET_FLOW)
		hash = share_hash_flow(&packet.flow);
	for (;;) {
		error = outlets_deliver(&splitter->outlets, hash, &head, sizeof(head), frame->bytes,
					frame->captured);
		if (error != -EAGAIN)
			break;
		/* Nobody is there yet, or any more. */
		if (serve(splitter, OUTLETS_WAIT_MS) || stopping)
			return -1;
	}
	if (error) {
		warnx("cannot send a packet to an instance: %s", strerror(-error));
		return -1;
	}
	splitter->packets++;
	splitter->bytes += frame->length;
	return 0;
}

/* Serves while the next frame is not due, and now and then anyway. Returns 1 if it is due. */
static int wait_for_frame(struct splitter *splitter, uint64_t due, uint64_t *served)
{
	uint64_t now = clock_now();
	uint64_t wait_ms = due > now ? (due - now) / MILLISECOND : 0;

	if (due <= now && now - *served < MILLISECOND)
		return 1;
	*served = now;
	if (serve(splitter, wait_ms < OUTLETS_WAIT_MS ? (int)wait_ms : OUTLETS_WAIT_MS))
		return -1;
	return due <= clock_now();
}

/* Returns 0 at the end or when stopped. */
static int split(struct splitter *splitter, struct capture *capture)
{
	uint64_t served = 0;
	struct frame frame;

	while (!stopping) {
		int ready = wait_for_frame(splitter, capture_due(capture), &served);

		if (ready < 0)
			return -1;
		if (!ready)
			continue;
		if (step_on(splitter))
			return -1;
		switch (capture_next(capture, &frame)) {
		case CAPTURE_FRAME:
			if (send_frame(splitter, &frame))
				return -1;
			break;
		case CAPTURE_NONE_YET:
			break;
		case CAPTURE_END:
			return 0;
		case CAPTURE_FAILED:
			warnx("%s", capture_error(capture));
			return -1;
		}
	}
	return 0;
}

static int write_summary(const struct splitter *splitter)
{
	const struct totals *totals = &splitter->group.totals;
	FILE *file = fopen(splitter->options.summary_file, "w");

	if (!file)
		return -errno;
	fprintf(file,
		"packets %" PRIu64 "\nbytes %" PRIu64 "\nmatches %" PRIu64 "\nnot_ip %" PRIu64
		"\ntruncated %" PRIu64 "\nmalformed %" PRIu64 "\nuntracked %" PRIu64
		"\nalarms %" PRIu64 "\ninstances %u\nmissing %u\n",
		totals->packets, totals->bytes, totals->matches, totals->not_ip, totals->truncated,
		totals->malformed, totals->untracked, totals->alarms,
		splitter->group.answer.answered, splitter->group.answer.missing);
	return fclose(file) ? -errno : 0;
}

static int write_files(const struct splitter *splitter)
{
	const struct options *options = &splitter->options;
	const char *path = options->flows_file;
	int error = 0;

	if (path && splitter->tables)
		error = report_flows(path, &splitter->counters, splitter->view);
	if (!error && options->summary_file) {
		path = options->summary_file;
		error = write_summary(splitter);
	}
	if (error)
		warnx("cannot write %s: %s", path, strerror(-error));
	return error;
}

static int finish(struct splitter *splitter)
{
	int result = check(splitter);

	if (read_group(splitter) || draw(splitter) || write_files(splitter))
		return -1;
	if (splitter->outlets.lost)
		warnx("%" PRIu64 " entries are lost: nobody was left to take them over",
		      splitter->outlets.lost);
	return result;
}

static int run(struct splitter *splitter)
{
	char error[CAPTURE_ERROR_SIZE];
	struct capture *capture = capture_open(&splitter->options.capture, error);
	int result;

	if (!capture) {
		warnx("%s", error);
		return -1;
	}
	result = split(splitter, capture);
	capture_close(capture);
	return result ? result : finish(splitter);
}

static int join(struct splitter *splitter)
{
	const struct options *options = &splitter->options;
	struct estate_attr attr = ESTATE_ATTR_INIT;
	int error;

	attr.group = options->group;
	attr.registry = options->registry;
	attr.flags = ESTATE_OBSERVER;
	error = estate_open(&attr, &splitter->es);
	if (error)
		return complain(error);
	error = estate_view_open(splitter->es, NULL, &splitter->view);
	if (error) {
		complain(error);
		goto close_estate;
	}
	error = outlets_open(&splitter->outlets, splitter->es, options->socket);
	if (error) {
		warnx("cannot listen at %s: %s", options->socket, strerror(-error));
		goto close_view;
	}
	display_begin(&splitter->display);
	return 0;

close_view:
	estate_view_close(splitter->view);
close_estate:
	estate_close(splitter->es);
	return -1;
}

static void leave(struct splitter *splitter)
{
	outlets_close(&splitter->outlets);
	estate_view_close(splitter->view);
	estate_close(splitter->es);
}

enum {
	OPTION_REGISTRY = OPTION_OWN,
	OPTION_PLAN,
	OPTION_CHECK,
	OPTION_FLOWS,
	OPTION_SUMMARY,
	OPTION_LIMIT,
	OPTION_SHOW,
};

static const struct argp_option argp_options[] = {
	{ NULL, 0, NULL, 0, "Where packets come from (one of -i, -r):", 1 },
	OPTIONS_CAPTURE,
	{ NULL, 0, NULL, 0, "Where they go:", 2 },
	{ "socket", 's', "PATH", 0, "Listen for instances there (required)", 2 },
	{ "group", 'g', "NAME", 0, "The group of the instances (monitor)", 2 },
	{ "registry", OPTION_REGISTRY, "WHERE", 0, "Where members find each other (dir:)", 2 },
	{ "plan", OPTION_PLAN, "PACKET:N,...", 0,
	  "Before these packets (the first is 0), wait until there are N instances", 2 },
	{ "check", OPTION_CHECK, NULL, 0,
	  "At each step of the plan and at the end, compare the global view with what was sent; "
	  "if it stays different, end with status 1",
	  2 },
	{ "limit", OPTION_LIMIT, "SECONDS", 0, "How long that, and instances, are waited for (60)",
	  2 },
	{ NULL, 0, NULL, 0, "What is told:", 3 },
	{ "show", OPTION_SHOW, NULL, 0, "Show the group: redrawn on a terminal, else in lines", 3 },
	{ "flows", OPTION_FLOWS, "FILE", 0,
	  "At the end, write the flows of the global view into FILE", 3 },
	{ "summary", OPTION_SUMMARY, "FILE", 0,
	  "At the end, write the totals of the global view into FILE", 3 },
	{ NULL },
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;

	if (option_capture(key, text, state, &options->capture))
		return 0;
	switch (key) {
	case 's':
		options->socket = text;
		return 0;
	case 'g':
		options->group = text;
		return 0;
	case OPTION_REGISTRY:
		options->registry = text;
		return 0;
	case OPTION_PLAN:
		plan_parse(&options->plan, text, state);
		return 0;
	case OPTION_CHECK:
		options->check = 1;
		return 0;
	case OPTION_LIMIT:
		options->limit = option_number(state, "--limit", text, 1, 86400);
		return 0;
	case OPTION_SHOW:
		options->show = 1;
		return 0;
	case OPTION_FLOWS:
		options->flows_file = text;
		return 0;
	case OPTION_SUMMARY:
		options->summary_file = text;
		return 0;
	case ARGP_KEY_END:
		if (!options->socket)
			argp_error(state, "--socket says where to listen");
		if (!options->capture.interface == !options->capture.file)
			argp_error(state, "give one of --interface and --read");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.doc = "Splits traffic over a group of monitors by rendezvous hashing of the flows.",
};

int main(int argc, char **argv)
{
	/* No SA_RESTART: what sleeps is to wake up. */
	struct sigaction action = { .sa_handler = stop };
	static struct splitter splitter;
	int result;

	splitter.options = (struct options){
		.group = "monitor",
		.capture = { .loops = 1 },
		.limit = 60,
	};
	argp_parse(&argp, argc, argv, 0, NULL, &splitter.options);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	result = join(&splitter);
	if (!result) {
		result = run(&splitter);
		leave(&splitter);
	}
	return result ? EXIT_FAILURE : EXIT_SUCCESS;
}
