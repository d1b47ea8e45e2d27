// SPDX-License-Identifier: BSD-3-Clause
/* estate-bench: one-sided reads of estate's instances, beside the READs that they are made of. */
#include "measure.h"
#include "modes.h"
#include "report.h"
#include "server.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

/* To read into: the READs of a scan at all peers. */
#define LANDING ((size_t)1 << 20)

static const struct {
	const char *name;
	int (*run)(struct client *client, json_t *report);
} modes[] = {
	{ "raw-read", mode_raw_read }, { "get", mode_get },   { "global", mode_global },
	{ "batch", mode_batch },       { "scan", mode_scan }, { "rpc", mode_rpc },
	{ "sweep", mode_get },
};

struct contest mode_contest(struct client *client, const char *unit, double unit_size)
{
	return (struct contest){ .options = client->options,
				 .control = &client->control,
				 .device = client->wires.device,
				 .unit = unit,
				 .unit_size = unit_size };
}

static unsigned int most(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

static int run(const struct options *options, unsigned int mode)
{
	struct client client = { .options = options };
	json_t *report = json_object();
	char section[64];
	int error;

	control_open(&client.control, options);
	wires_open(&client.wires, options, most(16, most(options->depth, options->keys)), LANDING);
	client.es = reader_join(options);
	json_object_set_new(report, "owners", json_integer(options->peer_count));
	json_object_set_new(report, "entries", json_integer((json_int_t)options->entries));
	error = modes[mode].run(&client, report);
	estate_close(client.es);
	wires_close(&client.wires);
	control_close(&client.control);
	if (options->peer_count == 1)
		snprintf(section, sizeof(section), "%s", modes[mode].name);
	else
		snprintf(section, sizeof(section), "%s of %u", modes[mode].name,
			 options->peer_count);
	if (!error)
		return report_write(options->json, section, report);
	json_decref(report);
	return error;
}

int main(int argc, char **argv)
{
	struct options options;

	options_parse(&options, argc, argv);
	if (options.cpu >= 0)
		measure_pin((unsigned int)options.cpu);
	if (options.listen.host[0])
		return server_run(&options) ? 1 : 0;
	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(options.mode, modes[i].name))
			return run(&options, i) ? 1 : 0;
	errx(2, "no mode \"%s\": see estate-bench --help", options.mode);
}
