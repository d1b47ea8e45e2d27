// SPDX-License-Identifier: BSD-3-Clause
/*
 * All code that parses a peer's bytes: header, directory, buckets, chains,
 * extents, and what the header says of a hand-over. The input is a list of changes to a good region; some of them make
 * checksums right again, so that what is behind the checksums is reached too.
 */
#include "clock.h"
#include "crc.h"
#include "entry.h"
#include "fetch.h"
#include "handover.h"
#include "region.h"
#include "remote.h"
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REGION_SIZE (256 << 10)
#define KEYS 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned char *good; /* what the input changes a copy of */
static unsigned char *memory;

struct input {
	const uint8_t *data;
	size_t size;
};

static uint32_t take(struct input *input, size_t bytes)
{
	uint32_t value = 0;

	for (size_t i = 0; i < bytes && input->size; i++, input->size--)
		value |= (uint32_t)*input->data++ << (8 * i);
	return value;
}

static void add_table(struct region *region, const struct region_identity *identity,
		      const char *name, size_t value_size, size_t capacity)
{
	static struct clock clock;
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table = aligned_alloc(64, sizeof(*table));
	struct region_table place;
	struct geometry geometry;
	unsigned char value[2000];
	uint64_t *entries;

	memset(table, 0, sizeof(*table));
	attr.key_size = 12;
	attr.value_count = value_size;
	attr.capacity = capacity;
	if (geometry_init(&geometry, &attr) ||
	    region_prepare_table(region, name, &geometry, region_salt(identity, name), &place,
				 &entries) ||
	    table_init(table, &geometry, place.salt, region->memory + place.offset, &clock,
		       entries))
		abort();
	for (uint32_t id = 0; id < KEYS; id++) {
		memset(value, (int)id, value_size);
		for (int times = 0; times < 2; times++)
			if (estate_put(table, &id, sizeof(id), value, id * value_size / KEYS))
				abort();
	}
	region_publish_table(region, &place);
	table_destroy(table);
	free(table);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct region_identity identity = { .group = "fuzz", .name = "peer", .epoch = 7 };
	struct region region;

	(void)argc;
	(void)argv;
	if (region_create(&region, &identity, REGION_SIZE))
		abort();
	add_table(&region, &identity, "inline", 30, KEYS);
	add_table(&region, &identity, "large", 1000, KEYS);
	good = malloc(REGION_SIZE);
	memory = malloc(REGION_SIZE);
	memcpy(good, region.memory, REGION_SIZE);
	region_destroy(&region);
	return 0;
}

static struct layout_table *directory(uint32_t index)
{
	return (struct layout_table *)(memory + LAYOUT_DIRECTORY) + index % ESTATE_TABLES_MAX;
}

/* A copy of a slot whose checksum is to be right for what is in it. */
static void mend_copy(const struct remote_table *table, uint32_t slot, unsigned int which)
{
	unsigned char *bucket = (unsigned char *)(uintptr_t)table->buckets +
				geometry_bucket_offset(table->geometry, slot / LAYOUT_SLOTS);
	struct layout_copy *copy =
		(struct layout_copy *)(bucket + geometry_copy_offset(table->geometry,
								     slot % LAYOUT_SLOTS, which));
	uint32_t crc = table->salt;
	const uint64_t *words = entry_words_const(copy);
	uint32_t key_words = table->geometry->key_room / 8;
	uint32_t value_words = (META_INLINE_LENGTH(copy->meta) + 7) / 8;

	if (value_words > table->geometry->value_room / 8)
		return;
	for (uint32_t i = 0; i < key_words; i++)
		crc = crc_word(crc, words[i]);
	crc = entry_crc_header(crc, slot, copy->meta, copy->stamp);
	for (uint32_t i = 0; i < value_words; i++)
		crc = crc_word(crc, words[key_words + i]);
	copy->crc = crc;
}

static void mend_links(const struct remote_table *table, uint32_t slot, uint32_t to)
{
	struct layout_bucket *bucket =
		(struct layout_bucket *)((unsigned char *)(uintptr_t)table->buckets +
					 geometry_bucket_offset(table->geometry,
								slot / LAYOUT_SLOTS));

	if (to % 2)
		bucket->head = link_make(table->salt, link_place_head(slot / LAYOUT_SLOTS), to / 2);
	else
		bucket->next[slot % LAYOUT_SLOTS] =
			link_make(table->salt, link_place_next(slot), to / 2);
}

/* The table @number of the directory as a reader has it; 0 if it is none. */
static int open_table(unsigned int number, struct region_table *found, struct remote_table *table)
{
	unsigned int index = number;

	if (region_next_table(memory, REGION_SIZE, &index, found))
		return 0;
	*table = (struct remote_table){ &found->geometry, memory + found->offset, found->salt };
	return 1;
}

