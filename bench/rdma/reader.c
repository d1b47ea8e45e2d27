// SPDX-License-Identifier: BSD-3-Clause
#include "reader.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_KEYS 256

/* Times are to be seen, not cut off. */
#define DEADLINE_US 2000000

struct estate *reader_join(const struct options *options)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate_member members[PEERS_MAX];
	char registry[PEERS_MAX * (HOST_MAX + 16)] = "static:";
	struct estate *es;
	int count;

	for (unsigned int i = 0; i < options->peer_count; i++)
		sprintf(registry + strlen(registry), "%sverbs:%s:%u", i ? "," : "",
			options->peers[i].host, options->peers[i].port);
	attr.group = "bench";
	attr.registry = registry;
	attr.flags = ESTATE_OBSERVER;
	if (estate_open(&attr, &es))
		errx(1, "%s", estate_errormsg());
	count = estate_members(es, members, PEERS_MAX);
	for (int i = 0; i < count; i++)
		if (members[i].state == ESTATE_MEMBER_MISSING)
			errx(1, "%s: %s", members[i].address, members[i].reason);
	return es;
}

static void open_view(struct reader *reader)
{
	struct estate_view_attr attr = ESTATE_VIEW_ATTR_INIT;

	attr.deadline_us = DEADLINE_US;
	if (estate_view_open(reader->es, &attr, &reader->view))
		errx(1, "%s", estate_errormsg());
}

void reader_open(struct reader *reader, struct estate *es, size_t size,
		 const struct options *options)
{
	*reader = (struct reader){ .es = es,
				   .size = size,
				   .entries = options->entries,
				   .owners = options->peer_count,
				   .keys = options->keys };
	reader->table = tables_open(es, size, options->entries, 0);
	reader->values = calloc(options->keys, size);
	if (!reader->table || !reader->values)
		errx(1, "no table to read");
	open_view(reader);
}

void reader_close(struct reader *reader)
{
	estate_view_close(reader->view);
	free(reader->values);
}

static int wrong(const struct reader *reader, int error, const struct estate_answer *answer)
{
	if (error)
		fprintf(stderr, "%s\n", estate_errormsg());
	else if (answer->present != reader->owners)
		fprintf(stderr, "%u of %u owners have it\n", answer->present, reader->owners);
	else
		fprintf(stderr, "a wrong value\n");
	return error ? error : -EBADMSG;
}

static int is_wrong(const struct reader *reader, const uint64_t *value, uint64_t number,
		    const struct estate_answer *answer)
{
	return answer->present != reader->owners ||
	       !tables_right(value, reader->size, number, reader->owners);
}

static uint64_t next_number(struct reader *reader)
{
	if (!reader->left--)
		errx(1, "the tables have not enough keys to read each but once: more --entries");
	return tables_walk_next(&reader->walk);
}

int reader_get(void *arg)
{
	struct reader *reader = arg;
	uint64_t number = next_number(reader);
	struct tables_key key = tables_key(number);
	struct estate_answer answer = { 0 };
	int error = estate_get_global(reader->view, reader->table, &key, sizeof(key),
				      reader->values, reader->size, &answer);

	if (__builtin_expect(error || is_wrong(reader, reader->values, number, &answer), 0))
		return wrong(reader, error, &answer);
	return 0;
}

int reader_batch(void *arg)
{
	struct reader *reader = arg;
	struct tables_key keys[READER_KEYS_MAX];
	const void *pointers[READER_KEYS_MAX];
	uint64_t numbers[READER_KEYS_MAX];
	int status[READER_KEYS_MAX];
	struct estate_answer answers[READER_KEYS_MAX];
	int found;

	for (unsigned int i = 0; i < reader->keys; i++) {
		numbers[i] = next_number(reader);
		keys[i] = tables_key(numbers[i]);
		pointers[i] = &keys[i];
	}
	found = estate_query_batch(reader->view, reader->table, reader->keys, pointers,
				   sizeof(keys[0]), NULL, reader->values, reader->size, status,
				   answers);
	if (found < 0)
		return wrong(reader, found, NULL);
	for (unsigned int i = 0; i < reader->keys; i++) {
		const uint64_t *value = reader->values + i * reader->size / 8;

		if (status[i] || is_wrong(reader, value, numbers[i], &answers[i]))
			return wrong(reader, status[i], &answers[i]);
	}
	return 0;
}

static int see(const void *key, size_t key_length, const void *value, size_t value_length,
	       unsigned int present, uint64_t newest, void *arg)
{
	struct reader *reader = arg;
	uint64_t number = ((const uint64_t *)key)[1];

	(void)key_length;
	(void)newest;
	reader->seen++;
	return present == reader->owners && tables_right(value, value_length, number, present)
		       ? 0
		       : -EBADMSG;
}

int reader_scan(void *arg)
{
	struct reader *reader = arg;
	struct estate_answer answer = { 0 };
	int error;

	reader->seen = 0;
	error = estate_scan_global(reader->view, reader->table, NULL, see, reader, &answer);
	if (!error && reader->seen == reader->entries)
		return 0;
	fprintf(stderr, "a scan saw %ju of %zu keys\n", (uintmax_t)reader->seen, reader->entries);
	return wrong(reader, error, &answer);
}

int reader_begin_warm(void *arg)
{
	struct reader *reader = arg;
	uint64_t keys = reader->entries < WARM_KEYS ? reader->entries : WARM_KEYS;

	tables_walk_begin(&reader->walk, keys);
	reader->left = UINT64_MAX;
	for (uint64_t i = 0; i < keys; i++) {
		int error = reader_get(reader);

		if (error)
			return error;
	}
	return 0;
}

int reader_begin_cold(void *arg)
{
	struct reader *reader = arg;

	estate_view_close(reader->view);
	open_view(reader);
	tables_walk_begin(&reader->walk, reader->entries);
	reader->left = reader->entries;
	/* Where the table is, is known after the first one. */
	return reader_get(reader);
}
