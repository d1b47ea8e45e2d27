/* SPDX-License-Identifier: BSD-3-Clause */
/* Bringing a table back: one pass over what the pool has of it, by several threads. */
#ifndef RECOVERY_H
#define RECOVERY_H

#include "mirror.h"

#include <estate/instance.h>

/*
 * Fill the mirror's table, which is empty, with what is in the pool. Where a crash
 * left one key in two slots, the older one is deleted in the pool. @crashed: the last
 * life did not end in order; what it was writing is cleared. @report grows.
 * 0; -EBADMSG, if a part of it is damaged; -ENOMEM or -EIO. With a sentence.
 */
int recovery_run(struct mirror *mirror, int crashed, struct estate_recovery *report);

#endif
