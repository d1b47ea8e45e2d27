// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reading memory that may say anything: torn, left half written, damaged,
 * hostile. Each test runs twice: over memory that is mapped, and by READs.
 */
#include "check.h"
#include "clock.h"
#include "entry.h"
#include "fetch.h"
#include "group.h"
#include "remote.h"
#include "scratch.h"
#include "slot.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 200

struct fixture {
	char *folder;
	struct estate *es;
	struct estate_table *table;
	struct estate_table *large;
	struct remote_table remote;
	struct remote_table remote_large;
	unsigned char *saved; /* the region as it should be */
	int far; /* by READs */
	unsigned int reads; /* so many, for the last key */
};

static void make_key(uint64_t id, uint64_t key[2])
{
	key[0] = id;
	key[1] = id * 31;
}

/* As remote_get(), by READs of this process's own memory. @slot: where it was, or is. */
static int far_get(struct fixture *f, const struct remote_table *table, const struct entry_key *key,
		   uint32_t *slot, struct remote_value *value)
{
	const struct region *region = &f->es->region;
	const struct far_table far = { table->geometry, (uint64_t)(table->buckets - region->memory),
				       table->salt };
	unsigned char *landing = aligned_alloc(8, (fetch_room(table->geometry) + 7) / 8 * 8);
	struct fetch fetch;
	int result;

	f->reads = 0;
	fetch_begin(&fetch, &far, key, *slot, landing);
	do {
		assert_true(fetch.to >= landing);
		assert_true(fetch.to + fetch.length <= landing + fetch_room(table->geometry));
		/* As the transport does. */
		if (fetch.offset > region->size || fetch.length > region->size - fetch.offset) {
			result = -EBADMSG;
			break;
		}
		memcpy(fetch.to, region->memory + fetch.offset, fetch.length);
		f->reads++;
		result = fetch_step(&fetch);
	} while (result == FETCH_MORE);
	if (!result) {
		memcpy(value->data, fetch.value, fetch.value_length);
		value->length = fetch.value_length;
		value->stamp = fetch.stamp;
		*slot = fetch.slot;
	}
	free(landing);
	return result;
}

static int read_key(struct fixture *f, const struct remote_table *table,
		    const struct entry_key *key, struct remote_value *value)
{
	uint32_t slot = FETCH_NO_SLOT;

	if (f->far)
		return far_get(f, table, key, &slot, value);
	return remote_get(table, key, UINT64_MAX, value);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	unsigned char value[1000];

	f->folder = scratch_make();
	f->es = group_open(f->folder, "one", 2 << 20);
	f->table = group_counters(f->es, "t", 16, 2, KEYS);
	attr.key_size = 16;
	attr.value_count = sizeof(value);
	attr.capacity = KEYS;
	assert_ok(estate_table_open(f->es, "large", &attr, &f->large));
	for (uint64_t id = 0; id < KEYS; id++) {
		uint64_t key[2];
		uint64_t counters[2] = { id, ~id };

		make_key(id, key);
		assert_ok(estate_put(f->table, key, 16, counters, 16));
		/* Twice, so that both copies are there. */
		assert_ok(estate_put(f->table, key, 16, counters, 16));
		memset(value, (int)id, sizeof(value));
		assert_ok(estate_put(f->large, key, 16, value, id * 5 + 1));
	}
	f->remote = (struct remote_table){ &f->table->geometry, f->table->buckets, f->table->salt };
	f->remote_large =
		(struct remote_table){ &f->large->geometry, f->large->buckets, f->large->salt };
	f->saved = malloc(f->es->region.size);
	/* Without the header, in which the heart beats meanwhile. */
	memcpy(f->saved + LAYOUT_PAGE, f->es->region.memory + LAYOUT_PAGE,
	       f->es->region.size - LAYOUT_PAGE);
	*state = f;
	return 0;
}

static void restore(const struct fixture *f)
{
	memcpy(f->es->region.memory + LAYOUT_PAGE, f->saved + LAYOUT_PAGE,
	       f->es->region.size - LAYOUT_PAGE);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	restore(f);
	estate_close(f->es);
	scratch_remove(f->folder);
	free(f->saved);
	free(f);
	return 0;
}

