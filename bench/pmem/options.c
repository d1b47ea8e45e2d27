// SPDX-License-Identifier: BSD-3-Clause
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void options_parse(int argc, char **argv, struct options *options)
{
	int option;

	while ((option = getopt(argc, argv, "n:r:d:j:")) >= 0) {
		if (option == 'n')
			options->entries = strtoul(optarg, NULL, 10);
		else if (option == 'r')
			options->rounds = strtoul(optarg, NULL, 10);
		else if (option == 'd')
			options->folder = optarg;
		else if (option == 'j')
			options->json = optarg;
		else
			exit(2);
	}
	if (optind == argc && options->entries && options->rounds &&
	    options->rounds <= ROUNDS_MAX && options->folder)
		return;
	fprintf(stderr, "usage: %s -d FOLDER [-n ENTRIES] [-r ROUNDS] [-j JSON-FILE]\n", argv[0]);
	exit(2);
}
