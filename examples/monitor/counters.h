/* SPDX-License-Identifier: BSD-3-Clause */
/* What the monitor counts: the tables that the group shares. */
#ifndef MONITOR_COUNTERS_H
#define MONITOR_COUNTERS_H

#include <estate/estate.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

/* Keys and values of the tables. All values are numbers that are summed. */
enum counters_table {
	COUNTERS_FLOWS, /* struct flow -> struct flow_counters */
	COUNTERS_HOSTS, /* struct host -> struct host_counters; those that sent */
	COUNTERS_TOTALS, /* TOTALS_KEY -> struct totals */
	COUNTERS_TABLES,
};

struct host {
	uint8_t address[16]; /* as in struct flow */
	uint8_t version;
};

#define TOTALS_KEY "totals"

struct flow_counters {
	uint64_t packets;
	uint64_t bytes; /* of frames, as on the wire */
	uint64_t matches;
};

struct host_counters {
	uint64_t packets;
	uint64_t bytes;
	uint64_t matches;
	uint64_t alarms;
};

struct totals {
	uint64_t packets; /* all that were seen */
	uint64_t bytes;
	uint64_t matches;
	uint64_t not_ip; /* packets that belong to no flow: these ... */
	uint64_t truncated; /* ... these ... */
	uint64_t malformed; /* ... and these */
	uint64_t untracked; /* packets whose flow or host found its table full */
	uint64_t alarms;
};

struct counters_options {
	uint64_t capacity; /* flows, and hosts, that an instance takes */
	uint64_t seed; /* of the tables' hash: the same in the whole group */
};

#define COUNTERS_OPTIONS_INIT         \
	{                             \
		.capacity = 1u << 16, \
	}

struct counters {
	struct estate_table *tables[COUNTERS_TABLES];
	struct estate_entry totals; /* this instance's own */
	struct totals taken; /* the part of them that others counted and handed over */
};

/* How large a region they need; 0 with estate_errormsg() if the options are not valid. */
size_t counters_region_size(const struct counters_options *options);

/*
 * Both return 0 or what estate_errormsg() explains. Without @options the tables
 * are opened as they are in the group, if some instance has them: else -ENOENT.
 */
int counters_open(struct counters *counters, struct estate *es,
		  const struct counters_options *options);
int counters_open_own(struct counters *counters); /* not for an observer */

/* Counts one frame of @length bytes on the wire; @packet is not used unless it has a flow. */
int counters_count(struct counters *counters, enum packet_kind kind, const struct packet *packet,
		   uint64_t length, uint64_t matches);

int counters_local(struct counters *counters, struct totals *totals);

/* All instances together; zeros where nobody has counted yet. */
int counters_global(const struct counters *counters, struct estate_view *view,
		    struct totals *totals, struct estate_answer *answer);

#endif
