// SPDX-License-Identifier: BSD-3-Clause
/* The connection that watches a member: how it comes about, how it does not, and how it ends. */
#include "side.h"

#include "clock.h"
#include "crc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX 300

/* Two sides, not connected. */
static void two(struct pair *pair)
{
	memset(pair, 0, sizeof(*pair));
	assert_ok(side_open(&pair->owner, "owner", NULL));
	assert_ok(side_open(&pair->reader, NULL, NULL));
}

static void two_close(struct pair *pair)
{
	side_close(&pair->reader);
	side_close(&pair->owner);
}

/* It did not come about, or ended, and the sentence says so, and of whom. */
static void is_down(struct pair *pair, int error, const char *word)
{
	const struct member *member = &pair->member;

	assert_false(member->up);
	assert_int_equal(member->downs, 1);
	if (member->error != error || !strstr(member->sentence, word))
		fail_msg("%d \"%s\", should be %d \"%s\"", member->error, member->sentence, error,
			 word);
	if (!strstr(member->sentence, pair->owner.operations->address(pair->owner.transport)))
		fail_msg("\"%s\" does not say who", member->sentence);
	pair->member.downs = 0;
	/* All of it is gone with the next tick: the listener alone is there. */
	side_pump();
	assert_null(pair->reader.verbs->peers);
	assert_null(pair->owner.verbs->inbounds);
	assert_null(fake_id(0));
}

static void attempt(struct pair *pair)
{
	assert_ok(side_connect(&pair->reader, &pair->owner, &pair->member));
	side_pump();
}

static void succeeds(struct pair *pair)
{
	attempt(pair);
	if (!pair->member.up)
		fail_msg("not up: %s", pair->member.sentence);
	side_disconnect(&pair->reader, &pair->member);
	side_pump();
	assert_null(fake_id(0));
}

static void test_connects(void **state)
{
	struct pair pair;
	const struct transport_peer *told = &pair.member.peer;

	(void)state;
	pair_open(&pair);
	assert_int_equal(told->size, pair.owner.region.size);
	assert_string_equal(told->identity.name, "owner");
	assert_memory_equal(told->identity.uuid, pair.owner.identity.uuid, 16);
	assert_int_equal(told->identity.epoch, pair.owner.identity.epoch);
	assert_int_equal(pair.member.ups, 1);
	/* Its heart is seen beating, and tables are seen when they are asked for. */
	region_header(&pair.owner.region)->heartbeat = 99;
	side_pass(100000);
	assert_int_equal(region_heartbeat(told->memory), 99);
	pair_close(&pair);
}

static void test_directory_is_renewed(void **state)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	const struct transport_operations *operations;
	struct region_table table;
	struct region_table found;
	struct geometry geometry;
	struct pair pair;
	uint64_t *entries;
	uint64_t since;

	(void)state;
	attr.key_size = 8;
	attr.value_count = 8;
	attr.capacity = 16;
	pair_open(&pair);
	operations = pair.reader.operations;
	assert_int_equal(region_find_table(pair.member.peer.memory, SIDE_REGION, "t", &found),
			 -ENOENT);
	assert_ok(geometry_init(&geometry, &attr));
	assert_ok(region_prepare_table(&pair.owner.region, "t", &geometry,
				       region_salt(&pair.owner.identity, "t"), &table, &entries));
	region_publish_table(&pair.owner.region, &table);
	since = clock_monotonic_us();
	operations->renew(pair.reader.transport, 0);
	assert_false(operations->renewed(pair.reader.transport, 0, since));
	side_pump();
	assert_true(operations->renewed(pair.reader.transport, 0, since));
	assert_ok(region_find_table(pair.member.peer.memory, SIDE_REGION, "t", &found));
	/* Without being asked, too: the header counts it. */
	assert_ok(region_prepare_table(&pair.owner.region, "u", &geometry,
				       region_salt(&pair.owner.identity, "u"), &table, &entries));
	region_publish_table(&pair.owner.region, &table);
	side_pass(100000);
	assert_ok(region_find_table(pair.member.peer.memory, SIDE_REGION, "u", &found));
	pair_close(&pair);
}

