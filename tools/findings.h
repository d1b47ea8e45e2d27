/* SPDX-License-Identifier: BSD-3-Clause */
/* What "estate doctor" finds, line by line: for people, or as JSON for scripts. */
#ifndef FINDINGS_H
#define FINDINGS_H

#include <jansson.h>

enum finding_level {
	FOUND_OK,
	FOUND_WARNING, /* it works; something may be missed */
	FOUND_FAILURE /* it does not work without that */
};

struct findings {
	json_t *all; /* NULL: they are printed as they are found */
	unsigned int failures;
};

/* @mend: the command, or what else there is to do about it; NULL if nothing is. */
void findings_add(struct findings *findings, enum finding_level level, const char *check,
		  const char *mend, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
