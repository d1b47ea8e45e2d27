/* SPDX-License-Identifier: BSD-3-Clause */
/* The sentence behind the last error of a thread. */
#ifndef ERROR_H
#define ERROR_H

#include <estate/error.h>

/* Keep a formatted sentence; returns @code, so that "return error_set(-EINVAL, ...)" reads well. */
int error_set(int code, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* Keep a literal: for errors that are everyday life on a hot path (an absent key). */
int error_literal(int code, const char *sentence);

#endif