/* The header was being read already when the renewal was asked for: it does not count what came since. */
static void test_renewed_from_the_start(void **state)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct region_table table;
	struct region_table found;
	struct geometry geometry;
	struct pair pair;
	uint64_t *entries;
	uint64_t since;

	(void)state;
	attr.key_size = 8;
	attr.value_count = 8;
	attr.capacity = 16;
	pair_open(&pair);
	assert_ok(geometry_init(&geometry, &attr));
	assert_ok(region_prepare_table(&pair.owner.region, "t", &geometry,
				       region_salt(&pair.owner.identity, "t"), &table, &entries));
	fake_pass(100000);
	pair.reader.operations->tick(pair.reader.transport, clock_monotonic_us());
	region_publish_table(&pair.owner.region, &table);
	fake_pass(1);
	since = clock_monotonic_us();
	pair.reader.operations->renew(pair.reader.transport, 0);
	side_pump();
	assert_true(pair.reader.operations->renewed(pair.reader.transport, 0, since));
	assert_ok(region_find_table(pair.member.peer.memory, SIDE_REGION, "t", &found));
	pair_close(&pair);
}

static void test_network_says_no(void **state)
{
	static const struct {
		enum rdma_cm_event_type instead_of;
		enum rdma_cm_event_type event;
		int status;
		int error;
		const char *says;
	} cases[] = {
		{ RDMA_CM_EVENT_ADDR_RESOLVED, RDMA_CM_EVENT_ADDR_ERROR, -ENODEV, -EHOSTUNREACH,
		  "no RDMA device of this host" },
		{ RDMA_CM_EVENT_ADDR_RESOLVED, RDMA_CM_EVENT_ADDR_ERROR, -ETIMEDOUT, -EHOSTUNREACH,
		  "ARP" },
		{ RDMA_CM_EVENT_ROUTE_RESOLVED, RDMA_CM_EVENT_ROUTE_ERROR, -ETIMEDOUT,
		  -EHOSTUNREACH, "no path" },
		{ RDMA_CM_EVENT_CONNECT_REQUEST, RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT,
		  -EHOSTUNREACH, "firewall" },
		{ RDMA_CM_EVENT_CONNECT_REQUEST, RDMA_CM_EVENT_CONNECT_ERROR, -EINVAL,
		  -EHOSTUNREACH, "half-way" },
		{ RDMA_CM_EVENT_CONNECT_REQUEST, RDMA_CM_EVENT_REJECTED, 8, -ECONNREFUSED,
		  "nobody listens" },
		{ RDMA_CM_EVENT_CONNECT_REQUEST, RDMA_CM_EVENT_REJECTED, FAKE_REJECTED, -EPROTO,
		  "not an instance" },
		{ RDMA_CM_EVENT_CONNECT_REQUEST, RDMA_CM_EVENT_DISCONNECTED, 0, -EHOSTDOWN,
		  "died" },
		{ RDMA_CM_EVENT_CONNECT_REQUEST, RDMA_CM_EVENT_ADDR_CHANGE, 0, -EHOSTUNREACH,
		  "address" },
		{ RDMA_CM_EVENT_ADDR_RESOLVED, RDMA_CM_EVENT_DEVICE_REMOVAL, 0, -EHOSTUNREACH,
		  "removed" },
		{ RDMA_CM_EVENT_ROUTE_RESOLVED, RDMA_CM_EVENT_DEVICE_REMOVAL, 0, -EHOSTUNREACH,
		  "removed" },
		{ RDMA_CM_EVENT_CONNECT_REQUEST, RDMA_CM_EVENT_DEVICE_REMOVAL, 0, -EHOSTUNREACH,
		  "removed" },
	};
	struct pair pair;

	(void)state;
	two(&pair);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_instead(cases[i].instead_of, (int)cases[i].event, cases[i].status);
		attempt(&pair);
		is_down(&pair, cases[i].error, cases[i].says);
	}
	succeeds(&pair);
	two_close(&pair);
}

