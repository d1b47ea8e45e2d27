// SPDX-License-Identifier: BSD-3-Clause
/* A hash per key, with a field per instance; all fields of it fetched and added up. */
#include "asker.h"
#include "workload.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#define PIPELINED 1000

static redisContext *context;

static void close_connection(void)
{
	redisFree(context);
}

/* The answers of what was sent ahead. */
static int drain(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		redisReply *reply;
		int failed;

		if (redisGetReply(context, (void **)&reply))
			return -1;
		failed = reply->type == REDIS_REPLY_ERROR;
		freeReplyObject(reply);
		if (failed)
			return -1;
	}
	return 0;
}

static int fill(size_t entries)
{
	uint64_t counters[OWNERS][COUNTERS];
	size_t sent = 0;

	for (unsigned int i = 0; i < OWNERS; i++) {
		for (unsigned int field = 0; field < COUNTERS; field++)
			counters[i][field] = group_count(i, field);
	}
	for (size_t i = 0; i < entries; i++) {
		uint64_t key[KEY_BYTES / 8];

		workload_key(i, key);
		if (redisAppendCommand(context, "HSET %b 0 %b 1 %b 2 %b 3 %b", key, sizeof(key),
				       counters[0], sizeof(counters[0]), counters[1],
				       sizeof(counters[1]), counters[2], sizeof(counters[2]),
				       counters[3], sizeof(counters[3])))
			return -1;
		if (++sent == PIPELINED) {
			if (drain(sent))
				return -1;
			sent = 0;
		}
	}
	return drain(sent);
}

static int open_connection(const struct group *group)
{
	if (!group->redis)
		return 1;
	context = redisConnectUnix(group->redis);
	if (!context || context->err || fill(group->entries)) {
		fprintf(stderr, "Redis at %s: %s\n", group->redis,
			context ? context->errstr : "no memory");
		return -1;
	}
	return 0;
}

/* Field, value, field, value... */
static int add_up(const redisReply *reply, uint64_t totals[COUNTERS])
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 * OWNERS)
		return -1;
	memset(totals, 0, COUNTERS * sizeof(*totals));
	for (unsigned int i = 0; i < OWNERS; i++) {
		const redisReply *value = reply->element[2 * i + 1];
		uint64_t counters[COUNTERS];

		if (value->type != REDIS_REPLY_STRING || (size_t)value->len != sizeof(counters))
			return -1;
		memcpy(counters, value->str, sizeof(counters));
		for (unsigned int field = 0; field < COUNTERS; field++)
			totals[field] += counters[field];
	}
	return 0;
}

static int ask(const void *key, uint64_t totals[COUNTERS])
{
	redisReply *reply = redisCommand(context, "HGETALL %b", key, (size_t)KEY_BYTES);
	int failed;

	if (!reply)
		return -1;
	failed = add_up(reply, totals);
	freeReplyObject(reply);
	return failed;
}

const struct asker asker_redis = {
	.name = "Redis",
	.how = "HGETALL of a hash with a field per instance, one server, Unix socket",
	.chunk = 32,
	.open = open_connection,
	.close = close_connection,
	.ask = ask,
};
