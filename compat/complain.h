/* SPDX-License-Identifier: BSD-3-Clause */
/* Where errors go in an interface that cannot return them: stderr. */
#ifndef COMPLAIN_H
#define COMPLAIN_H

/* Write "estate-compat: CALL: ..." unless that was the last line written. */
void complain(const char *call, const char *format, ...)
	__attribute__((format(printf, 2, 3), cold));

#endif