static void test_calls_fail(void **state)
{
	static const struct {
		const char *call;
		unsigned int nth;
		int error;
		int reported;
		const char *says;
	} cases[] = {
		{ "rdma_resolve_route", 1, EINVAL, -EINVAL, "rdma_resolve_route" },
		{ "rdma_create_qp", 1, ENOMEM, -ENOMEM, "rdma_create_qp" },
		{ "rdma_connect", 1, EINVAL, -EINVAL, "rdma_connect" },
		{ "ibv_reg_mr", 1, EINVAL, -EINVAL, "ibv_reg_mr" },
		{ "aligned_alloc", 1, ENOMEM, -ENOMEM, "no memory" },
		{ "aligned_alloc", 2, ENOMEM, -ENOMEM, "no memory" },
		/* On the other side: it says so, and we read it. */
		{ "rdma_create_qp", 2, ENOMEM, -ENOMEM, "it refused: rdma_create_qp" },
		{ "rdma_accept", 1, EINVAL, -EINVAL, "it refused: rdma_accept" },
		{ "calloc", 2, ENOMEM, -ENOSPC, "as many readers" },
		/* The first READ, and the second. */
		{ "ibv_post_send", 1, EINVAL, -EINVAL, "ibv_post_send" },
		{ "ibv_post_send", 2, EINVAL, -EINVAL, "ibv_post_send" },
	};
	struct pair pair;

	(void)state;
	two(&pair);
	/* The reader's device is there, or its calls would be counted too. */
	succeeds(&pair);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_fail(cases[i].call, cases[i].nth, cases[i].error);
		attempt(&pair);
		assert_non_null(fake_failed());
		is_down(&pair, cases[i].reported, cases[i].says);
	}
	succeeds(&pair);
	two_close(&pair);
}

/* What fails within the call itself is its result, and no event. */
static void test_fails_at_once(void **state)
{
	struct pair pair;

	(void)state;
	two(&pair);
	fake_fail("calloc", 1, ENOMEM);
	assert_error(side_connect(&pair.reader, &pair.owner, &pair.member), -ENOMEM, "no memory");
	fake_fail("rdma_create_id", 1, ENODEV);
	assert_error(side_connect(&pair.reader, &pair.owner, &pair.member), -ENODEV,
		     "no RDMA device");
	assert_non_null(strstr(estate_errormsg(), "127.0.0.1"));
	fake_fail("rdma_create_id", 1, EMFILE);
	assert_error(side_connect(&pair.reader, &pair.owner, &pair.member), -EMFILE,
		     "Too many open files");
	fake_fail("rdma_resolve_addr", 1, EADDRNOTAVAIL);
	assert_error(side_connect(&pair.reader, &pair.owner, &pair.member), -EADDRNOTAVAIL,
		     "no RDMA device");
	assert_error(pair.reader.operations->connect(pair.reader.transport, "nowhere.invalid:1",
						     &pair.member),
		     -EADDRNOTAVAIL, "nowhere.invalid");
	assert_int_equal(pair.member.downs, 0);
	assert_null(fake_id(0));
	succeeds(&pair);
	two_close(&pair);
}

