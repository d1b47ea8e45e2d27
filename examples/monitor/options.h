/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of options, or a sentence about what is wrong with them and the end of the program. */
#ifndef MONITOR_OPTIONS_H
#define MONITOR_OPTIONS_H

#include <argp.h>
#include <stdint.h>

#include "capture.h"

uint64_t option_number(const struct argp_state *state, const char *what, const char *text,
		       uint64_t least, uint64_t most);

/* Where the frames come from: options that both programs have. */
enum {
	OPTION_INTERFACE = 'i',
	OPTION_READ = 'r',
	OPTION_LOOP = 256,
	OPTION_RATE,
	OPTION_OWN, /* the first number that is free */
};

/* clang-format off */
#define OPTIONS_CAPTURE                                                                            \
	{ "interface", OPTION_INTERFACE, "NAME", 0, "Take packets from a network interface", 1 },  \
	{ "read", OPTION_READ, "FILE", 0, "Take packets from a capture file", 1 },                 \
	{ "loop", OPTION_LOOP, "N", 0, "Read the file N times, or \"forever\" (1)", 1 },           \
	{ "pps", OPTION_RATE, "N", 0,                                                              \
	  "Read N packets a second from the file; 0: as fast as possible (0)", 1 }
/* clang-format on */

/* Returns 1 if @key was one of them. */
int option_capture(int key, const char *text, const struct argp_state *state,
		   struct capture_options *options);

#endif
