/* SPDX-License-Identifier: BSD-3-Clause */
/* Results, as a table for people and in a JSON file that several programs share. */
#ifndef REPORT_H
#define REPORT_H

#include "measure.h"

#include <jansson.h>

json_t *report_figure(struct figure figure);

/*
 * Put @results (whose reference is taken over) into the JSON file under
 * @section, beside what other programs put there, and what the machine is. A
 * @path of NULL: nowhere. 0, or -1 after a message.
 */
int report_write(const char *path, const char *section, json_t *results);

/* "12.3 (11.9-14.0)" */
const char *report_text(struct figure figure, char text[64]);

#endif
