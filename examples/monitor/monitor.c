/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A traffic monitor: one instance of a group that shares what it counts.
 *
 * Counts packets, bytes and pattern matches per flow and per sending host, and
 * raises an alarm when a host's matches, over all instances, reach a threshold.
 */
#include <argp.h>
#include <err.h>
#include <errno.h>
#include <estate/estate.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alarm.h"
#include "capture.h"
#include "channel.h"
#include "clock.h"
#include "counters.h"
#include "handover.h"
#include "members.h"
#include "options.h"
#include "packet.h"
#include "patterns.h"
#include "report.h"
#include "share.h"

#define REFRESH (100 * MILLISECOND) /* how often it is asked who is there */
#define NAP_MS 20 /* how late a signal may be noticed */
#define CONNECT_LIMIT (10 * SECOND) /* for a splitter that is not there yet */
#define LEAVE_LIMIT (10 * SECOND) /* for one that does not let go */

struct options {
	const char *group;
	const char *name;
	const char *registry;
	const char *listen;
	const char *splitter;
	const char *flows_file;
	struct capture_options capture;
	struct counters_options counters;
	uint64_t alarm;
	uint64_t wait_for;
	int stay;
	int json;
};

struct monitor {
	struct options options;
	struct patterns patterns;
	struct estate *es;
	struct estate_view *view;
	struct counters counters;
	struct report report;
	struct members members;
	struct share share;
	unsigned int self; /* index in the share */
	uint64_t refreshed;
	int wanted; /* somebody asked this instance to leave */
	char adopter[ESTATE_NAME_MAX]; /* who is to take over then; "": whoever can */
	int given; /* those who stay have the counters */
};

static volatile sig_atomic_t stopping;
static volatile sig_atomic_t signalled;

static void stop(int number)
{
	(void)number;
	stopping = 1;
	signalled = 1;
}

static int complain(int error)
{
	warnx("%s", *estate_errormsg() ? estate_errormsg() : strerror(-error));
	return error;
}

static int raise_alarm(struct monitor *monitor, const struct flow *flow)
{
	struct alarm alarm;
	int result = alarm_check(&monitor->counters, monitor->view, flow, monitor->options.alarm,
				 &alarm);

	if (result < 0)
		return complain(result);
	if (result)
		report_alarm(&monitor->report, &alarm);
	return 0;
}

static int count(struct monitor *monitor, enum packet_kind kind, const struct packet *packet,
		 uint32_t length)
{
	uint64_t matches = 0;
	int error;

	if (kind == PACKET_FLOW)
		matches =
			patterns_found(&monitor->patterns, packet->payload, packet->payload_length);
	error = counters_count(&monitor->counters, kind, packet, length, matches);
	if (error)
		return complain(error);
	if (matches && monitor->options.alarm)
		return raise_alarm(monitor, &packet->flow);
	return 0;
}

static int refresh_share(struct monitor *monitor)
{
	struct members *members = &monitor->members;
	struct share *share = &monitor->share;
	int error = members_refresh(members, monitor->es);

	share_clear(share);
	for (unsigned int i = 0; i < members->count && !error; i++)
		if (members->list[i].self || members->list[i].state == ESTATE_MEMBER_LIVE)
			error = share_add(share, members->list[i].name);
	if (error)
		return complain(error);
	monitor->self = share_find(share, monitor->options.name);
	return 0;
}

/* What is to be done from time to time, packets or not. */
static int tick(struct monitor *monitor)
{
	uint64_t now = clock_now();

	if (!monitor->wanted && estate_leave_wanted(monitor->es, monitor->adopter)) {
		monitor->wanted = 1;
		stopping = 1;
	}
	if (now - monitor->refreshed >= REFRESH) {
		monitor->refreshed = now;
		if (refresh_share(monitor))
			return -1;
	}
	if (now - monitor->report.last < SECOND)
		return 0;
	if (report_rates(&monitor->report, &monitor->counters, monitor->view))
		return complain(-1);
	return 0;
}

static int wait_for_others(struct monitor *monitor)
{
	while (!stopping && monitor->share.count < monitor->options.wait_for) {
		clock_sleep(NAP_MS * MILLISECOND);
		if (tick(monitor))
			return -1;
	}
	return 0;
}

