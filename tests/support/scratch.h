/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder of a test's own, removed with all that is in it. */
#ifndef SCRATCH_H
#define SCRATCH_H

/* Make one; the path is short enough for sockets, and the caller frees it. */
char *scratch_make(void);
void scratch_remove(char *path);

#endif
