/* SPDX-License-Identifier: BSD-3-Clause */
/* Who takes which flow: evenly, both directions alike, and few flows move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "share.h"

#define FLOWS 100000

static void make_share(struct share *share, unsigned int members)
{
	char name[ESTATE_NAME_MAX];

	*share = (struct share){ .members = NULL };
	for (unsigned int i = 0; i < members; i++) {
		snprintf(name, sizeof(name), "monitor-%u", i + 1);
		assert_int_equal(share_add(share, name), 0);
	}
}

/* Flows as in a network: few servers, many clients, ports that count up. */
static struct flow make_flow(unsigned int number)
{
	struct flow flow = { .protocol = number % 3 ? 6 : 17, .version = 4 };

	flow.source[0] = 10;
	flow.source[3] = (uint8_t)(number % 200);
	flow.destination[0] = 192;
	flow.destination[3] = (uint8_t)(number % 4);
	flow.source_port = htons((uint16_t)(1024 + number / 200));
	flow.destination_port = htons(80);
	return flow;
}

static struct flow reverse(const struct flow *flow)
{
	struct flow back = *flow;

	memcpy(back.source, flow->destination, sizeof(back.source));
	memcpy(back.destination, flow->source, sizeof(back.destination));
	back.source_port = flow->destination_port;
	back.destination_port = flow->source_port;
	return back;
}

static void test_nobody(void **state)
{
	struct share share = { .members = NULL };

	(void)state;
	assert_int_equal(share_pick(&share, 7), SHARE_NOBODY);
	assert_int_equal(share_find(&share, "monitor-1"), SHARE_NOBODY);
	share_free(&share);
}

static void test_both_directions(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < FLOWS; i++) {
		struct flow flow = make_flow(i);
		struct flow back = reverse(&flow);

		assert_true(share_hash_flow(&flow) == share_hash_flow(&back));
	}
}

static void test_same_address_at_both_ends(void **state)
{
	struct flow flow = make_flow(1);
	struct flow back;

	(void)state;
	memcpy(flow.destination, flow.source, sizeof(flow.source));
	back = reverse(&flow);
	assert_true(share_hash_flow(&flow) == share_hash_flow(&back));
	/* And swapping only the ports is another flow, where the addresses differ. */
	flow = make_flow(1);
	back = flow;
	back.source_port = flow.destination_port;
	back.destination_port = flow.source_port;
	assert_true(share_hash_flow(&flow) != share_hash_flow(&back));
}

static void test_flows_differ(void **state)
{
	struct flow one = make_flow(1);
	struct flow other = make_flow(1);

	(void)state;
	other.protocol ^= 1;
	assert_true(share_hash_flow(&one) != share_hash_flow(&other));
	other = make_flow(1);
	other.version = 6;
	assert_true(share_hash_flow(&one) != share_hash_flow(&other));
}

static void test_even(void **state)
{
	(void)state;
	for (unsigned int members = 1; members <= 16; members++) {
		unsigned int counts[16] = { 0 };
		double even = (double)FLOWS / members;
		struct share share;

		make_share(&share, members);
		for (unsigned int i = 0; i < FLOWS; i++) {
			struct flow flow = make_flow(i);

			counts[share_pick(&share, share_hash_flow(&flow))]++;
		}
		/* Six standard deviations of the binomial distribution at 16 are below 8 %. */
		for (unsigned int i = 0; i < members; i++) {
			assert_true(counts[i] > even * 0.92);
			assert_true(counts[i] < even * 1.08);
		}
		share_free(&share);
	}
}

static void test_few_flows_move(void **state)
{
	(void)state;
	for (unsigned int members = 1; members < 16; members++) {
		double expected = (double)FLOWS / (members + 1);
		unsigned int moved = 0;
		struct share before;
		struct share after;

		make_share(&before, members);
		make_share(&after, members + 1);
		for (unsigned int i = 0; i < FLOWS; i++) {
			struct flow flow = make_flow(i);
			uint64_t hash = share_hash_flow(&flow);
			unsigned int old = share_pick(&before, hash);
			unsigned int new = share_pick(&after, hash);

			if (old == new)
				continue;
			moved++;
			/* Only to who joined; and back, only from who leaves. */
			assert_int_equal(new, members);
		}
		assert_true(moved > expected * 0.92);
		assert_true(moved < expected * 1.08);
		share_free(&before);
		share_free(&after);
	}
}

static void test_order_does_not_matter(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct share forward = { .members = NULL };
	struct share backward = { .members = NULL };

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(share_add(&forward, names[i]), 0);
		assert_int_equal(share_add(&backward, names[3 - i]), 0);
	}
	for (uint64_t hash = 0; hash < 10000; hash++)
		assert_string_equal(forward.members[share_pick(&forward, hash)].name,
				    backward.members[share_pick(&backward, hash)].name);
	assert_int_equal(share_find(&forward, "c"), 2);
	share_free(&forward);
	share_free(&backward);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_both_directions),
		cmocka_unit_test(test_same_address_at_both_ends),
		cmocka_unit_test(test_flows_differ),
		cmocka_unit_test(test_even),
		cmocka_unit_test(test_few_flows_move),
		cmocka_unit_test(test_order_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
