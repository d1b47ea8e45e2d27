// SPDX-License-Identifier: BSD-3-Clause
/* READs that are tried: within this host, and of a peer. By the public interface alone. */
#include "command.h"
#include "doctor.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRY_S 3
#define READS 20
#define VALUE 4711u

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void rest(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	nanosleep(&pause, NULL);
}

static struct estate *join(const char *registry, const char *name, const char *listen)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate *es;

	attr.group = "doctor";
	attr.name = name;
	attr.registry = registry;
	attr.listen = listen;
	attr.region_size = 1 << 20;
	return estate_open(&attr, &es) ? NULL : es;
}

static struct estate_table *open_table(struct estate *es)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = 1;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = 16;
	return estate_table_open(es, "doctor", &attr, &table) ? NULL : table;
}

/* Several times: the first one makes acquaintance. NULL, or what is wrong. */
static const char *read_value(struct estate *es, struct estate_table *table, double *took_us)
{
	static struct estate_member members[2];
	const double until = now_s() + TRY_S;
	struct estate_view_attr attr = ESTATE_VIEW_ATTR_INIT;
	struct estate_view *view;
	const char *wrong = NULL;
	int reads = 0;

	attr.deadline_us = 200000;
	if (estate_view_open(es, &attr, &view))
		return estate_errormsg();
	*took_us = 1e9;
	while (reads < READS && now_s() < until) {
		struct estate_answer answer = { 0 };
		uint64_t value = 0;
		double before = now_s();
		int count;

		if (!estate_get_global(view, table, "key", 3, &value, sizeof(value), &answer) &&
		    answer.asked == 2 && !answer.missing) {
			double us = (now_s() - before) * 1e6;

			*took_us = us < *took_us ? us : *took_us;
			wrong = value == VALUE ? NULL : "it read another value than was written";
			reads++;
			continue;
		}
		wrong = "the other instance was not seen in the registry";
		count = estate_members(es, members, 2);
		for (int i = 0; i < count && i < 2; i++)
			if (!members[i].self)
				wrong = *members[i].reason ? members[i].reason
							   : "it did not answer in time";
		rest();
	}
	estate_view_close(view);
	return wrong;
}

static const char *read_other(const char *registry, const char *listen, double *took_us)
{
	const uint64_t value = VALUE;
	struct estate *owner = join(registry, "owner", listen);
	struct estate *reader = owner ? join(registry, "reader", listen) : NULL;
	struct estate_table *written = reader ? open_table(owner) : NULL;
	struct estate_table *table = written ? open_table(reader) : NULL;
	const char *wrong = NULL;

	if (!table || estate_put(written, "key", 3, &value, sizeof(value)))
		wrong = estate_errormsg();
	if (!wrong)
		wrong = read_value(reader, table, took_us);
	if (reader)
		estate_close(reader);
	if (owner)
		estate_close(owner);
	return wrong;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

void doctor_loopback(struct findings *findings, const struct doctor_device *device)
{
	const char *temporary = getenv("TMPDIR");
	char folder[256];
	char registry[300];
	char mend[160];
	double took_us = 0;
	const char *wrong;

	snprintf(folder, sizeof(folder), "%s/estate-doctor-XXXXXX", temporary ? temporary : "/tmp");
	if (!mkdtemp(folder)) {
		findings_add(findings, FOUND_FAILURE, "loopback", "TMPDIR=FOLDER estate doctor",
			     "%s: no folder can be made there: %m", folder);
		return;
	}
	snprintf(registry, sizeof(registry), "dir:%s", folder);
	wrong = read_other(registry, device->listen, &took_us);
	snprintf(mend, sizeof(mend),
		 "does \"rping -s -a ADDRESS -v\" with \"rping -c -a ADDRESS -v -C 3\" work on the "
		 "address of %s?",
		 device->name);
	if (wrong)
		findings_add(findings, FOUND_FAILURE, "loopback", mend, "%s: %s", device->name,
			     wrong);
	else
		findings_add(findings, FOUND_OK, "loopback", NULL,
			     "%s: an instance read another one's value in %.0f us", device->name,
			     took_us);
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void doctor_peer(struct findings *findings, const char *address, const char *group)
{
	const double until = now_s() + TRY_S;
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate_member member = { .state = ESTATE_MEMBER_MISSING };
	char registry[300];
	struct estate *es;

	snprintf(registry, sizeof(registry), "static:%s%s",
		 strncmp(address, "verbs:", 6) ? "verbs:" : "", address);
	attr.group = group ? group : "doctor";
	attr.registry = registry;
	attr.flags = ESTATE_OBSERVER;
	if (estate_open(&attr, &es)) {
		findings_add(findings, FOUND_FAILURE, "peer", "estate doctor ADDRESS:PORT", "%s",
			     estate_errormsg());
		return;
	}
	while (estate_members(es, &member, 1) == 1 && member.state != ESTATE_MEMBER_LIVE &&
	       now_s() < until)
		rest();
	if (member.state == ESTATE_MEMBER_LIVE)
		findings_add(findings, FOUND_OK, "peer", NULL,
			     "%s: %s of group %s is read, and its heart beats", address,
			     member.name, attr.group);
	else if (member.state == ESTATE_MEMBER_STALE)
		findings_add(findings, FOUND_WARNING, "peer", "see whether it is stopped",
			     "%s: %s of group %s is read, but its heart does not beat", address,
			     member.name, attr.group);
	else if (!group && strstr(member.reason, "you asked for another group"))
		findings_add(findings, FOUND_WARNING, "peer",
			     "estate --group=GROUP doctor ADDRESS:PORT",
			     "%s: connections come about, and nothing was read: %s", address,
			     member.reason);
	else
		findings_add(findings, FOUND_FAILURE, "peer",
			     "run estate doctor on its host, too; then ping, and rping, from here "
			     "to there",
			     "%s", *member.reason ? member.reason : "it does not answer");
	estate_close(es);
}
