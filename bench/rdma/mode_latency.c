// SPDX-License-Identifier: BSD-3-Clause
/* One after the other: get from one peer, from all of them, by message, and bare READs. */
#include "modes.h"
#include "raw.h"
#include "rpc.h"

#include <stdio.h>

static unsigned int add_raw(struct contest *contest, struct raw *raw, contest_run *run,
			    size_t length, unsigned int wires, char *name)
{
	raw->length = (uint32_t)length;
	if (run == raw_one)
		sprintf(name, "raw READ %zu B", length);
	else
		sprintf(name, "%u raw READs %zu B", wires, length);
	return contest_add(contest, (struct way){ name, run, raw, NULL, wires, 0 });
}

/* warm and cold gets beside READs of the value, of the slot, of two buckets. */
static int read_keys(struct client *client, json_t *report, size_t size, contest_run *run,
		     const double aims[2])
{
	unsigned int owners = client->options->peer_count;
	struct contest contest = mode_contest(client, "READ", 1);
	struct raw raws[3];
	char names[3][64], title[96];
	size_t lengths[] = { size, tables_slot_bytes(size), tables_buckets_bytes(size) };
	struct reader warm, cold;
	unsigned int first, w, c;
	json_t *result;
	int error;

	reader_open(&warm, client->es, size, client->options);
	reader_open(&cold, client->es, size, client->options);
	for (unsigned int i = 0; i < 3; i++) {
		raws[i] = (struct raw){ .wires = &client->wires };
		first = add_raw(&contest, &raws[i], run, lengths[i], owners, names[i]);
	}
	first -= 2;
	w = contest_add(&contest, (struct way){ "get, warm", reader_get, &warm, reader_begin_warm,
						owners, 0 });
	c = contest_add(&contest, (struct way){ "get, cold", reader_get, &cold, reader_begin_cold,
						owners, 0 });
	error = contest_hold(&contest);
	if (!error) {
		snprintf(title, sizeof(title), "get of %zu B from %u owner%s", size, owners,
			 owners > 1 ? "s" : "");
		result = contest_report(&contest, title);
		contest_ratio(&contest, result, w, first, RATIO_TIME, aims[0]);
		contest_ratio(&contest, result, w, first + 1, RATIO_TIME, aims[0]);
		contest_ratio(&contest, result, c, first, RATIO_TIME, aims[1]);
		contest_ratio(&contest, result, c, first + 2, RATIO_TIME, 0);
		snprintf(title, sizeof(title), "%zu B", size);
		json_object_set_new(report, title, result);
	}
	contest_free(&contest);
	reader_close(&warm);
	reader_close(&cold);
	return error;
}

int mode_get(struct client *client, json_t *report)
{
	static const double aims[] = { 1.10, 1.35 };
	int error = 0;

	for (unsigned int i = 0; i < client->options->size_count && !error; i++)
		error = read_keys(client, report, client->options->sizes[i], raw_one, aims);
	return error;
}

int mode_global(struct client *client, json_t *report)
{
	static const double aims[] = { 1.20, 0 };
	int error = 0;

	for (unsigned int i = 0; i < client->options->size_count && !error; i++)
		error = read_keys(client, report, client->options->sizes[i], raw_each, aims);
	return error;
}

int mode_rpc(struct client *client, json_t *report)
{
	int error = 0;

	for (unsigned int i = 0; i < client->options->size_count && !error; i++) {
		size_t size = client->options->sizes[i];
		struct contest contest = mode_contest(client, "key", 1);
		struct raw raw = { .wires = &client->wires };
		struct rpc rpc = { .wires = &client->wires, .table = i, .size = size };
		char name[64], title[96];
		struct reader reader;
		unsigned int r, w, q;

		reader_open(&reader, client->es, size, client->options);
		tables_walk_begin(&rpc.walk, client->options->entries);
		r = add_raw(&contest, &raw, raw_one, size, 1, name);
		w = contest_add(&contest, (struct way){ "get, warm", reader_get, &reader,
							reader_begin_warm, 1, 0 });
		q = contest_add(&contest, (struct way){ "rpc", rpc_ask, &rpc, NULL, 1, 0 });
		error = contest_hold(&contest);
		if (!error) {
			json_t *result;

			snprintf(title, sizeof(title), "%zu B, asked for by message", size);
			result = contest_report(&contest, title);
			contest_ratio(&contest, result, q, r, RATIO_TIME, 0);
			contest_ratio(&contest, result, q, w, RATIO_TIME, 0);
			snprintf(title, sizeof(title), "%zu B", size);
			json_object_set_new(report, title, result);
		}
		contest_free(&contest);
		reader_close(&reader);
	}
	return error;
}