/* An owner that never answers: the group gives up, and what comes later is nobody's. */
static void test_silence(void **state)
{
	static const enum rdma_cm_event_type silent[] = { RDMA_CM_EVENT_ADDR_RESOLVED,
							  RDMA_CM_EVENT_ROUTE_RESOLVED,
							  RDMA_CM_EVENT_CONNECT_REQUEST,
							  RDMA_CM_EVENT_ESTABLISHED };
	struct pair pair;

	(void)state;
	two(&pair);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		struct rdma_cm_id *id;

		fake_instead(silent[i], -1, 0);
		assert_ok(side_connect(&pair.reader, &pair.owner, &pair.member));
		id = fake_id(0);
		side_pump();
		side_disconnect(&pair.reader, &pair.member);
		/* Between the group's word and the next tick anything may still come. */
		for (int event = RDMA_CM_EVENT_ADDR_RESOLVED; event <= RDMA_CM_EVENT_TIMEWAIT_EXIT;
		     event++)
			fake_event(id, (enum rdma_cm_event_type)event, 0);
		side_pump();
		assert_int_equal(pair.member.downs, 0);
		assert_false(pair.member.up);
		assert_null(pair.reader.verbs->peers);
	}
	side_pump();
	succeeds(&pair);
	two_close(&pair);
}

static void test_odd_welcomes(void **state)
{
	struct handshake_welcome good;
	struct handshake_welcome welcome;
	struct pair pair;

	(void)state;
	two(&pair);
	handshake_make_welcome(&good, &pair.owner.identity, &pair.owner.region, 4711);
#define odd(data, length, error, says)                             \
	do {                                                       \
		fake_say(RDMA_CM_EVENT_ESTABLISHED, data, length); \
		attempt(&pair);                                    \
		is_down(&pair, error, says);                       \
	} while (0)
	odd(NULL, 0, -EPROTO, "too short");
	odd(&good, sizeof(good) - 1, -EPROTO, "too short");
	odd("\1", 1, -EPROTO, "too short");
	memset(&welcome, 0, sizeof(welcome));
	odd(&welcome, sizeof(welcome), -EPROTO, "not an instance");
	welcome = good;
	welcome.protocol = 77;
	odd(&welcome, sizeof(welcome), -EPROTO, "same release");
	welcome = good;
	welcome.size = 100;
	odd(&welcome, sizeof(welcome), -EBADMSG, "100 bytes");
	/* Its region is not where it says, or not readable with what it says. */
	odd(&good, sizeof(good), -EHOSTDOWN, "region is gone");
#undef odd
	succeeds(&pair);
	two_close(&pair);
}

/* A header that is there, but is not what the owner spoke of. */
static void test_odd_headers(void **state)
{
	struct layout_header *header;
	struct pair pair;

	(void)state;
	two(&pair);
	header = region_header(&pair.owner.region);
	header->magic ^= 1;
	attempt(&pair);
	is_down(&pair, -EBADMSG, "");
	header->magic ^= 1;
	header->crc ^= 1;
	attempt(&pair);
	is_down(&pair, -EBADMSG, "");
	header->crc ^= 1;
	header->version++;
	attempt(&pair);
	is_down(&pair, -EPROTO, "version");
	header->version--;
	/* Another life, another instance. */
	pair.owner.verbs->identity.epoch++;
	attempt(&pair);
	is_down(&pair, -EHOSTDOWN, "not the one that it spoke of");
	pair.owner.verbs->identity.epoch--;
	pair.owner.verbs->identity.uuid[15] ^= 1;
	attempt(&pair);
	is_down(&pair, -EHOSTDOWN, "not the one that it spoke of");
	pair.owner.verbs->identity.uuid[15] ^= 1;
	succeeds(&pair);
	two_close(&pair);
}

/* A stranger that lets us in, whose region is of another group. */
static void test_other_group(void **state)
{
	struct pair pair;

	(void)state;
	memset(&pair, 0, sizeof(pair));
	assert_ok(side_open(&pair.owner, "owner", NULL));
	assert_ok(side_open(&pair.reader, NULL, NULL));
	strcpy(pair.reader.verbs->identity.group, "other");
	attempt(&pair);
	is_down(&pair, -EPERM, "it refused: it is in group fake");
	/* It lies about its group, but its region does not. */
	strcpy(pair.owner.verbs->identity.group, "other");
	attempt(&pair);
	is_down(&pair, -EPROTO, "of group fake, not other");
	two_close(&pair);
}

