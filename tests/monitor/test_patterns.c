/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above. */
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "patterns.h"

static void test_found(void **state)
{
	struct patterns patterns = { .strings = NULL };

	(void)state;
	assert_int_equal(patterns_found(&patterns, "needle", 6), 0);
	assert_int_equal(patterns_add(&patterns, "needle"), 0);
	assert_int_equal(patterns_add(&patterns, "pin"), 0);
	assert_int_equal(patterns_found(&patterns, "needle", 6), 1);
	assert_int_equal(patterns_found(&patterns, "hay needle hay", 14), 1);
	assert_int_equal(patterns_found(&patterns, "needle and needle", 17), 1); /* once each */
	assert_int_equal(patterns_found(&patterns, "pin and needle", 14), 2);
	assert_int_equal(patterns_found(&patterns, "a\0needle\0", 9), 1); /* not a string */
	assert_int_equal(patterns_found(&patterns, "needle", 5), 0); /* cut */
	assert_int_equal(patterns_found(&patterns, "", 0), 0);
	patterns_free(&patterns);
}

static void test_empty_pattern(void **state)
{
	struct patterns patterns = { .strings = NULL };

	(void)state;
	assert_int_equal(patterns_add(&patterns, ""), -EINVAL);
	assert_int_equal(patterns.count, 0);
	patterns_free(&patterns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_empty_pattern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
