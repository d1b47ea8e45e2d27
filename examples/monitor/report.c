/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

struct snapshot {
	uint64_t now;
	struct totals local;
	struct totals own;
	struct totals group;
	struct estate_answer answer;
};

void report_begin(struct report *report, const char *name, int json)
{
	*report = (struct report){ .name = name, .json = json, .started = clock_now() };
	report->last = report->started;
}

static int take_snapshot(struct snapshot *snapshot, struct counters *counters,
			 struct estate_view *view)
{
	int error = counters_local(counters, &snapshot->local);

	if (!error)
		error = counters_global(counters, view, &snapshot->group, &snapshot->answer);
	if (error)
		return error;
	snapshot->now = clock_now();
	snapshot->own = snapshot->local;
	snapshot->own.packets -= counters->taken.packets;
	snapshot->own.bytes -= counters->taken.bytes;
	snapshot->own.matches -= counters->taken.matches;
	return 0;
}

/* What is being handed over is in nobody's view for a moment: then a sum may go back. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
	return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

static json_t *json_totals(const struct totals *totals)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "packets",
			 (json_int_t)totals->packets, "bytes", (json_int_t)totals->bytes, "matches",
			 (json_int_t)totals->matches, "not_ip", (json_int_t)totals->not_ip,
			 "truncated", (json_int_t)totals->truncated, "malformed",
			 (json_int_t)totals->malformed, "untracked", (json_int_t)totals->untracked,
			 "alarms", (json_int_t)totals->alarms);
}

static json_t *json_rates(const struct totals *now, const struct totals *before, double seconds)
{
	return json_pack("{s:f, s:f, s:f}", "packets", rate(now->packets, before->packets, seconds),
			 "bytes", rate(now->bytes, before->bytes, seconds), "matches",
			 rate(now->matches, before->matches, seconds));
}

/* Writes @object, which is NULL if there was no memory for it, and frees it. */
static void write_json(json_t *object)
{
	if (!object)
		return;
	json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}

static void write_json_rates(const struct report *report, const struct snapshot *snapshot,
			     const struct counters *counters, const char *event)
{
	const struct estate_answer *answer = &snapshot->answer;
	double seconds = (double)(snapshot->now - report->last) / SECOND;

	write_json(json_pack(
		"{s:s, s:s, s:f, s:o, s:o, s:o, s:o, s:o, s:{s:i, s:i, s:i, s:i}}", "event", event,
		"name", report->name, "seconds", (double)(snapshot->now - report->started) / SECOND,
		"local", json_totals(&snapshot->local), "taken_over", json_totals(&counters->taken),
		"group", json_totals(&snapshot->group), "local_per_second",
		json_rates(&snapshot->own, &report->own, seconds), "group_per_second",
		json_rates(&snapshot->group, &report->group, seconds), "instances", "asked",
		(int)answer->asked, "answered", (int)answer->answered, "present",
		(int)answer->present, "missing", (int)answer->missing));
}

static void write_text_rates(const struct report *report, const struct snapshot *snapshot)
{
	const struct totals *own = &snapshot->own;
	const struct totals *group = &snapshot->group;
	double seconds = (double)(snapshot->now - report->last) / SECOND;

	printf("%s %6.1f s   local %8.0f packets/s %9.3f Mbit/s %6.1f matches/s   "
	       "group %8.0f packets/s %9.3f Mbit/s %6.1f matches/s   %u of %u instances\n",
	       report->name, (double)(snapshot->now - report->started) / SECOND,
	       rate(own->packets, report->own.packets, seconds),
	       rate(own->bytes, report->own.bytes, seconds) * 8e-6,
	       rate(own->matches, report->own.matches, seconds),
	       rate(group->packets, report->group.packets, seconds),
	       rate(group->bytes, report->group.bytes, seconds) * 8e-6,
	       rate(group->matches, report->group.matches, seconds), snapshot->answer.answered,
	       snapshot->answer.asked);
	fflush(stdout);
}

static void write_text_totals(const char *name, const char *view, const struct totals *totals)
{
	printf("%s %s: %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64 " matches, %" PRIu64
	       " not IP, %" PRIu64 " truncated, %" PRIu64 " malformed, %" PRIu64
	       " untracked, %" PRIu64 " alarms\n",
	       name, view, totals->packets, totals->bytes, totals->matches, totals->not_ip,
	       totals->truncated, totals->malformed, totals->untracked, totals->alarms);
}

int report_rates(struct report *report, struct counters *counters, struct estate_view *view)
{
	struct snapshot snapshot;
	int error = take_snapshot(&snapshot, counters, view);

	if (error)
		return error;
	if (report->json)
		write_json_rates(report, &snapshot, counters, "rates");
	else
		write_text_rates(report, &snapshot);
	report->last = snapshot.now;
	report->own = snapshot.own;
	report->group = snapshot.group;
	return 0;
}

int report_final(struct report *report, struct counters *counters, struct estate_view *view)
{
	struct snapshot snapshot;
	int error = take_snapshot(&snapshot, counters, view);

	if (error)
		return error;
	if (report->json) {
		write_json_rates(report, &snapshot, counters, "final");
		return 0;
	}
	write_text_totals(report->name, "local", &snapshot.local);
	write_text_totals(report->name, "group", &snapshot.group);
	fflush(stdout);
	return 0;
}

void report_alarm(const struct report *report, const struct alarm *alarm)
{
	char address[PACKET_FLOW_TEXT];

	packet_address_text(alarm->host.address, alarm->host.version, address);
	if (report->json) {
		write_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:i}", "event", "alarm",
				     "name", report->name, "host", address, "matches",
				     (json_int_t)alarm->matches, "most_of_one_instance",
				     (json_int_t)alarm->most, "instances", (int)alarm->instances,
				     "missing", (int)alarm->missing));
		return;
	}
	printf("%s ALARM: %s sent %" PRIu64 " matches, at most %" PRIu64
	       " of them to one instance; %u of the instances saw it\n",
	       report->name, address, alarm->matches, alarm->most, alarm->instances);
	fflush(stdout);
}

static int write_flow(const void *key, size_t key_length, const void *value, size_t value_length,
		      unsigned int present, uint64_t newest, void *arg)
{
	const struct flow_counters *counters = value;
	char text[PACKET_FLOW_TEXT];
	FILE *file = arg;
	struct flow flow;

	(void)present;
	(void)newest;
	if (key_length != sizeof(flow) || value_length != sizeof(*counters))
		return -EPROTO;
	memcpy(&flow, key, sizeof(flow));
	if (fprintf(file, "%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n",
		    packet_flow_text(&flow, text), counters->packets, counters->bytes,
		    counters->matches) < 0)
		return -EIO;
	return 0;
}

int report_flows(const char *path, const struct counters *counters, struct estate_view *view)
{
	struct estate_answer answer;
	FILE *file = fopen(path, "w");
	int error;

	if (!file)
		return -errno;
	error = estate_scan_global(view, counters->tables[COUNTERS_FLOWS], NULL, write_flow, file,
				   &answer);
	if (fclose(file) && !error)
		error = -errno;
	if (!error && answer.missing)
		error = -EHOSTDOWN;
	return error;
}
