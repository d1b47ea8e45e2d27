// SPDX-License-Identifier: BSD-3-Clause
/* The clock that is reckoned from the CPU's counter. */
#include "check.h"
#include "clock.h"
#include "pace.h"

static void assert_looks(struct pace *pace)
{
	uint64_t before = clock_monotonic_us();
	uint64_t now = pace_us(pace);

	assert_true(now >= before);
	assert_true(now <= clock_monotonic_us());
}

static void test_new(void **state)
{
	struct pace pace = { 0 };

	(void)state;
	assert_looks(&pace);
	assert_true(pace.us > 0);
	assert_int_equal(pace.span, 0);
}

static void test_reckons(void **state)
{
	struct pace pace = { pace_ticks() - 1000, 70, UINT64_MAX / 2, 0 };

	(void)state;
	assert_int_equal(pace_us(&pace), 70);
	/* A microsecond in a tick. */
	pace.scale = (uint64_t)1 << 32;
	assert_true(pace_us(&pace) >= 1070);
}

static void test_span_over(void **state)
{
	struct pace pace = { pace_ticks() - 1000, 1, 999, (uint64_t)1 << 32 };

	(void)state;
	assert_looks(&pace);
}

static void test_counter_went_back(void **state)
{
	struct pace pace = { pace_ticks() + ((uint64_t)1 << 60), 1, (uint64_t)1 << 40, 1 };

	(void)state;
	assert_looks(&pace);
}

/* Twice as many ticks as microseconds passed: so it goes on. */
static void test_rate(void **state)
{
	struct pace pace = { 1000, clock_monotonic_us() - 2000000, 0, 0 };
	uint64_t begin = pace.us;

	(void)state;
	pace_look(&pace, 1000 + 4000000);
	assert_int_equal(pace.ticks, 1000 + 4000000);
	assert_true(pace.us >= begin + 2000000);
	/* However long it took to get here: as the clock says. */
	assert_int_equal(pace.scale, ((pace.us - begin) << 32) / 4000001);
	assert_int_equal(pace.span, 4000000000 / (pace.us - begin));
}

static void test_too_short(void **state)
{
	struct pace pace = { 1000, clock_monotonic_us() + 1000000, 5, 6 };

	(void)state;
	/* Time went back, which it does not; nothing is reckoned from it. */
	pace_look(&pace, 2000);
	assert_int_equal(pace.span, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),	  cmocka_unit_test(test_reckons),
		cmocka_unit_test(test_span_over), cmocka_unit_test(test_counter_went_back),
		cmocka_unit_test(test_rate),	  cmocka_unit_test(test_too_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