static int setup_far(void **state)
{
	int error = setup(state);

	((struct fixture *)*state)->far = 1;
	return error;
}

static int get(struct fixture *f, uint64_t id, uint64_t value[2])
{
	struct remote_value out = { .data = value };
	struct entry_key ready;
	uint64_t key[2];

	make_key(id, key);
	table_key(f->table, key, 16, &ready);
	return read_key(f, &f->remote, &ready, &out);
}

/* The slot that a key is in, as its owner knows. */
static struct slot find(const struct fixture *f, uint64_t id)
{
	struct entry_key ready;
	struct slot slot;
	uint64_t key[2];

	make_key(id, key);
	table_key(f->table, key, 16, &ready);
	assert_true(slot_find(f->table, &ready, geometry_home(&f->table->geometry, ready.hash),
			      &slot, 2));
	return slot;
}

static void test_half_written(void **state)
{
	struct fixture *f = *state;
	uint64_t value[2] = { 0 };

	/* Its owner died while writing the older copy: the newer one counts, for all keys. */
	for (uint64_t id = 0; id < KEYS; id++) {
		struct slot slot = find(f, id);

		slot_older(f->table, &slot)->stamp = UINT64_MAX;
	}
	for (uint64_t id = 0; id < KEYS; id++) {
		assert_int_equal(get(f, id, value), 0);
		assert_int_equal(value[0], id);
		assert_int_equal(value[1], ~id);
	}
	/* And who is absent is proved absent, beside them. */
	for (uint64_t id = KEYS; id < 2 * KEYS; id++)
		assert_int_equal(get(f, id, value), -ENOENT);
}

static void test_both_damaged(void **state)
{
	struct fixture *f = *state;
	struct slot slot = find(f, 7);
	uint64_t value[2];

	slot_current(f->table, &slot)->stamp ^= 1;
	slot_older(f->table, &slot)->stamp ^= 1;
	assert_int_equal(get(f, 7, value), -EBADMSG);
	/* Nobody else is harmed. */
	assert_int_equal(get(f, 8, value), 0);
	assert_int_equal(value[0], 8);
}

static void test_deadline(void **state)
{
	struct fixture *f = *state;
	struct slot slot = find(f, 7);
	struct remote_value out;
	struct entry_key ready;
	uint64_t value[2];
	uint64_t key[2];

	slot_current(f->table, &slot)->stamp ^= 1;
	slot_older(f->table, &slot)->stamp ^= 1;
	make_key(7, key);
	table_key(f->table, key, 16, &ready);
	out.data = value;
	assert_int_equal(remote_get(&f->remote, &ready, clock_monotonic_us(), &out), -ETIMEDOUT);
}

/* A copy that is whole, but from another place or another table, is not one. */
static void test_out_of_place(void **state)
{
	struct fixture *f = *state;
	struct slot a = find(f, 3);
	struct slot b = find(f, 4);
	uint64_t value[2];
	size_t size = 2 * f->table->geometry.copy_size;

	memcpy(a.copies, b.copies, size);
	assert_int_equal(get(f, 3, value), -EBADMSG);
	restore(f);
	f->remote.salt ^= 1;
	assert_int_equal(get(f, 3, value), -EBADMSG);
}

/* A chain that goes round in a circle, and one that leads out of the table. */
static void test_bad_chains(void **state)
{
	struct fixture *f = *state;
	struct entry_key ready;
	uint64_t value[2];
	uint64_t key[2];
	uint64_t home;
	struct layout_bucket *bucket;
	uint32_t first;

	/* An absent key whose home is that of a key that is there. */
	for (uint64_t id = KEYS;; id++) {
		make_key(id, key);
		table_key(f->table, key, 16, &ready);
		home = geometry_home(&f->table->geometry, ready.hash);
		bucket = table_bucket(f->table, home);
		first = (uint32_t)home * LAYOUT_SLOTS;
		if (get(f, id, value) == -ENOENT && tag_load(f->table->tags + first) &&
		    geometry_home(&f->table->geometry,
				  entry_hash(&f->table->geometry,
					     table_copy(f->table, first, 0) + 1, 16)) == home)
			break;
	}
	bucket->head = link_make(f->table->salt, link_place_head(home), first);
	bucket->next[0] = link_make(f->table->salt, link_place_next(first), first);
	{
		struct remote_value out = { .data = value };

		assert_int_equal(read_key(f, &f->remote, &ready, &out), -EBADMSG);
		bucket->head = link_make(f->table->salt, link_place_head(home),
					 (uint32_t)f->table->geometry.slots);
		assert_int_equal(read_key(f, &f->remote, &ready, &out), -EBADMSG);
		bucket->head = 12345;
		assert_int_equal(read_key(f, &f->remote, &ready, &out), -EBADMSG);
		bucket->head = LINK_NONE;
		assert_int_equal(read_key(f, &f->remote, &ready, &out), -ENOENT);
	}
}

