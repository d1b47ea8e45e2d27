// SPDX-License-Identifier: BSD-3-Clause
#include "scratch.h"

#include <err.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *scratch_make(void)
{
	char path[] = "/tmp/estate-test-XXXXXX";

	if (!mkdtemp(path))
		err(1, "mkdtemp");
	return strdup(path);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

void scratch_remove(char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(path);
}
