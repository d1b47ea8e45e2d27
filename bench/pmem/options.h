/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line that all programs here have. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>

#define ROUNDS_MAX 99

struct options {
	size_t entries;
	size_t rounds;
	const char *folder; /* on the file system that is measured */
	const char *json; /* NULL: none */
};

/* Fill in what is given; ends the program if it is wrong. */
void options_parse(int argc, char **argv, struct options *options);

#endif
