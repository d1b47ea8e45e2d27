/* SPDX-License-Identifier: BSD-3-Clause */
#include "counters.h"

#include <errno.h>
#include <string.h>

struct geometry {
	const char *name;
	size_t key_size;
	size_t value_size;
};

static const struct geometry geometries[COUNTERS_TABLES] = {
	[COUNTERS_FLOWS] = { "flows", sizeof(struct flow), sizeof(struct flow_counters) },
	[COUNTERS_HOSTS] = { "hosts", sizeof(struct host), sizeof(struct host_counters) },
	[COUNTERS_TOTALS] = { "totals", sizeof(TOTALS_KEY) - 1, sizeof(struct totals) },
};

static struct estate_table_attr table_attr(enum counters_table table,
					   const struct counters_options *options)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = geometries[table].key_size;
	attr.value_type = ESTATE_U64;
	attr.value_count = geometries[table].value_size / sizeof(uint64_t);
	attr.merge = ESTATE_MERGE_SUM;
	/* One entry; and who takes a leaver over needs room for as many as that one has. */
	attr.capacity = table == COUNTERS_TOTALS ? 2 : options->capacity;
	attr.seed = options->seed;
	return attr;
}

size_t counters_region_size(const struct counters_options *options)
{
	size_t size = 1 << 20; /* for the region's own header and directory */

	for (enum counters_table i = 0; i < COUNTERS_TABLES; i++) {
		struct estate_table_attr attr = table_attr(i, options);
		size_t bytes = estate_table_bytes(&attr);

		if (!bytes)
			return 0;
		size += bytes;
	}
	return size;
}

int counters_open(struct counters *counters, struct estate *es,
		  const struct counters_options *options)
{
	for (enum counters_table i = 0; i < COUNTERS_TABLES; i++) {
		struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
		int error;

		if (options)
			attr = table_attr(i, options);
		error = estate_table_open(es, geometries[i].name, options ? &attr : NULL,
					  &counters->tables[i]);
		if (error)
			return error;
	}
	return 0;
}

int counters_open_own(struct counters *counters)
{
	/* One entry that every packet changes: worth a handle. */
	return estate_entry_open(counters->tables[COUNTERS_TOTALS], TOTALS_KEY,
				 sizeof(TOTALS_KEY) - 1, &counters->totals);
}

static int count_flow(struct counters *counters, const struct packet *packet, uint64_t length,
		      uint64_t matches)
{
	struct flow_counters deltas = { .packets = 1, .bytes = length, .matches = matches };

	return estate_add(counters->tables[COUNTERS_FLOWS], &packet->flow, sizeof(packet->flow),
			  &deltas);
}

static int count_host(struct counters *counters, const struct packet *packet, uint64_t length,
		      uint64_t matches)
{
	struct host_counters deltas = { .packets = 1, .bytes = length, .matches = matches };
	struct host host = { .version = packet->flow.version };

	memcpy(host.address, packet->flow.source, sizeof(host.address));
	return estate_add(counters->tables[COUNTERS_HOSTS], &host, sizeof(host), &deltas);
}

int counters_count(struct counters *counters, enum packet_kind kind, const struct packet *packet,
		   uint64_t length, uint64_t matches)
{
	struct totals deltas = { .packets = 1, .bytes = length, .matches = matches };
	int error;

	switch (kind) {
	case PACKET_NOT_IP:
		deltas.not_ip = 1;
		break;
	case PACKET_TRUNCATED:
		deltas.truncated = 1;
		break;
	case PACKET_MALFORMED:
		deltas.malformed = 1;
		break;
	case PACKET_FLOW:
		error = count_flow(counters, packet, length, matches);
		if (!error)
			error = count_host(counters, packet, length, matches);
		if (error == -ENOSPC)
			deltas.untracked = 1;
		else if (error)
			return error;
		break;
	}
	return estate_entry_add(&counters->totals, &deltas);
}

int counters_local(struct counters *counters, struct totals *totals)
{
	return estate_entry_get(&counters->totals, totals, sizeof(*totals), NULL);
}

int counters_global(const struct counters *counters, struct estate_view *view,
		    struct totals *totals, struct estate_answer *answer)
{
	int error = estate_get_global(view, counters->tables[COUNTERS_TOTALS], TOTALS_KEY,
				      sizeof(TOTALS_KEY) - 1, totals, sizeof(*totals), answer);

	if (error != -ENOENT && error != -EHOSTDOWN)
		return error;
	*totals = (struct totals){ .packets = 0 };
	return 0;
}
