/* SPDX-License-Identifier: BSD-3-Clause */
/* A registry folder of the test's own, so that tests do not meet each other. */
#ifndef FOLDER_H
#define FOLDER_H

/* Make one and name it in $ESTATE_DIR. 0, or -1 with errno. */
int folder_make(void);

/* Remove it with all that was left in it. */
void folder_remove(void);

#endif
