// SPDX-License-Identifier: BSD-3-Clause
#include "side.h"

#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 4096
#define LANDING_SIZE (WORDS * 8)
#define ROUNDS 12 /* of events: a connection takes five */
#define STEP_US 10000

static struct side *sides;

static void up(struct group *group, struct member *member, const struct transport_peer *peer)
{
	(void)group;
	assert_false(member->up);
	member->up = 1;
	member->ups++;
	member->peer = *peer;
	member->memory = (void *)(uintptr_t)peer->memory;
}

static void down(struct group *group, struct member *member, int error)
{
	assert_true(error < 0);
	assert_true(*estate_errormsg());
	member->downs++;
	member->error = error;
	snprintf(member->sentence, sizeof(member->sentence), "%s", estate_errormsg());
	side_disconnect(group->side, member);
}

static void trouble(struct group *group, struct member *member)
{
	(void)group;
	assert_true(*estate_errormsg());
	member->troubles++;
	snprintf(member->sentence, sizeof(member->sentence), "%s", estate_errormsg());
}

static void changed(struct group *group)
{
	group->changes++;
}

int side_open(struct side *side, const char *name, const char *listen)
{
	static const struct transport_events events = { up, down, trouble, changed };
	static unsigned int opened;
	struct transport_attr attr = {
		.identity = &side->identity, .events = &events, .group = &side->group, .listen = ""
	};
	int error;

	*side = (struct side){ .group.side = side, .identity.epoch = ++opened };
	memcpy(side->identity.uuid, &opened, sizeof(opened));
	strcpy(side->identity.group, "fake");
	if (name) {
		strcpy(side->identity.name, name);
		assert_ok(region_create(&side->region, &side->identity, SIDE_REGION));
		for (unsigned int i = 0; i < WORDS; i++)
			((uint64_t *)(side->region.memory + LAYOUT_TABLES))[i] = PAIR_WORD(i);
		attr.region = &side->region;
		attr.listen = listen ? listen : SIDE_LISTEN;
	}
	error = transport_open(&attr, &side->transport);
	if (error) {
		assert_null(side->transport);
		if (name)
			region_destroy(&side->region);
		return error;
	}
	side->verbs = (struct verbs *)side->transport;
	side->operations = side->transport->operations;
	side->next = sides;
	sides = side;
	return 0;
}

void side_close(struct side *side)
{
	for (struct side **link = &sides; *link; link = &(*link)->next) {
		if (*link == side) {
			*link = side->next;
			break;
		}
	}
	side->operations->close(side->transport);
	side->transport = NULL;
	if (side->region.memory)
		region_destroy(&side->region);
}

void side_pump(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		for (struct side *side = sides; side; side = side->next) {
			side->operations->handle(side->transport);
			side->operations->tick(side->transport, clock_monotonic_us());
		}
	}
}

void side_pass(uint64_t us)
{
	for (uint64_t passed = 0; passed < us; passed += STEP_US) {
		side_pump();
		fake_pass(STEP_US);
	}
	side_pump();
}

int side_connect(struct side *side, const struct side *to, struct member *member)
{
	return side->operations->connect(side->transport, to->operations->address(to->transport),
					 member);
}

void side_disconnect(struct side *side, struct member *member)
{
	side->operations->disconnect(side->transport, member);
	member->up = 0;
	free(member->memory);
	member->memory = NULL;
}

void pair_open(struct pair *pair)
{
	memset(pair, 0, sizeof(*pair));
	assert_ok(side_open(&pair->owner, "owner", NULL));
	assert_ok(side_open(&pair->reader, NULL, NULL));
	assert_ok(side_connect(&pair->reader, &pair->owner, &pair->member));
	side_pump();
	if (!pair->member.up)
		fail_msg("not connected: %s", pair->member.sentence);
}

void pair_close(struct pair *pair)
{
	side_disconnect(&pair->reader, &pair->member);
	side_close(&pair->reader);
	side_close(&pair->owner);
}

void pair_io(struct pair *pair, struct reading_io *io)
{
	const struct transport_operations *operations = pair->reader.operations;

	assert_ok(operations->io_open(pair->reader.transport, &io->base));
	io->io = (struct io *)io->base;
	assert_false(operations->io_settled(io->base));
	side_pump();
	assert_true(operations->io_settled(io->base));
	io->endpoint = operations->io_endpoint(io->base, pair->member.peer.id);
	assert_non_null(io->endpoint);
	io->lane = (struct lane *)io->endpoint;
	assert_ok(operations->landing(io->base, LANDING_SIZE, &io->landing));
}

void pair_io_close(struct pair *pair, struct reading_io *io)
{
	const struct transport_operations *operations = pair->reader.operations;
	int retired;

	operations->io_retire(io->base);
	side_pump();
	retired = operations->io_retired(io->base);
	/* There is an end to waiting for READs that never complete. */
	if (!retired) {
		side_pass(200000);
		retired = operations->io_retired(io->base);
	}
	assert_true(retired);
}

int pair_read(struct pair *pair, struct reading_io *io, unsigned int number)
{
	const struct transport_read read = { .landing = io->landing,
					     .to = io->landing->memory + (size_t)number * 8,
					     .offset = LAYOUT_TABLES + (size_t)number * 8,
					     .length = 8,
					     .tag = (void *)(uintptr_t)(number + 1) };

	return pair->reader.operations->read(io->base, io->endpoint, &read);
}

uint64_t pair_word(const struct reading_io *io, unsigned int number)
{
	uint64_t word;

	memcpy(&word, io->landing->memory + (size_t)number * 8, sizeof(word));
	return word;
}

int side_setup(void **state)
{
	(void)state;
	/* After a test that failed, too. */
	sides = NULL;
	fake_reset();
	return 0;
}

int side_teardown(void **state)
{
	(void)state;
	fake_check();
	return 0;
}
