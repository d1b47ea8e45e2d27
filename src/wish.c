// SPDX-License-Identifier: BSD-3-Clause
#include "wish.h"

#include "error.h"
#include "member.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int wish_take(struct group *group, struct reader *reader)
{
	struct wish *wish = &group->wish;
	struct ask_wish what;
	int error;

	/* What came of an earlier one is not what will come of this one. */
	wish_tell(group);
	error = ask_take(reader->source.fd, &group->identity, &what);
	if (error)
		return error;
	reader->asks = 1;
	pthread_mutex_lock(&group->lock);
	wish->what = what;
	__atomic_store_n(&wish->wanted, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&group->lock);
	ask_tell(reader->source.fd, ASK_NOTED, 0, "");
	return 0;
}

static void tell_all(struct group *group, enum ask_state state, int error, const char *reason)
{
	for (struct reader *reader = group->readers; reader; reader = reader->next) {
		if (reader->asks)
			ask_tell(reader->source.fd, state, error, reason);
		reader->asks = 0;
	}
}

void wish_tell(struct group *group)
{
	struct wish *wish = &group->wish;
	char reason[sizeof(wish->reason)];
	int error;

	if (!__atomic_load_n(&wish->untold, __ATOMIC_ACQUIRE))
		return;
	pthread_mutex_lock(&group->lock);
	error = wish->error;
	strcpy(reason, wish->reason);
	wish->untold = 0;
	pthread_mutex_unlock(&group->lock);
	tell_all(group, ASK_FAILED, error, reason);
}

void wish_end(struct group *group)
{
	/* An attempt that failed, and then it was closed. */
	wish_tell(group);
	tell_all(group, group->wish.handed_over ? ASK_HANDED_OVER : ASK_CLOSED, 0, "");
}

int wish_wanted(struct group *group, char *to)
{
	struct wish *wish = &group->wish;
	int wanted;

	if (!__atomic_load_n(&wish->wanted, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&group->lock);
	wanted = wish->wanted;
	if (wanted && to)
		strcpy(to, wish->what.to);
	pthread_mutex_unlock(&group->lock);
	return wanted;
}

int wish_says_dead(struct group *group, const char *name, int answers)
{
	struct wish *wish = &group->wish;
	int dead;

	if (!__atomic_load_n(&wish->wanted, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&group->lock);
	dead = wish->wanted && !strcmp(wish->what.dead, name);
	if (dead && answers)
		*wish->what.dead = 0;
	pthread_mutex_unlock(&group->lock);
	return dead && !answers;
}

void wish_failed(struct group *group, int error)
{
	struct wish *wish = &group->wish;

	pthread_mutex_lock(&group->lock);
	__atomic_store_n(&wish->wanted, 0, __ATOMIC_RELAXED);
	wish->error = error;
	snprintf(wish->reason, sizeof(wish->reason), "%s", estate_errormsg());
	__atomic_store_n(&wish->untold, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&group->lock);
}

void wish_fulfilled(struct group *group)
{
	pthread_mutex_lock(&group->lock);
	group->wish.handed_over = 1;
	pthread_mutex_unlock(&group->lock);
}

static const struct member *find(const struct group *group, const char *name)
{
	for (const struct member *m = group->members; m; m = m->next) {
		char known[ESTATE_NAME_MAX];

		member_name(m, known);
		if (!m->ours && !strcmp(known, name))
			return m;
	}
	return NULL;
}

/* Where on this host a member can be asked. */
static int find_socket(const struct member *member, const char *name, struct wish_target *target)
{
	int kind = transport_address(member->address);

	if (!member->peer)
		return error_set(-EHOSTDOWN, "%s cannot be asked to leave: %s", name,
				 member->reason);
	if (member->peer->far)
		return error_set(-ENOTSUP,
				 kind == TRANSPORT_ONLY
					 ? "%s, at %s, has no Unix socket, over which it could be "
					   "asked to leave: it listens for RDMA only"
					 : "%s is on another host, at %s: ask it to leave there",
				 name, member->address);
	if (kind)
		return registry_local_address(member->address, target->address);
	strcpy(target->address, member->address);
	return 0;
}

int wish_find(struct group *group, const char *name, struct wish_target *target)
{
	const struct member *member;
	int error;

	pthread_mutex_lock(&group->lock);
	member = find(group, name);
	if (member) {
		error = find_socket(member, name, target);
	} else if (group->region && !strcmp(group->identity.name, name)) {
		error = error_set(-EINVAL, "%s is this instance itself: call estate_leave()", name);
	} else {
		error = error_set(
			-ENOENT,
			"no member of group %s is called %s: \"estate members\" shows who "
			"is there; an observer is no member, and has nothing to hand over",
			group->identity.group, name);
	}
	if (!error) {
		memcpy(target->uuid, member->identity.uuid, sizeof(target->uuid));
		target->epoch = member->identity.epoch;
		target->peer = member->peer;
		__atomic_add_fetch(&member->peer->references, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&group->lock);
	return error;
}
