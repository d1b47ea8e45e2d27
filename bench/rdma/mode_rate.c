// SPDX-License-Identifier: BSD-3-Clause
/* Many at a time: bare READs with depth, batches of keys, scans. */
#include "modes.h"
#include "raw.h"

#include <stdio.h>

/* So long is a stream that its beginning and end do not count. */
#define STREAM_DEPTHS 32

/* What bare READs cost is known sooner than what owners notice of a million reads. */
#define FEWER 4

#define SCAN_READ 65536u
#define SCAN_DEPTH 8u

static unsigned int fewer(const struct options *options, unsigned int by)
{
	unsigned int count = options->operations / by;

	return count < 3 ? 3 : count;
}

static unsigned int add_stream(struct contest *contest, const struct raw *raw, double units,
			       unsigned int operations, const char *name)
{
	return contest_add(contest, (struct way){ name, raw_stream, (void *)(uintptr_t)raw, NULL,
						  units, operations });
}

int mode_raw_read(struct client *client, json_t *report)
{
	const struct options *options = client->options;
	int error = 0;

	for (unsigned int i = 0; i < options->size_count && !error; i++) {
		unsigned int count = options->depth * STREAM_DEPTHS;
		struct contest contest = mode_contest(client, "READ", 1);
		struct raw one = { &client->wires, 0, (uint32_t)options->sizes[i], 1, 1 };
		struct raw many = { &client->wires, 0, (uint32_t)options->sizes[i], options->depth,
				    count };
		char name[64], title[64];

		contest_add(&contest, (struct way){ "one at a time", raw_one, &one, NULL, 1, 0 });
		snprintf(name, sizeof(name), "%u in flight", options->depth);
		add_stream(&contest, &many, (double)count * options->peer_count,
			   fewer(options, STREAM_DEPTHS), name);
		error = contest_hold(&contest);
		if (!error) {
			snprintf(title, sizeof(title), "raw READ of %zu B", options->sizes[i]);
			json_t *result = contest_report(&contest, title);

			snprintf(title, sizeof(title), "%zu B", options->sizes[i]);
			json_object_set_new(report, title, result);
		}
		contest_free(&contest);
	}
	return error;
}

static int batch_of(struct client *client, json_t *report, size_t size)
{
	const struct options *options = client->options;
	unsigned int keys = options->keys, count = keys * STREAM_DEPTHS;
	struct contest contest = mode_contest(client, "READ", 1);
	uint32_t slot = (uint32_t)tables_slot_bytes(size);
	struct raw value_stream = { &client->wires, 0, (uint32_t)size, keys, count };
	struct raw slot_stream = { &client->wires, 0, slot, keys, count };
	struct raw slot_burst = { &client->wires, 0, slot, keys, keys };
	double all = (double)count * options->peer_count;
	unsigned int v, s, u, b;
	char names[3][64], title[96];
	struct reader reader;
	int error;

	reader_open(&reader, client->es, size, options);
	snprintf(names[0], sizeof(names[0]), "raw %zu B, %u in flight", size, keys);
	snprintf(names[1], sizeof(names[1]), "raw %u B, %u in flight", slot, keys);
	snprintf(names[2], sizeof(names[2]), "raw %u B, bursts of %u", slot, keys);
	v = add_stream(&contest, &value_stream, all, fewer(options, count * FEWER), names[0]);
	s = add_stream(&contest, &slot_stream, all, fewer(options, count * FEWER), names[1]);
	u = add_stream(&contest, &slot_burst, (double)keys * options->peer_count,
		       fewer(options, keys * FEWER), names[2]);
	b = contest_add(&contest,
			(struct way){ "batch", reader_batch, &reader, reader_begin_warm,
				      (double)keys * options->peer_count, fewer(options, keys) });
	error = contest_hold(&contest);
	if (!error) {
		json_t *result;

		snprintf(title, sizeof(title), "batches of %u keys of %zu B, %u owners", keys, size,
			 options->peer_count);
		result = contest_report(&contest, title);
		contest_ratio(&contest, result, b, v, RATIO_RATE, 0.9);
		contest_ratio(&contest, result, b, s, RATIO_RATE, 0.9);
		contest_ratio(&contest, result, b, u, RATIO_RATE, 0.9);
		snprintf(title, sizeof(title), "%zu B", size);
		json_object_set_new(report, title, result);
	}
	contest_free(&contest);
	reader_close(&reader);
	return error;
}

int mode_batch(struct client *client, json_t *report)
{
	int error = 0;

	for (unsigned int i = 0; i < client->options->size_count && !error; i++)
		error = batch_of(client, report, client->options->sizes[i]);
	return error;
}

/* Of the table proper: values in blocks are read one by one. */
static double table_bytes(size_t size, size_t entries)
{
	double homes = (double)entries / 0.6 / 4;

	return homes * (double)tables_buckets_bytes(size) / 2;
}

static int scan_of(struct client *client, json_t *report, size_t size)
{
	const struct options *options = client->options;
	double bytes = table_bytes(size, options->entries);
	unsigned int count = (unsigned int)(bytes / SCAN_READ) + 1;
	struct contest contest = mode_contest(client, "MB", 1e6);
	struct raw raw = { &client->wires, 0, SCAN_READ, SCAN_DEPTH, count };
	unsigned int r, s, turns = fewer(options, 100);
	struct reader reader;
	char title[96];
	int error;

	reader_open(&reader, client->es, size, options);
	r = add_stream(&contest, &raw, (double)count * SCAN_READ * options->peer_count, turns,
		       "raw 64 KiB, 8 in flight");
	s = contest_add(&contest, (struct way){ "scan", reader_scan, &reader, NULL,
						bytes * options->peer_count, turns });
	error = contest_hold(&contest);
	if (!error) {
		json_t *result;

		snprintf(title, sizeof(title), "scan of %zu entries of %zu B, %u owners",
			 options->entries, size, options->peer_count);
		result = contest_report(&contest, title);
		contest_ratio(&contest, result, s, r, RATIO_RATE, 0.9);
		snprintf(title, sizeof(title), "%zu B", size);
		json_object_set_new(report, title, result);
	}
	contest_free(&contest);
	reader_close(&reader);
	return error;
}

int mode_scan(struct client *client, json_t *report)
{
	int error = 0;

	for (unsigned int i = 0; i < client->options->size_count && !error; i++)
		error = scan_of(client, report, client->options->sizes[i]);
	return error;
}
