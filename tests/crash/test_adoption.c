// SPDX-License-Identifier: BSD-3-Clause
/*
 * Power fails at any point of a takeover: each state that this may leave the
 * adopter's pool in has each entry as a whole or not at all, as the pool itself says,
 * and going on from there counts each exactly once; also if the program wrote meanwhile and power
 * failed again. And a drain that is left out must show.
 *
 * ESTATE_TEST_SEED makes other samples.
 */
#include "absorb.h"
#include "adoption.h"
#include "check.h"

#include "format.h"

#include <stdio.h>

/* One of them has a home with so many entries that they come in two parts. */
#define FIRST_SEED 38
#define SEEDS 3

static unsigned int most; /* entries of one home */

#define LIMIT 40 /* images of a point, if it has more */
#define FAILED_LIMIT 3 /* the same, where only the last point is another one than before */

static int verify(uint64_t seed, recorder_forget_fn *forget, unsigned int unit, char *message,
		  size_t size)
{
	struct adoption_result result;
	struct adoption adoption;
	int wrong;

	adoption_init(&adoption, seed, forget, 0);
	wrong = adoption_verify(&adoption, unit, LIMIT, &result, message, size);
	printf("%2u bytes, %3llu of %3llu drains forgotten: %3llu points, %6llu images, %6llu in "
	       "the midst, %6llu of a second crash, %2u of a home: %s\n",
	       unit, (unsigned long long)adoption.recorder.forgotten,
	       (unsigned long long)adoption.recorder.drains, (unsigned long long)result.points,
	       (unsigned long long)result.images, (unsigned long long)result.resumed,
	       (unsigned long long)result.second, result.intents, wrong ? message : "all right");
	fflush(stdout);
	if (forget)
		assert_true(adoption.recorder.forgotten > 0);
	else
		assert_true(wrong || (result.resumed > 500 && result.second > 1000));
	most = result.intents > most ? result.intents : most;
	adoption_free(&adoption);
	return wrong;
}

/* By whole lines and by words. */
static void test_states(void **state)
{
	char message[512];

	(void)state;
	for (unsigned int unit = 64; unit >= 8; unit /= 8)
		for (uint64_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++)
			if (verify(seed, NULL, unit, message, sizeof(message)))
				fail_msg("seed %u, units of %u bytes: %s", (unsigned int)seed, unit,
					 message);
	/* More than are absorbed at a time. */
	assert_true(most > ABSORB_MAX);
}

static int intents(uint64_t number, uint64_t last)
{
	(void)number;
	return last >= FORMAT_ADOPTION && last < LAYOUT_DIRECTORY;
}

static int entries(uint64_t number, uint64_t last)
{
	(void)number;
	return last >= LAYOUT_TABLES;
}

static int every_fifth(uint64_t number, uint64_t last)
{
	(void)last;
	return number % 5 == 0;
}

static void test_forgotten(void **state)
{
	static recorder_forget_fn *const kinds[] = { intents, entries, every_fifth };
	char message[512];

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!verify(FIRST_SEED, kinds[i], 64, message, sizeof(message)))
			fail_msg("drains of kind %zu may be left out", i);
}

/* Each drain fails: what the adopter writes after that must not pass for what it took over. */
static void test_failed(void **state)
{
	struct adoption adoption;
	uint64_t drains;
	uint64_t images = 0;

	(void)state;
	adoption_init(&adoption, FIRST_SEED, NULL, 0);
	drains = adoption.recorder.drains;
	adoption_free(&adoption);
	assert_true(drains > 0);
	for (uint64_t fail = 1; fail <= drains; fail++) {
		struct adoption_result result;
		char message[512];

		adoption_init(&adoption, FIRST_SEED, NULL, fail);
		if (adoption_verify(&adoption, 64, FAILED_LIMIT, &result, message, sizeof(message)))
			fail_msg("drain %llu fails: %s", (unsigned long long)fail, message);
		images += result.images;
		adoption_free(&adoption);
	}
	printf("each of %llu drains failed: %llu images\n", (unsigned long long)drains,
	       (unsigned long long)images);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