static void test_failed_reads(void **state)
{
	static const struct {
		enum ibv_wc_status status;
		const char *says;
	} cases[] = {
		{ IBV_WC_RETRY_EXC_ERR, "4791" },
		{ IBV_WC_RNR_RETRY_EXC_ERR, "not ready" },
		{ IBV_WC_REM_ACCESS_ERR, "region is gone" },
		{ IBV_WC_REM_INV_REQ_ERR, "READs may be disabled" },
		{ IBV_WC_WR_FLUSH_ERR, "the connection ended" },
		{ IBV_WC_LOC_PROT_ERR, "not registered here" },
		{ IBV_WC_GENERAL_ERR, "kernel logs" },
	};
	struct pair pair;

	(void)state;
	/* At first, and when it was up. */
	for (int up = 0; up < 2; up++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			two(&pair);
			fake_hold(!up);
			attempt(&pair);
			fake_hold(1);
			side_pass(100000);
			assert_int_equal(pair.member.up, up);
			fake_complete(pair.reader.verbs->peers->link.id->qp, cases[i].status);
			side_pump();
			is_down(&pair, -EHOSTDOWN, cases[i].says);
			fake_hold(0);
			succeeds(&pair);
			two_close(&pair);
		}
	}
}

static void test_wrong_key(void **state)
{
	struct pair pair;

	(void)state;
	two(&pair);
	/* It exposes another memory from now on. */
	pair.owner.verbs->devices->region->rkey += 1000;
	attempt(&pair);
	is_down(&pair, -EHOSTDOWN, "region is gone");
	two_close(&pair);
}

static void test_ends(void **state)
{
	static const struct {
		enum rdma_cm_event_type event;
		int error;
		const char *says;
	} cases[] = {
		{ RDMA_CM_EVENT_DISCONNECTED, -EHOSTDOWN, "died" },
		{ RDMA_CM_EVENT_DEVICE_REMOVAL, -EHOSTUNREACH, "removed" },
		{ RDMA_CM_EVENT_ADDR_CHANGE, -EHOSTUNREACH, "address" },
		{ RDMA_CM_EVENT_UNREACHABLE, -EHOSTUNREACH, "firewall" },
	};
	struct pair pair;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		two(&pair);
		attempt(&pair);
		assert_true(pair.member.up);
		/* These mean nothing. */
		fake_event(pair.reader.verbs->peers->link.id, RDMA_CM_EVENT_TIMEWAIT_EXIT, 0);
		fake_event(pair.reader.verbs->peers->link.id, RDMA_CM_EVENT_MULTICAST_JOIN, 0);
		side_pump();
		assert_true(pair.member.up);
		fake_event(pair.reader.verbs->peers->link.id, cases[i].event, 0);
		side_pump();
		is_down(&pair, cases[i].error, cases[i].says);
		two_close(&pair);
	}
	/* The group has enough of it while a READ is under way. */
	two(&pair);
	attempt(&pair);
	fake_hold(1);
	side_pass(100000);
	side_disconnect(&pair.reader, &pair.member);
	side_pump();
	assert_null(pair.reader.verbs->peers);
	assert_int_equal(pair.member.downs, 0);
	fake_hold(0);
	two_close(&pair);
	/* The owner goes, in order or not: that is the same. */
	pair_open(&pair);
	side_close(&pair.owner);
	side_pump();
	assert_int_equal(pair.member.downs, 1);
	assert_non_null(strstr(pair.member.sentence, "died"));
	side_close(&pair.reader);
}