/* Descriptors that verify and yet lie. */
static void test_hostile_extents(void **state)
{
	struct fixture *f = *state;
	const struct layout_extent lies[] = {
		{ .block = UINT64_MAX, .length = 10 },
		{ .block = f->large->geometry.blocks, .length = 10 },
		{ .block = 0, .length = UINT32_MAX },
		{ .block = 0, .length = 1001 },
		{ .block = 0, .length = 1000, .crc = 1 },
	};
	struct entry_key ready;
	unsigned char value[1000];
	struct remote_value out = { .data = value };
	struct slot slot;
	uint64_t key[2];

	make_key(5, key);
	table_key(f->large, key, 16, &ready);
	assert_int_equal(read_key(f, &f->remote_large, &ready, &out), 0);
	assert_int_equal(out.length, 26);
	assert_true(slot_find(f->large, &ready, geometry_home(&f->large->geometry, ready.hash),
			      &slot, 2));
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint64_t words[2];

		memcpy(words, &lies[i], sizeof(words));
		slot = slot_at(f->large, slot.number);
		slot_publish(f->large, &slot, ready.words, ready.crc,
			     META(16, sizeof(words), META_LIVE), words, 2);
		assert_int_equal(read_key(f, &f->remote_large, &ready, &out), -EBADMSG);
	}
	slot = slot_at(f->large, slot.number);
	slot_publish(f->large, &slot, ready.words, ready.crc, META(16, 3, META_LIVE),
		     (uint64_t[]){ 0 }, 2);
	assert_int_equal(read_key(f, &f->remote_large, &ready, &out), -EBADMSG);
}

/* A value of a numeric table must have its whole length. */
static void test_odd_length(void **state)
{
	struct fixture *f = *state;
	struct slot slot = find(f, 9);
	struct entry_key ready;
	uint64_t value[2];
	uint64_t key[2];

	make_key(9, key);
	table_key(f->table, key, 16, &ready);
	slot_publish(f->table, &slot, ready.words, ready.crc, META(16, 8, META_LIVE),
		     (uint64_t[]){ 1 }, 2);
	assert_int_equal(get(f, 9, value), -EBADMSG);
}

/* Random bytes all over, more and more of them: an answer is right, or there is none. */
static void test_noise(void **state)
{
	struct fixture *f = *state;
	unsigned int seed = (unsigned int)clock_physical();
	unsigned int right = 0;
	unsigned int refused = 0;

	print_message("seed %u\n", seed);
	for (unsigned int round = 0; round < 300; round++) {
		size_t first = f->table->buckets - f->es->region.memory;
		size_t length = f->es->region.used - first;

		restore(f);
		for (unsigned int i = 0; i < 1 + round * round / 20; i++)
			f->es->region.memory[first + (size_t)rand_r(&seed) % length] =
				(unsigned char)rand_r(&seed);
		for (uint64_t id = 0; id < 20; id++) {
			uint64_t value[2];
			struct remote_source source = remote_source(&f->remote_large);
			struct entry_copy found[8];
			int error = get(f, id, value);

			if (!error) {
				assert_int_equal(value[0], id);
				assert_int_equal(value[1], ~id);
				right++;
			} else {
				assert_int_equal(error, -EBADMSG);
				refused++;
			}
			error = remote_home(&source, id, UINT64_MAX, found, 8);
			assert_true(error >= 0 || error == -EBADMSG);
		}
	}
	print_message("%u right, %u refused\n", right, refused);
	assert_true(right > 0);
	assert_true(refused > 0);
}

