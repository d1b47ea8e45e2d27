/* SPDX-License-Identifier: BSD-3-Clause */
/* The sentence behind the last error of a thread. */
#ifndef ERROR_H
#define ERROR_H

#include <estate/error.h>

#include <errno.h>

/*
 * Keep a formatted sentence, and be @code, so that "return error_set(-EINVAL, ...)" reads well. @code
 * is evaluated first: it often is -errno. An error is never 0, whatever errno was.
 */
#define error_set(code, ...)               \
	({                                 \
		int code_ = (code);        \
		error_format(__VA_ARGS__); \
		code_ < 0 ? code_ : -EIO;  \
	})

void error_format(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

/* Keep a literal: for errors that are everyday life on a hot path (an absent key). */
int error_literal(int code, const char *sentence);

#endif
