// SPDX-License-Identifier: BSD-3-Clause
/* One asks another to leave: the calls of either side. */
#include "ask.h"
#include "error.h"
#include "store.h"
#include "wish.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_DEFAULT_MS 60000
#define ANSWER_MS 2000 /* whose background thread takes longer is stopped or hung */
#define PROGRESS_MS 500
#define LOOK_MS 100

#define WAIT 2

int estate_leave_wanted(const struct estate *es, char *to)
{
	return es && es->region.memory ? wish_wanted(es->group, to) : 0;
}

/* Somebody who asks, and waits. */
struct asker {
	const char *name;
	const struct estate_ask_leave_attr *attr;
	struct wish_target target;
	int socket;
	int noted;
	uint64_t began_us;
};

static unsigned int waited_ms(const struct asker *asker)
{
	return (unsigned int)((clock_monotonic_us() - asker->began_us) / 1000);
}

static int hands_over(const struct asker *asker)
{
	return region_state(asker->target.peer->memory) == LAYOUT_SEALED;
}

static int too_late(const struct asker *asker, unsigned int deadline_ms)
{
	unsigned int waited = waited_ms(asker);

	if (!asker->noted && waited >= (deadline_ms < ANSWER_MS ? deadline_ms : ANSWER_MS))
		return error_set(-EHOSTDOWN,
				 "%s was asked to leave and does not answer: it is stopped or hung",
				 asker->name);
	if (waited < deadline_ms)
		return 0;
	return hands_over(asker)
		       ? error_set(-ETIMEDOUT,
				   "%s was asked to leave, and has not handed all over in %g s: it "
				   "goes on",
				   asker->name, deadline_ms / 1000.0)
		       : error_set(-ETIMEDOUT,
				   "%s was asked to leave, but its program has not called "
				   "estate_leave() in %g s: it must look at estate_leave_wanted()",
				   asker->name, deadline_ms / 1000.0);
}

/* WAIT, or what estate_ask_leave() is to return. */
static int hear(struct asker *asker, const struct ask_reply *reply)
{
	switch ((enum ask_state)reply->state) {
	case ASK_NOTED:
		asker->noted = 1;
		return WAIT;
	case ASK_REFUSED:
		return error_set(reply->error, "%s did not take the question: %s", asker->name,
				 reply->reason);
	case ASK_FAILED:
		return error_set(-ECANCELED, "%s was to leave, and could not: %s", asker->name,
				 reply->reason);
	case ASK_HANDED_OVER:
		return 0;
	case ASK_CLOSED:
		return ESTATE_ASK_CLOSED;
	}
	return error_set(-EPROTO, "%s: its answer makes no sense", asker->name);
}

/* What went wrong, after who and what: the thread's last sentence is a part of the new one. */
static int explain(int error, const char *name, const char *what)
{
	char reason[256];

	snprintf(reason, sizeof(reason), "%s", estate_errormsg());
	return error_set(error, "%s %s: %s", name, what, reason);
}

static int listen_to(struct asker *asker)
{
	struct ask_reply reply;
	int error = ask_receive(asker->socket, &reply);

	if (!error)
		return hear(asker, &reply);
	if (error == -EAGAIN)
		return WAIT;
	if (error == -ECONNRESET)
		return error_set(
			error,
			asker->noted ? "%s ended without a word after it was asked to leave: it "
				       "died, or was killed"
				     : "%s was asked to leave and closed the connection: it leaves "
				       "just now, or is of another release, or too many are "
				       "connected to it",
			asker->name);
	return explain(error, asker->name, "was asked to leave");
}

static int wait_for(struct asker *asker)
{
	unsigned int deadline_ms = asker->attr && asker->attr->deadline_ms
					   ? asker->attr->deadline_ms
					   : DEADLINE_DEFAULT_MS;
	unsigned int shown_ms = 0;
	int result;

	while ((result = listen_to(asker)) == WAIT) {
		struct pollfd readable = { .fd = asker->socket, .events = POLLIN };
		unsigned int waited = waited_ms(asker);
		unsigned int left = waited < deadline_ms ? deadline_ms - waited : 0;

		result = too_late(asker, deadline_ms);
		if (result)
			return result;
		if (asker->noted && asker->attr && asker->attr->progress &&
		    waited >= shown_ms + PROGRESS_MS) {
			shown_ms = waited;
			asker->attr->progress(waited, hands_over(asker), asker->attr->arg);
		}
		/* Interrupted or not: the next look tells. */
		poll(&readable, 1, (int)(left < LOOK_MS ? left + 1 : LOOK_MS));
	}
	return result;
}

static int check(struct estate *es, const char *name, const struct estate_ask_leave_attr *attr)
{
	struct wish_target target;
	int error;

	if (!es || !name)
		return error_set(-EINVAL, "estate_ask_leave: %s is NULL", es ? "name" : "es");
	if (attr && attr->size != sizeof(*attr))
		return error_set(
			-EINVAL,
			"estate_ask_leave: attr's size is %zu, this library expects %zu: "
			"start from ESTATE_ASK_LEAVE_ATTR_INIT, built with the same headers",
			attr->size, sizeof(*attr));
	if (attr && attr->dead && *attr->dead && !region_name_valid(attr->dead))
		return error_set(-EINVAL, "estate_ask_leave: \"%s\" is no instance's name",
				 attr->dead);
	if (!attr || !attr->to || !*attr->to)
		return 0;
	if (!region_name_valid(attr->to))
		return error_set(-EINVAL, "estate_ask_leave: \"%s\" is no instance's name",
				 attr->to);
	if (!strcmp(attr->to, name))
		return error_set(-EINVAL, "%s cannot take itself over", name);
	if (!strcmp(attr->to, es->identity.name) && es->region.memory)
		return 0;
	/* Whether it can, the one that leaves knows best. */
	error = wish_find(es->group, attr->to, &target);
	if (!error)
		peer_release(target.peer);
	return error == -ENOENT ? error : 0;
}

int estate_ask_leave(struct estate *es, const char *name, const struct estate_ask_leave_attr *attr)
{
	struct asker asker = { .name = name, .attr = attr };
	struct region_identity meant = { 0 };
	struct ask_request request;
	int result = check(es, name, attr);

	if (!result)
		result = wish_find(es->group, name, &asker.target);
	if (result)
		return result;
	memcpy(meant.uuid, asker.target.uuid, sizeof(meant.uuid));
	meant.epoch = asker.target.epoch;
	strcpy(meant.group, es->identity.group);
	ask_make_request(&request, &meant, attr && attr->to ? attr->to : "",
			 attr && attr->dead ? attr->dead : "");
	asker.began_us = clock_monotonic_us();
	result = ask_send(asker.target.address, &request, &asker.socket);
	if (result) {
		result = explain(result, name, "could not be asked to leave");
	} else {
		result = wait_for(&asker);
		close(asker.socket);
	}
	peer_release(asker.target.peer);
	return result;
}
