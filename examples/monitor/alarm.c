/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm.h"

#include <errno.h>
#include <string.h>

/* What alarm_check() wants to know of all instances' values together. */
struct host_view {
	uint64_t matches;
	uint64_t most;
	uint64_t alarms;
};

static int reduce_host(const struct estate_value *values, unsigned int count, void *out,
		       size_t out_size, size_t *out_length, void *arg)
{
	struct host_view *host_view = out;

	(void)arg;
	if (out_size < sizeof(*host_view))
		return -EMSGSIZE;
	for (unsigned int i = 0; i < count; i++) {
		struct host_counters host;

		if (values[i].length != sizeof(host))
			return -EPROTO;
		memcpy(&host, values[i].data, sizeof(host));
		host_view->matches += host.matches;
		host_view->alarms += host.alarms;
		if (host.matches > host_view->most)
			host_view->most = host.matches;
	}
	*out_length = sizeof(*host_view);
	return 0;
}

int alarm_check(struct counters *counters, struct estate_view *view, const struct flow *flow,
		uint64_t threshold, struct alarm *alarm)
{
	struct estate_table *hosts = counters->tables[COUNTERS_HOSTS];
	struct estate_query query = ESTATE_QUERY_INIT;
	const struct host_counters one_host_alarm = { .alarms = 1 };
	const struct totals one_alarm = { .alarms = 1 };
	struct host host = { .version = flow->version };
	struct host_view host_view;
	struct estate_answer answer;
	int error;

	memcpy(host.address, flow->source, sizeof(host.address));
	query.reduce = ESTATE_REDUCE_CALL;
	query.call = reduce_host;
	error = estate_query_global(view, hosts, &host, sizeof(host), &query, &host_view,
				    sizeof(host_view), &answer);
	if (error == -ENOENT || error == -EHOSTDOWN) /* untracked: the table was full */
		return 0;
	if (error)
		return error;
	if (host_view.matches < threshold || host_view.alarms)
		return 0;
	error = estate_add(hosts, &host, sizeof(host), &one_host_alarm);
	if (!error)
		error = estate_entry_add(&counters->totals, &one_alarm);
	if (error)
		return error;
	alarm->host = host;
	alarm->matches = host_view.matches;
	alarm->most = host_view.most;
	alarm->instances = answer.present;
	alarm->missing = answer.missing;
	return 1;
}
