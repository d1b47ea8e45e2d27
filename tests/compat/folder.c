// SPDX-License-Identifier: BSD-3-Clause
#include "folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static char folder[] = "/tmp/estate-compat-XXXXXX";

int folder_make(void)
{
	if (!mkdtemp(folder))
		return -1;
	return setenv("ESTATE_DIR", folder, 1);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

void folder_remove(void)
{
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
