// SPDX-License-Identifier: BSD-3-Clause
#include "handshake.h"

#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC 0x616d645245545345ull /* "ESTERdma" */

/* InfiniBand's reject reason for "the consumer said no"; other values come from below. */
#define CONSUMER_REJECT 28
#define NOBODY_LISTENS 8 /* "invalid service ID" */

static uint64_t group_hash(const char *group)
{
	return XXH3_64bits(group, strlen(group));
}

void handshake_make_hello(struct handshake_hello *hello, const struct region_identity *identity)
{
	*hello = (struct handshake_hello){ .magic = MAGIC,
					   .protocol = HANDSHAKE_PROTOCOL,
					   .layout = LAYOUT_VERSION,
					   .group = group_hash(identity->group) };
	memcpy(hello->uuid, identity->uuid, sizeof(hello->uuid));
}

void handshake_make_welcome(struct handshake_welcome *welcome,
			    const struct region_identity *identity, const struct region *region,
			    uint32_t rkey)
{
	*welcome = (struct handshake_welcome){ .magic = MAGIC,
					       .protocol = HANDSHAKE_PROTOCOL,
					       .layout = LAYOUT_VERSION,
					       .pid = (uint32_t)getpid(),
					       .rkey = rkey,
					       .address = (uintptr_t)region->memory,
					       .size = region->size,
					       .epoch = identity->epoch };
	memcpy(welcome->uuid, identity->uuid, sizeof(welcome->uuid));
}

int handshake_check_hello(const void *data, size_t length, const struct region_identity *identity,
			  struct handshake_refusal *refusal)
{
	struct handshake_hello hello;

	*refusal = (struct handshake_refusal){ .magic = MAGIC,
					       .protocol = HANDSHAKE_PROTOCOL,
					       .layout = LAYOUT_VERSION,
					       .error = -EPROTO };
	if (!data || length < sizeof(hello)) {
		strcpy(refusal->reason, "what you said is too short for an instance of estate");
		return refusal->error;
	}
	memcpy(&hello, data, sizeof(hello));
	if (hello.magic != MAGIC) {
		strcpy(refusal->reason, "you are no instance of estate");
	} else if (hello.protocol != HANDSHAKE_PROTOCOL || hello.layout != LAYOUT_VERSION) {
		snprintf(refusal->reason, sizeof(refusal->reason),
			 "protocol %u with layout %u here, %u with %u there: run the same release "
			 "on all instances",
			 HANDSHAKE_PROTOCOL, LAYOUT_VERSION, hello.protocol, hello.layout);
	} else if (hello.group != group_hash(identity->group)) {
		refusal->error = -EPERM;
		snprintf(refusal->reason, sizeof(refusal->reason),
			 "it is in group %.60s, you asked for another group", identity->group);
	} else if (!identity->name[0]) {
		strcpy(refusal->reason, "it is an observer: there is nothing to read");
	} else {
		return 0;
	}
	return refusal->error;
}

int handshake_check_welcome(const void *data, size_t length, struct handshake_welcome *welcome)
{
	struct handshake_welcome got;

	if (!data || length < sizeof(got))
		return error_set(-EPROTO, "what listens there is not an instance of this release: "
					  "its welcome is too short");
	memcpy(&got, data, sizeof(got));
	if (got.magic != MAGIC)
		return error_set(-EPROTO, "what listens there is not an instance of estate");
	if (got.protocol != HANDSHAKE_PROTOCOL || got.layout != LAYOUT_VERSION)
		return error_set(-EPROTO,
				 "it speaks protocol %u with layout %u, this library %u with %u: "
				 "run the same release on all instances",
				 got.protocol, got.layout, HANDSHAKE_PROTOCOL, LAYOUT_VERSION);
	if (got.size < LAYOUT_TABLES || got.address + got.size < got.address)
		return error_set(-EBADMSG, "its region has %llu bytes, which cannot be",
				 (unsigned long long)got.size);
	*welcome = got;
	return 0;
}

int handshake_explain_reject(const void *data, size_t length, int status)
{
	struct handshake_refusal refusal;

	if (data && length >= sizeof(refusal)) {
		memcpy(&refusal, data, sizeof(refusal));
		if (refusal.magic == MAGIC) {
			refusal.reason[sizeof(refusal.reason) - 1] = 0;
			/* Whoever refuses is there: -ECONNREFUSED is of those who are not. */
			if (refusal.error >= 0 || refusal.error <= -4096 ||
			    refusal.error == -ECONNREFUSED)
				refusal.error = -EPROTO;
			return error_set(refusal.error, "it refused: %s", refusal.reason);
		}
	}
	if (status == CONSUMER_REJECT)
		return error_set(-EPROTO, "what listens there is not an instance of estate: it "
					  "rejected the connection without a reason of ours");
	if (status == NOBODY_LISTENS || status == -ECONNREFUSED)
		return error_set(
			-ECONNREFUSED,
			"nobody listens there (rejected, reason %d): is the instance running, "
			"and on this port?",
			status);
	return error_set(
		-EHOSTUNREACH,
		"rejected, reason %d: the connection failed half-way, or its host has no room "
		"for another one",
		status);
}
