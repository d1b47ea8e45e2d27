/* SPDX-License-Identifier: BSD-3-Clause */
/* cmocka, with the headers that it wants before it. */
#ifndef CHECK_H
#define CHECK_H

/* clang-format off: cmocka.h needs these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

/* @call fails with @code, and leaves a sentence that has @word in it. */
#define assert_error(call, code, word)                                                   \
	do {                                                                             \
		assert_int_equal(call, code);                                            \
		if (!strstr(estate_errormsg(), word))                                    \
			fail_msg("\"%s\" does not say \"%s\"", estate_errormsg(), word); \
	} while (0)

#define assert_ok(call)                                                            \
	do {                                                                       \
		int result_ = (call);                                              \
		if (result_)                                                       \
			fail_msg("%s: %d: %s", #call, result_, estate_errormsg()); \
	} while (0)

#endif
