/* SPDX-License-Identifier: BSD-3-Clause */
#include "handover.h"

#include <errno.h>
#include <string.h>

#include "share.h"

struct giving {
	int channel;
	struct estate_table *table;
	enum counters_table which;
};

static int give_entry(const void *key, size_t key_length, const void *value, size_t value_length,
		      uint64_t stamp, void *arg)
{
	struct channel_entry entry = { .type = CHANNEL_ENTRY };
	struct giving *giving = arg;
	struct flow flow;
	int error;

	(void)stamp;
	if (key_length > sizeof(entry.key) || value_length > sizeof(entry.values))
		return -EMSGSIZE;
	entry.table = giving->which;
	entry.key_length = (uint32_t)key_length;
	entry.value_length = (uint32_t)value_length;
	memcpy(entry.key, key, key_length);
	memcpy(entry.values, value, value_length);
	if (giving->which == COUNTERS_FLOWS) {
		/* To whom the flow's next packets go. */
		memcpy(&flow, key, sizeof(flow));
		entry.hash = share_hash_flow(&flow);
	} else {
		entry.hash = share_hash(key, key_length);
	}
	/* First delete: a reader may miss the entry, but never counts it twice. */
	error = estate_delete(giving->table, entry.key, key_length);
	if (error)
		return error;
	return channel_send(giving->channel, &entry, sizeof(entry), NULL, 0, 0);
}

int handover_give(int channel, const struct counters *counters)
{
	struct giving giving = { .channel = channel };
	int error = 0;

	for (enum counters_table i = 0; i < COUNTERS_TABLES && !error; i++) {
		giving.which = i;
		giving.table = counters->tables[i];
		error = estate_iterate(giving.table, give_entry, &giving);
	}
	return error;
}

int handover_take(struct counters *counters, const struct channel_entry *entry)
{
	struct totals *taken = &counters->taken;
	const uint64_t *values = entry->values;
	int error;

	if (entry->table >= COUNTERS_TABLES)
		return -EBADMSG;
	error = estate_fold(counters->tables[entry->table], entry->key, entry->key_length, values,
			    entry->value_length);
	if (error || entry->table != COUNTERS_TOTALS)
		return error;
	taken->packets += values[offsetof(struct totals, packets) / sizeof(*values)];
	taken->bytes += values[offsetof(struct totals, bytes) / sizeof(*values)];
	taken->matches += values[offsetof(struct totals, matches) / sizeof(*values)];
	return 0;
}