/* Keys by home: all of them, each once, and those of a home longer than the room are counted. */
static void test_homes(void **state)
{
	struct fixture *f = *state;
	unsigned char seen[KEYS] = { 0 };
	unsigned int most = 0;

	for (uint64_t home = 0; home < f->table->geometry.homes; home++) {
		struct remote_source source = remote_source(&f->remote);
		struct entry_copy found[32];
		struct entry_copy few[1];
		int count = remote_home(&source, home, UINT64_MAX, found, 32);

		assert_in_range(count, 0, 32);
		assert_int_equal(remote_home(&source, home, UINT64_MAX, few, 1), count);
		for (int i = 0; i < count; i++) {
			assert_int_equal(META_KEY_LENGTH(found[i].meta), 16);
			assert_in_range(found[i].key[0], 0, KEYS - 1);
			assert_int_equal(seen[found[i].key[0]]++, 0);
		}
		most = (unsigned int)count > most ? (unsigned int)count : most;
	}
	for (unsigned int id = 0; id < KEYS; id++)
		assert_int_equal(seen[id], 1);
	assert_true(most > LAYOUT_SLOTS);
}

/* Each key that did not overflow is one READ, of two buckets or of its slot. */
static void test_reads(void **state)
{
	struct fixture *f = *state;
	unsigned int more = 0;

	for (uint64_t id = 0; id < KEYS; id++) {
		uint32_t slot = FETCH_NO_SLOT;
		struct remote_value out;
		struct entry_key ready;
		unsigned char large[1000];
		uint64_t value[2];
		uint64_t key[2];

		make_key(id, key);
		table_key(f->table, key, 16, &ready);
		out.data = value;
		assert_int_equal(far_get(f, &f->remote, &ready, &slot, &out), 0);
		assert_int_equal(value[1], ~id);
		more += f->reads > 1;
		assert_int_equal(slot, find(f, id).number);
		assert_int_equal(far_get(f, &f->remote, &ready, &slot, &out), 0);
		assert_int_equal(value[1], ~id);
		assert_int_equal(f->reads, 1);
		/* A value in an extent is one more. */
		table_key(f->large, key, 16, &ready);
		slot = FETCH_NO_SLOT;
		out.data = large;
		assert_int_equal(far_get(f, &f->remote_large, &ready, &slot, &out), 0);
		assert_int_equal(out.length, id * 5 + 1);
		assert_int_equal(large[id * 5], id & 0xff);
		assert_int_equal(far_get(f, &f->remote_large, &ready, &slot, &out), 0);
		assert_int_equal(f->reads, 2);
	}
	assert_in_range(more, 0, KEYS / 20);
}

/* Deleted, and in another slot by now: where it was seen last says so, and is not believed. */
static void test_stale_position(void **state)
{
	struct fixture *f = *state;
	uint32_t slot = find(f, 11).number;
	uint32_t elsewhere = find(f, 12).number;
	struct remote_value out;
	struct entry_key ready;
	uint64_t value[2];
	uint64_t key[2];

	make_key(11, key);
	table_key(f->table, key, 16, &ready);
	out.data = value;
	assert_int_equal(far_get(f, &f->remote, &ready, &elsewhere, &out), 0);
	assert_int_equal(value[0], 11);
	assert_int_equal(elsewhere, slot);
	assert_int_equal(f->reads, 2);
	assert_ok(estate_delete(f->table, key, 16));
	assert_int_equal(far_get(f, &f->remote, &ready, &slot, &out), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_half_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_out_of_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_chains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_extents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_length, setup, teardown),
		cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
		cmocka_unit_test_setup_teardown(test_homes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_written, setup_far, teardown),
		cmocka_unit_test_setup_teardown(test_both_damaged, setup_far, teardown),
		cmocka_unit_test_setup_teardown(test_out_of_place, setup_far, teardown),
		cmocka_unit_test_setup_teardown(test_bad_chains, setup_far, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_extents, setup_far, teardown),
		cmocka_unit_test_setup_teardown(test_odd_length, setup_far, teardown),
		cmocka_unit_test_setup_teardown(test_noise, setup_far, teardown),
		cmocka_unit_test_setup_teardown(test_reads, setup_far, teardown),
		cmocka_unit_test_setup_teardown(test_stale_position, setup_far, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