/* Counts the frame if this instance's share of the traffic has it. */
static int count_share(struct monitor *monitor, const struct frame *frame)
{
	struct packet packet;
	enum packet_kind kind =
		packet_parse(frame->link_type, frame->bytes, frame->captured, &packet);
	uint64_t hash = kind == PACKET_FLOW ? share_hash_flow(&packet.flow) : 0;

	if (share_pick(&monitor->share, hash) != monitor->self)
		return 0;
	return count(monitor, kind, &packet, frame->length);
}

static int read_capture(struct monitor *monitor, struct capture *capture)
{
	struct frame frame;

	while (!stopping) {
		uint64_t now = clock_now();
		uint64_t due = capture_due(capture);

		if (tick(monitor))
			return -1;
		if (due > now) {
			uint64_t nap = NAP_MS * MILLISECOND;

			clock_sleep(due - now < nap ? due - now : nap);
			continue;
		}
		switch (capture_next(capture, &frame)) {
		case CAPTURE_FRAME:
			if (count_share(monitor, &frame))
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

static int run_capture(struct monitor *monitor)
{
	char error[CAPTURE_ERROR_SIZE];
	struct capture *capture = capture_open(&monitor->options.capture, error);
	int result;

	if (!capture) {
		warnx("%s", error);
		return -1;
	}
	result = wait_for_others(monitor);
	if (!result)
		result = read_capture(monitor, capture);
	capture_close(capture);
	return result;
}

static int take_message(struct monitor *monitor, const union channel_message *message)
{
	const struct channel_frame *frame = &message->frame;
	struct packet packet;
	enum packet_kind kind;
	int error;

	switch (message->type) {
	case CHANNEL_FRAME:
		kind = packet_parse(frame->link_type, message->bytes + sizeof(*frame),
				    frame->captured, &packet);
		return count(monitor, kind, &packet, frame->length);
	case CHANNEL_ENTRY:
		error = handover_take(&monitor->counters, &message->entry);
		if (error == -ENOSPC) {
			warnx("an entry that was handed over found its table full and is lost");
			return 0;
		}
		return error ? complain(error) : 0;
	default:
		warnx("the splitter sent what only instances send");
		return -1;
	}
}

/* Returns 1 at the end of the stream, 0 if it was stopped before, or -1. */
static int read_channel(struct monitor *monitor, int channel)
{
	static const struct channel_leave request = { .type = CHANNEL_LEAVE };
	static union channel_message message;
	struct pollfd readable = { .fd = channel, .events = POLLIN };
	uint64_t give_up = 0;

	for (;;) {
		int length = channel_receive(channel, &message);

		if (!length)
			return 1;
		if (length < 0 && length != -EAGAIN) {
			warnx("the connection to the splitter broke: %s", strerror(-length));
			return -1;
		}
		if (length > 0 && take_message(monitor, &message))
			return -1;
		if (tick(monitor))
			return -1;
		if (stopping && !give_up) {
			if (channel_send(channel, &request, sizeof(request), NULL, 0, 0))
				return 0;
			give_up = clock_now() + LEAVE_LIMIT;
		}
		if (give_up && clock_now() > give_up)
			return 0;
		if (length < 0)
			poll(&readable, 1, NAP_MS);
	}
}

static int connect_to_splitter(const struct monitor *monitor)
{
	const char *path = monitor->options.splitter;
	uint64_t give_up = clock_now() + CONNECT_LIMIT;
	int channel = channel_connect(path);

	while ((channel == -ENOENT || channel == -ECONNREFUSED) && !stopping &&
	       clock_now() < give_up) {
		clock_sleep(NAP_MS * MILLISECOND);
		channel = channel_connect(path);
	}
	if (channel < 0)
		warnx("cannot connect to the splitter at %s: %s", path, strerror(-channel));
	return channel;
}

static int say_hello(struct monitor *monitor, int channel)
{
	struct channel_hello hello = { .type = CHANNEL_HELLO };

	snprintf(hello.name, sizeof(hello.name), "%s", monitor->options.name);
	return channel_send(channel, &hello, sizeof(hello), NULL, 0, 0);
}

static int stay(struct monitor *monitor)
{
	while (!stopping) {
		clock_sleep(NAP_MS * MILLISECOND);
		if (tick(monitor))
			return -1;
	}
	return 0;
}

static int finish(struct monitor *monitor)
{
	int error;

	if (monitor->options.flows_file) {
		error = report_flows(monitor->options.flows_file, &monitor->counters,
				     monitor->view);
		if (error) {
			warnx("cannot write %s: %s", monitor->options.flows_file, strerror(-error));
			return -1;
		}
	}
	error = report_final(&monitor->report, &monitor->counters, monitor->view);
	return error ? complain(error) : 0;
}

static int run_splitter(struct monitor *monitor)
{
	int channel = connect_to_splitter(monitor);
	int result = -1;
	int left;

	if (channel < 0)
		return -1;
	if (say_hello(monitor, channel)) {
		warnx("the splitter does not take new instances");
		goto close_channel;
	}
	result = read_channel(monitor, channel);
	if (result < 0)
		goto close_channel;
	left = stopping && result == 1;
	result = 0;
	if (!stopping && monitor->options.stay)
		result = stay(monitor);
	if (!result)
		result = finish(monitor);
	if (!result && left) {
		result = handover_give(channel, &monitor->counters);
		if (result)
			warnx("nobody took the counters: %s", strerror(-result));
		else
			monitor->given = 1;
	}

close_channel:
	close(channel);
	return result;
}

static int run(struct monitor *monitor)
{
	int result;

	if (monitor->options.splitter)
		return run_splitter(monitor);
	result = run_capture(monitor);
	if (!result && monitor->options.stay)
		result = stay(monitor);
	return result ? result : finish(monitor);
}

static int join(struct monitor *monitor)
{
	const struct options *options = &monitor->options;
	struct estate_attr attr = ESTATE_ATTR_INIT;
	int error;

	attr.group = options->group;
	attr.name = options->name;
	attr.registry = options->registry;
	attr.listen = options->listen;
	attr.region_size = counters_region_size(&options->counters);
	if (!attr.region_size)
		return complain(-EINVAL);
	error = estate_open(&attr, &monitor->es);
	if (error)
		return complain(error);
	error = counters_open(&monitor->counters, monitor->es, &options->counters);
	if (!error)
		error = counters_open_own(&monitor->counters);
	if (!error)
		error = estate_view_open(monitor->es, NULL, &monitor->view);
	if (error) {
		complain(error);
		goto close_estate;
	}
	report_begin(&monitor->report, options->name, options->json);
	if (refresh_share(monitor))
		goto close_view;
	return 0;

close_view:
	estate_view_close(monitor->view);
close_estate:
	estate_close(monitor->es);
	return -1;
}

/*
 * Asked to leave, and no splitter to have the entries spread: one takes them all. Until
 * somebody does they stay here, to be read, or until a signal says that they may go.
 */
static int hand_over(struct monitor *monitor)
{
	struct estate_leave_attr attr = ESTATE_LEAVE_ATTR_INIT;

	attr.to = monitor->adopter;
	while (estate_leave(monitor->es, &attr)) {
		uint64_t again = clock_now() + SECOND;

		warnx("%s", estate_errormsg());
		while (!signalled && clock_now() < again)
			clock_sleep(NAP_MS * MILLISECOND);
		if (signalled)
			return -1;
		/* Who was wished for may have gone: the last wish counts. */
		estate_leave_wanted(monitor->es, monitor->adopter);
	}
	return 0;
}

static void leave(struct monitor *monitor)
{
	estate_view_close(monitor->view);
	if (!monitor->wanted || monitor->given || hand_over(monitor))
		estate_close(monitor->es);
	share_free(&monitor->share);
	members_free(&monitor->members);
}

enum {
	OPTION_REGISTRY = OPTION_OWN,
	OPTION_LISTEN,
	OPTION_CAPACITY,
	OPTION_SEED,
	OPTION_FLOWS,
	OPTION_WAIT_FOR,
	OPTION_STAY,
	OPTION_JSON,
};

static const struct argp_option argp_options[] = {
	{ NULL, 0, NULL, 0, "Where packets come from (one of -i, -r, -s):", 1 },
	OPTIONS_CAPTURE,
	{ "splitter", 's', "PATH", 0, "Take packets from the splitter that listens there", 1 },
	{ "wait-for", OPTION_WAIT_FOR, "N", 0,
	  "Begin with -i or -r once the group has N instances (1)", 1 },
	{ NULL, 0, NULL, 0, "What is counted:", 2 },
	{ "pattern", 'p', "STRING", 0, "Look for STRING in payloads; may be given often", 2 },
	{ "alarm", 'a', "N", 0,
	  "Raise an alarm when N matches of a host were seen by the group; 0: never (0)", 2 },
	{ "capacity", OPTION_CAPACITY, "N", 0,
	  "Flows, and hosts, that there is room for; the same in the whole group (65536)", 2 },
	{ "seed", OPTION_SEED, "N", 0,
	  "Of the tables' hash: a number that strangers cannot guess; the same in the whole group "
	  "(0)",
	  2 },
	{ NULL, 0, NULL, 0, "The group:", 3 },
	{ "group", 'g', "NAME", 0, "Join this group (monitor)", 3 },
	{ "name", 'n', "NAME", 0, "Join under this name (monitor-PID)", 3 },
	{ "registry", OPTION_REGISTRY, "WHERE", 0, "Where members find each other (dir:)", 3 },
	{ "listen", OPTION_LISTEN, "ADDRESS", 0,
	  "Where members on other hosts read this one: HOST:PORT, of an RDMA device", 3 },
	{ NULL, 0, NULL, 0, "What is told:", 4 },
	{ "json", OPTION_JSON, NULL, 0, "One JSON object per line", 4 },
	{ "flows", OPTION_FLOWS, "FILE", 0,
	  "At the end, write the flows of the global view into FILE", 4 },
	{ "stay", OPTION_STAY, NULL, 0, "Stay in the group when there are no more packets", 4 },
	{ NULL },
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct monitor *monitor = state->input;
	struct options *options = &monitor->options;
	int sources;

	if (option_capture(key, text, state, &options->capture))
		return 0;
	switch (key) {
	case 's':
		options->splitter = text;
		return 0;
	case OPTION_WAIT_FOR:
		options->wait_for = option_number(state, "--wait-for", text, 1, 1000);
		return 0;
	case 'p':
		if (patterns_add(&monitor->patterns, text))
			argp_error(state, "--pattern needs a string that is not empty");
		return 0;
	case 'a':
		options->alarm = option_number(state, "--alarm", text, 0, UINT64_MAX);
		return 0;
	case OPTION_CAPACITY:
		options->counters.capacity =
			option_number(state, "--capacity", text, 1, UINT32_MAX);
		return 0;
	case OPTION_SEED:
		options->counters.seed = option_number(state, "--seed", text, 0, UINT64_MAX);
		return 0;
	case 'g':
		options->group = text;
		return 0;
	case 'n':
		options->name = text;
		return 0;
	case OPTION_LISTEN:
		options->listen = text;
		return 0;
	case OPTION_REGISTRY:
		options->registry = text;
		return 0;
	case OPTION_JSON:
		options->json = 1;
		return 0;
	case OPTION_FLOWS:
		options->flows_file = text;
		return 0;
	case OPTION_STAY:
		options->stay = 1;
		return 0;
	case ARGP_KEY_END:
		sources = !!options->capture.interface + !!options->capture.file +
			  !!options->splitter;
		if (sources != 1)
			argp_error(state, "give one of --interface, --read and --splitter");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.doc = "Counts flows and hosts as one instance of a group of monitors.\v"
	       "All instances that read the same interface or file take their share of the flows. "
	       "While instances join or leave, two that read by themselves do not switch at the "
	       "same packet: where each packet has to count exactly once then, put a splitter in "
	       "front of them.\n\n"
	       "SIGINT or SIGTERM: the instance gives its counters to those who stay, if it has a "
	       "splitter, and leaves. \"estate leave NAME\" asks it for the same; without a "
	       "splitter, "
	       "one of those who stay takes all.",
};

static void catch_signals(void)
{
	/* No SA_RESTART: what sleeps is to wake up. */
	struct sigaction action = { .sa_handler = stop };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
	static struct monitor monitor;
	char name[ESTATE_NAME_MAX];
	int result;

	snprintf(name, sizeof(name), "monitor-%d", (int)getpid());
	monitor.options = (struct options){
		.group = "monitor",
		.name = name,
		.capture = { .loops = 1 },
		.counters = COUNTERS_OPTIONS_INIT,
		.wait_for = 1,
	};
	argp_parse(&argp, argc, argv, 0, NULL, &monitor);
	catch_signals();
	result = join(&monitor);
	if (!result) {
		result = run(&monitor);
		leave(&monitor);
	}
	patterns_free(&monitor.patterns);
	return result ? EXIT_FAILURE : EXIT_SUCCESS;
}