static void change(struct input *input)
{
	struct region_table found;
	struct remote_table table;
	uint32_t what = take(input, 1);
	uint32_t where = take(input, 3);
	uint32_t number = what / 8 % 2;

	switch (what % 8) {
	case 0: { /* header and directory */
		struct layout_header *header = (struct layout_header *)memory;
		size_t start = offsetof(struct layout_header, region_size);

		header->crc = crc_bytes(~0u, memory + start,
					offsetof(struct layout_header, state) - start);
		directory(number)->crc =
			crc_bytes(~0u, directory(number), offsetof(struct layout_table, crc));
		break;
	}
	case 1:
		if (open_table(number, &found, &table))
			mend_copy(&table, where / 2 % (uint32_t)found.geometry.slots, where % 2);
		break;
	case 2:
		if (open_table(number, &found, &table))
			mend_links(&table, where % (uint32_t)found.geometry.slots, take(input, 2));
		break;
	case 3: /* in the header or the directory */
		memory[where % (LAYOUT_DIRECTORY + 512)] = (uint8_t)take(input, 1);
		break;
	case 4: { /* a word */
		uint32_t word = take(input, 4);

		memcpy(memory + where % (REGION_SIZE - 4), &word, 4);
		break;
	}
	case 5: { /* it is being adopted, by itself, or so it says */
		struct layout_header *header = (struct layout_header *)memory;
		struct layout_adoption *made =
			(struct layout_adoption *)(memory + LAYOUT_ADOPTIONS) +
			where % LAYOUT_ADOPTIONS_MAX;

		header->state = LAYOUT_SEALED;
		memcpy(header->adopter, header->uuid, 16);
		memcpy(made->leaver, header->uuid, 16);
		made->epoch = header->epoch;
		made->state = where / 8 % 8;
		made->cursor[take(input, 1) % ESTATE_TABLES_MAX] = take(input, 4);
		break;
	}
	default:
		memory[where % REGION_SIZE] = (uint8_t)take(input, 1);
		break;
	}
}

/* The same by READs, from where the key may have been seen before. */
static void fetch_key(const struct remote_table *table, const struct entry_key *key, uint32_t slot)
{
	static _Alignas(16) unsigned char landing[4 << 20];
	const struct far_table far = { table->geometry, (uint64_t)(table->buckets - memory),
				       table->salt };
	struct fetch fetch;
	int result = FETCH_MORE;

	if (fetch_room(table->geometry) > sizeof(landing))
		return;
	fetch_begin(&fetch, &far, key, slot, landing);
	/* Long chains and endless doubts are for deadlines. */
	for (unsigned int reads = 0; result == FETCH_MORE && reads < 50; reads++) {
		if (fetch.to < landing ||
		    fetch.to + fetch.length > landing + fetch_room(table->geometry))
			abort();
		if (fetch.offset > REGION_SIZE || fetch.length > REGION_SIZE - fetch.offset)
			return;
		memcpy(fetch.to, memory + fetch.offset, fetch.length);
		result = fetch_step(&fetch);
	}
	if (!result && fetch.value_length > table->geometry->value_size)
		abort();
}

static void read_table(const struct remote_table *table)
{
	static _Alignas(16) unsigned char value[2 << 20];
	struct remote_source source = remote_source(table);
	struct entry_copy found[16];
	struct remote_value out = { .data = value };

	/* Nothing that big is allocated for a table; a geometry from a peer is compared first. */
	if (table->geometry->value_size > sizeof(value))
		return;
	for (uint32_t id = 0; id < KEYS + 5; id++) {
		struct entry_key ready;

		if (sizeof(id) > table->geometry->key_size)
			return;
		entry_key_init(&ready, table->geometry, table->salt, &id, sizeof(id),
			       table->geometry->key_room / 8);
		if (!remote_get(table, &ready, 0, &out) && out.length > table->geometry->value_size)
			abort();
		fetch_key(table, &ready, id % 3 ? FETCH_NO_SLOT : id * 2);
	}
	for (uint64_t home = 0; home < table->geometry->homes && home < 20; home++)
		remote_home(&source, home, 0, found, 16);
}

/*
 * The first page, of two far instances that say this of each other: what a reader makes of it
 * while somebody may hand over.
 */
static void look_at_pages(const struct region_identity *identity)
{
	static _Alignas(
		16) unsigned char room[sizeof(struct roster) + 2 * sizeof(struct roster_entry)];
	struct roster *roster = (struct roster *)room;
	static struct lineup lineup;
	static struct view_place places[2];
	static struct estate es;
	static struct estate_table table = { .es = &es, .name = "inline" };
	struct peer peer = { .far = 1, .memory = memory, .size = REGION_SIZE };
	struct handover_page pages[2] = { { memory, 0 }, { memory, 0 } };
	struct handover last[2];
	struct handover now[2];

	lineup.roster = roster;
	lineup.places[0] = places;
	roster->count = 2;
	for (int i = 0; i < 2; i++) {
		roster->entries[i] =
			(struct roster_entry){ .peer = &peer, .epoch = identity->epoch };
		memcpy(roster->entries[i].uuid, identity->uuid, 16);
	}
	for (int state = 0; state < 3; state++) {
		places[0] = (struct view_place){ .state = state == 2 ? -EAGAIN : 0,
						 .number = state ? ESTATE_TABLES_MAX - 1 : 0 };
		places[1] = places[0];
		handover_look(&lineup, &table, pages, NULL, last);
		handover_look(&lineup, &table, pages, last, now);
		for (uint64_t home = 0; home < 70; home++) {
			enum handover_finding found = handover_judge(&now[0], home);

			if (now[0].state == LAYOUT_JOINED && found != HANDOVER_COUNTS &&
			    found != HANDOVER_MISSING)
				abort();
			/* What has just been said is what it is, if nothing is moved. */
			if (handover_sure(&lineup, now, home) !=
			    handover_steady(&lineup, now, now, home))
				abort();
		}
		handover_none(&lineup, now);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct region_identity identity;

	memcpy(memory, good, REGION_SIZE);
	while (input.size)
		change(&input);
	if (region_check(memory, REGION_SIZE, &identity))
		return 0;
	look_at_pages(&identity);
	for (unsigned int number = 0; number < region_tables(memory) && number < 4; number++) {
		struct region_table found;
		struct remote_table table;

		if (open_table(number, &found, &table))
			read_table(&table);
	}
	return 0;
}
