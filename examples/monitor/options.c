/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

uint64_t option_number(const struct argp_state *state, const char *what, const char *text,
		       uint64_t least, uint64_t most)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(text, &end, 0);
	/* strtoull() takes "-1" for a large number. */
	if (!isdigit((unsigned char)*text) || *end || errno || number < least || number > most)
		argp_error(state, "%s must be a number from %" PRIu64 " to %" PRIu64 ", not \"%s\"",
			   what, least, most, text);
	return number;
}

int option_capture(int key, const char *text, const struct argp_state *state,
		   struct capture_options *options)
{
	switch (key) {
	case OPTION_INTERFACE:
		options->interface = text;
		return 1;
	case OPTION_READ:
		options->file = text;
		return 1;
	case OPTION_LOOP:
		if (!strcmp(text, "forever"))
			options->loops = CAPTURE_FOREVER;
		else
			options->loops = option_number(state, "--loop", text, 1, UINT32_MAX);
		return 1;
	case OPTION_RATE:
		options->rate = option_number(state, "--pps", text, 0, 1000000000);
		return 1;
	default:
		return 0;
	}
}