/* The same peer twice, and two readers: identifiers are not mixed up. */
static void test_several(void **state)
{
	struct member second = { 0 };
	struct member third = { 0 };
	struct side other;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	assert_ok(side_open(&other, "other", NULL));
	assert_ok(side_connect(&other, &pair.owner, &second));
	assert_ok(side_connect(&pair.reader, &other, &third));
	side_pump();
	assert_true(second.up);
	assert_true(third.up);
	assert_int_not_equal(third.peer.id, pair.member.peer.id);
	assert_string_equal(third.peer.identity.name, "other");
	assert_int_equal(pair.owner.verbs->inbound_count, 2);
	side_disconnect(&other, &second);
	side_pump();
	assert_int_equal(pair.owner.verbs->inbound_count, 1);
	assert_true(pair.member.up);
	/* Those who ask may have a region, or not: an observer is never asked for one. */
	side_disconnect(&pair.reader, &third);
	side_close(&other);
	pair_close(&pair);
}

/* Closed with everything under way. */
static void test_closed_in_the_midst(void **state)
{
	static const enum rdma_cm_event_type until[] = { RDMA_CM_EVENT_ADDR_RESOLVED,
							 RDMA_CM_EVENT_ROUTE_RESOLVED,
							 RDMA_CM_EVENT_CONNECT_REQUEST,
							 RDMA_CM_EVENT_ESTABLISHED };
	struct pair pair;

	(void)state;
	for (size_t i = 0; i < sizeof(until) / sizeof(until[0]); i++) {
		two(&pair);
		fake_instead(until[i], -1, 0);
		attempt(&pair);
		two_close(&pair);
		fake_check();
		fake_reset();
	}
	two(&pair);
	fake_hold(1);
	attempt(&pair);
	two_close(&pair);
}

/* READs of more headers come at once than the completion queue had room for at first. */
static void test_many_peers(void **state)
{
	static struct member members[HELD_MAX];
	struct pair pair;
	unsigned int up = 0;

	(void)state;
	two(&pair);
	memset(members, 0, sizeof(members));
	for (int i = 0; i < HELD_MAX; i++)
		assert_ok(side_connect(&pair.reader, &pair.owner, &members[i]));
	side_pump();
	for (int i = 0; i < HELD_MAX; i++)
		up += members[i].up == 1;
	assert_int_equal(up, HELD_MAX);
	side_pass(200000);
	for (int i = 0; i < HELD_MAX; i++)
		side_disconnect(&pair.reader, &members[i]);
	side_pump();
	assert_int_equal(pair.reader.verbs->devices->controls, 0);
	two_close(&pair);
}

/* Of a device that cannot take so many. */
static void test_too_many_peers(void **state)
{
	struct member members[10];
	struct pair pair;
	unsigned int up = 0;
	unsigned int down = 0;

	(void)state;
	memset(members, 0, sizeof(members));
	fake_limits(1024, 12);
	two(&pair);
	for (int i = 0; i < 10; i++)
		assert_ok(side_connect(&pair.reader, &pair.owner, &members[i]));
	side_pump();
	for (int i = 0; i < 10; i++) {
		up += members[i].up == 1;
		down += members[i].downs == 1;
		if (members[i].downs)
			assert_non_null(strstr(members[i].sentence, "too few"));
		if (members[i].up)
			side_disconnect(&pair.reader, &members[i]);
	}
	assert_int_equal(up, 6);
	assert_int_equal(down, 4);
	/* Those that went make room. */
	side_pump();
	succeeds(&pair);
	two_close(&pair);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, side_setup, side_teardown)
	const struct CMUnitTest tests[] = {
		test(test_connects),
		test(test_directory_is_renewed),
		test(test_renewed_from_the_start),
		test(test_network_says_no),
		test(test_calls_fail),
		test(test_fails_at_once),
		test(test_silence),
		test(test_odd_welcomes),
		test(test_odd_headers),
		test(test_other_group),
		test(test_failed_reads),
		test(test_wrong_key),
		test(test_ends),
		test(test_several),
		test(test_closed_in_the_midst),
		test(test_many_peers),
		test(test_too_many_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
