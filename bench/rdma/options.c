// SPDX-License-Identifier: BSD-3-Clause
#include "options.h"

#include <argp.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_LISTEN = 256,
	KEY_BUSY,
	KEY_BUFFER,
	KEY_PEERS,
	KEY_SECONDS,
	KEY_WARM_UP,
	KEY_DEPTH,
	KEY_KEYS,
	KEY_OWNERS,
	KEY_JSON,
	KEY_CPU
};

static const struct argp_option known[] = {
	{ NULL, 0, NULL, 0, "Server:", 1 },
	{ "listen", KEY_LISTEN, "ADDRESS:PORT", 0, "be read at this port; takes the next two, too",
	  1 },
	{ "busy", KEY_BUSY, NULL, 0, "let a thread spin from the start", 1 },
	{ "buffer", KEY_BUFFER, "MIB", 0, "memory for raw READs (16)", 1 },
	{ NULL, 0, NULL, 0, "Client:", 2 },
	{ "peers", KEY_PEERS, "ADDRESS:PORT,...", 0, "the servers", 2 },
	{ "operations", 'n', "N", 0, "of each way, in each round (1000)", 2 },
	{ "seconds", KEY_SECONDS, "S", 0, "for each way, instead of a number of operations", 2 },
	{ "rounds", 'r', "N", 0, "in which all ways take their turn (9)", 2 },
	{ "warm-up", KEY_WARM_UP, "N", 0, "operations before those that are timed (100)", 2 },
	{ "depth", KEY_DEPTH, "N", 0, "raw-read: READs in flight (16)", 2 },
	{ "keys", KEY_KEYS, "N", 0, "batch: keys in one call (64)", 2 },
	{ "owners", KEY_OWNERS, "idle|busy|both", 0, "what their CPUs do meanwhile (both)", 2 },
	{ "json", KEY_JSON, "FILE", 0, "add the figures to this file", 2 },
	{ NULL, 0, NULL, 0, "Both, and the same on both sides:", 3 },
	{ "sizes", 's', "BYTES,...", 0, "of values, multiples of 8 (64)", 3 },
	{ "entries", 'e', "N", 0, "in each table, which is then full (50000)", 3 },
	{ NULL, 0, NULL, 0, "Both:", 4 },
	{ "cpu", KEY_CPU, "N", 0, "stay on this CPU", 4 },
	{ 0 }
};

static const char usage[] = "--listen ADDRESS:PORT\nMODE --peers ADDRESS:PORT,...";
static const char about[] =
	"Times one-sided reads of estate's instances beside the READs that they are made of.\v"
	"MODE is raw-read, get, global, batch, scan or rpc; doc/benchmarks.md explains them. "
	"ADDRESS is an IPv4 address, a name, or an IPv6 address in brackets.";

static unsigned long number(struct argp_state *state, const char *text, unsigned long least,
			    unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || *text == '-' || value < least || value > most)
		argp_error(state, "\"%s\": must be a number from %lu to %lu", text, least, most);
	return value;
}

static void address(struct argp_state *state, const char *text, struct peer_address *to)
{
	const char *colon = strrchr(text, ':');

	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(to->host)) {
		argp_error(state, "\"%s\": must be ADDRESS:PORT", text);
		return;
	}
	memset(to->host, 0, sizeof(to->host));
	memcpy(to->host, text, (size_t)(colon - text));
	to->port = (unsigned int)number(state, colon + 1, 1, 65535 - PORT_CONTROL);
}

static void addresses(struct argp_state *state, char *text, struct options *options)
{
	char *rest = NULL;

	for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
		if (options->peer_count == PEERS_MAX)
			argp_error(state, "more than %d peers", PEERS_MAX);
		address(state, one, &options->peers[options->peer_count++]);
	}
}

static void sizes(struct argp_state *state, char *text, struct options *options)
{
	char *rest = NULL;

	options->size_count = 0;
	for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
		size_t size = number(state, one, 8, 65536);

		if (size % 8 || options->size_count == SIZES_MAX)
			argp_error(state, "sizes are up to %d multiples of 8", SIZES_MAX);
		options->sizes[options->size_count++] = size;
	}
}

static unsigned int owners(struct argp_state *state, const char *text)
{
	if (!strcmp(text, "idle"))
		return OWNERS_IDLE;
	if (!strcmp(text, "busy"))
		return OWNERS_BUSY;
	if (strcmp(text, "both") != 0)
		argp_error(state, "owners are idle, busy, or both");
	return OWNERS_IDLE | OWNERS_BUSY;
}

static error_t parse_client(int key, char *text, struct argp_state *state, struct options *options)
{
	switch (key) {
	case KEY_PEERS:
		addresses(state, text, options);
		return 0;
	case 'n':
		options->operations = (unsigned int)number(state, text, 1, 100000000);
		return 0;
	case KEY_SECONDS:
		options->seconds = strtod(text, NULL);
		if (!(options->seconds > 0 && options->seconds < 86400))
			argp_error(state, "seconds must be above 0");
		return 0;
	case 'r':
		options->rounds = (unsigned int)number(state, text, 1, 1000);
		return 0;
	case KEY_WARM_UP:
		options->warm_up = (unsigned int)number(state, text, 0, 1000000);
		return 0;
	case KEY_DEPTH:
		options->depth = (unsigned int)number(state, text, 1, 1024);
		return 0;
	case KEY_KEYS:
		options->keys = (unsigned int)number(state, text, 1, 1024);
		return 0;
	case KEY_OWNERS:
		options->owners = owners(state, text);
		return 0;
	case KEY_JSON:
		options->json = text;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_LISTEN:
		address(state, text, &options->listen);
		return 0;
	case KEY_BUSY:
		options->busy = 1;
		return 0;
	case KEY_BUFFER:
		options->buffer = number(state, text, 1, 65536) << 20;
		return 0;
	case 's':
		sizes(state, text, options);
		return 0;
	case 'e':
		options->entries = number(state, text, 64, 1000000000);
		return 0;
	case KEY_CPU:
		options->cpu = (int)number(state, text, 0, 4095);
		return 0;
	case ARGP_KEY_ARG:
		if (options->mode)
			argp_error(state, "one mode, not \"%s\" as well", text);
		options->mode = text;
		return 0;
	case ARGP_KEY_END:
		if (!options->listen.host[0] == !options->mode)
			argp_error(state, "either --listen, or a mode and --peers");
		if (options->mode && !options->peer_count)
			argp_error(state, "which --peers?");
		return 0;
	default:
		return parse_client(key, text, state, options);
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	static const struct argp argp = { known, parse, usage, about };

	*options = (struct options){ .sizes = { 64 },
				     .size_count = 1,
				     .entries = 50000,
				     .cpu = -1,
				     .buffer = (size_t)16 << 20,
				     .operations = 1000,
				     .rounds = 9,
				     .warm_up = 100,
				     .depth = 16,
				     .keys = 64,
				     .owners = OWNERS_IDLE | OWNERS_BUSY };
	if (argp_parse(&argp, argc, argv, 0, NULL, options))
		errx(2, "options");
}
