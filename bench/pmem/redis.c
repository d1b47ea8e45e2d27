// SPDX-License-Identifier: BSD-3-Clause
/*
 * Redis beside it: SET with appendfsync always, over a Unix socket, its files on
 * the same file system; and how long it takes from its start until it has the
 * same entries back, from an RDB file and from an AOF.
 */
#include "durable.h"
#include "measure.h"
#include "options.h"
#include "report.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK 500
#define CHUNKS 20
#define PIPELINED 1000
#define RESTARTS 3

static char socket_path[256];
static pid_t server;
static redisContext *context;

static void stop(void)
{
	if (context)
		redisFree(context);
	context = NULL;
	if (!server)
		return;
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	server = 0;
}

static void fail(const char *what)
{
	fprintf(stderr, "Redis: %s: %s\n", what, context ? context->errstr : strerror(errno));
	stop();
	exit(1);
}

static long long ask(const char *command)
{
	redisReply *reply = redisCommand(context, command);
	long long number;

	if (!reply)
		fail(command);
	number = reply->type == REDIS_REPLY_ERROR ? -1 : reply->integer;
	freeReplyObject(reply);
	return number;
}

/* Start it, and wait until it has loaded what is there: seconds. */
static double start(const char *folder, int aof)
{
	const char *with = aof ? "yes" : "no";
	uint64_t begun = measure_now_ns();

	unlink(socket_path);
	server = fork();
	if (server < 0)
		fail("fork");
	if (!server) {
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path,
		       "--dir", folder, "--save", "", "--appendonly", with, "--appendfsync",
		       "always", "--aof-use-rdb-preamble", "no", "--loglevel", "warning",
		       "--logfile", "/dev/null", "--auto-aof-rewrite-percentage", "0",
		       (char *)NULL);
		_exit(127);
	}
	for (;;) {
		context = redisConnectUnix(socket_path);
		if (context && !context->err && ask("DBSIZE") >= 0)
			break;
		if (context)
			redisFree(context);
		context = NULL;
		if (waitpid(server, NULL, WNOHANG) == server) {
			server = 0;
			fail("redis-server ended");
		}
		usleep(1000);
	}
	return (double)(measure_now_ns() - begun) / 1e9;
}

static void set_all(size_t entries, size_t value_bytes)
{
	char value[VALUE_MOST] = { 1 };

	for (size_t i = 0; i < entries; i++) {
		uint64_t key[KEY_BYTES / 8];

		workload_key(i, key);
		redisAppendCommand(context, "SET %b %b", key, sizeof(key), value, value_bytes);
		if (i % PIPELINED != PIPELINED - 1 && i != entries - 1)
			continue;
		for (size_t got = i / PIPELINED * PIPELINED; got <= i; got++) {
			redisReply *reply;

			if (redisGetReply(context, (void **)&reply))
				fail("SET");
			freeReplyObject(reply);
		}
	}
}

struct work {
	size_t entries;
	size_t value_bytes;
	uint64_t random;
};

static void set_some(void *arg, size_t operations)
{
	struct work *work = arg;
	char value[VALUE_MOST] = { 2 };

	for (size_t i = 0; i < operations; i++) {
		uint64_t key[KEY_BYTES / 8];
		redisReply *reply;

		workload_key(workload_pick(&work->random, work->entries), key);
		reply = redisCommand(context, "SET %b %b", key, sizeof(key), value,
				     work->value_bytes);
		if (!reply || reply->type == REDIS_REPLY_ERROR)
			fail("SET");
		freeReplyObject(reply);
	}
}

static json_t *measure_sets(const struct options *options, size_t value_bytes)
{
	struct work work = { options->entries, value_bytes, 1 };
	double values[ROUNDS_MAX];
	struct figure figure;
	char text[64];

	set_all(options->entries, value_bytes);
	for (size_t round = 0; round < options->rounds; round++)
		values[round] = measure_ns(set_some, &work, CHUNK, CHUNKS);
	figure = measure_figure(values, options->rounds);
	printf("  SET, %3zu bytes, appendfsync always, ns  %22s\n", value_bytes,
	       report_text(figure, text));
	return report_figure(figure);
}

static json_t *measure_restarts(const struct options *options, int aof)
{
	double seconds[RESTARTS];
	struct figure figure;
	char text[64];

	for (int i = 0; i < RESTARTS; i++) {
		stop();
		seconds[i] = start(options->folder, aof);
		if (ask("DBSIZE") != (long long)options->entries)
			fail("not all entries came back");
	}
	figure = measure_figure(seconds, RESTARTS);
	printf("  restart with %zu entries from %s, s  %22s\n", options->entries,
	       aof ? "AOF" : "RDB", durable_ratio(&figure, text));
	return report_figure(figure);
}

int main(int argc, char **argv)
{
	struct options options = { .entries = 1000000, .rounds = 7 };
	const char *folder;
	char path[256];
	json_t *json = json_object();

	options_parse(argc, argv, &options);
	folder = options.folder;
	snprintf(socket_path, sizeof(socket_path), "%s/redis.sock", options.folder);
	snprintf(path, sizeof(path), "%s/redis", options.folder);
	options.folder = path;
	if (mkdir(path, 0700) && errno != EEXIST)
		fail(path);
	start(path, 1);
	json_object_set_new(json, "entries", json_integer((json_int_t)options.entries));
	json_object_set_new(json, "SET, 256 bytes, ns", measure_sets(&options, 256));
	ask("FLUSHALL");
	json_object_set_new(json, "SET, 64 bytes, ns", measure_sets(&options, 64));
	stop();
	/* Each of the two files anew: every entry is in it once, as after a rewrite. */
	snprintf(path, sizeof(path), "%s/redis-once", folder);
	if (mkdir(path, 0700) && errno != EEXIST)
		fail(path);
	start(path, 1);
	set_all(options.entries, 64);
	ask("SAVE");
	json_object_set_new(json, "restart from AOF, s", measure_restarts(&options, 1));
	json_object_set_new(json, "restart from RDB, s", measure_restarts(&options, 0));
	stop();
	return report_write(options.json, "redis", json) ? 1 : 0;
}
