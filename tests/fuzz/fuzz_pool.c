// SPDX-License-Identifier: BSD-3-Clause
/*
 * All code that parses a pool: the survey of one that may be damaged or cut off,
 * which copies what verifies, and an instance's recovery. The input is a list of
 * changes to a good pool; some of them make checksums right again, so that what is
 * behind the checksums is reached too. Its first two bytes say where it is cut off.
 */
#include "clock.h"
#include "crc.h"
#include "entry.h"
#include "format.h"
#include "image.h"
#include "mirror.h"
#include "recovery.h"
#include "stored.h"
#include "survey.h"

#include <stdlib.h>
#include <string.h>

#define POOL_SIZE (192 << 10)
#define KEYS 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned char *good; /* what the input changes a copy of */
static unsigned char *memory;
static unsigned char *copy; /* of a table */
static unsigned char *region; /* where one is recovered */

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

/* "Persistent" memory: no system calls, and nothing is kept. */
static struct medium medium_of(unsigned char *bytes)
{
	return (struct medium){ .memory = bytes, .size = POOL_SIZE, .real = 1 };
}

static struct estate_table *make_table(const char *name, const struct region_table *place,
				       unsigned char *buckets)
{
	static struct clock clock;
	static uint64_t entries;
	struct estate_table *table = aligned_alloc(64, sizeof(*table));

	memset(table, 0, sizeof(*table));
	strcpy(table->name, name);
	if (table_init(table, &place->geometry, place->salt, buckets, &clock, &entries))
		abort();
	return table;
}

static void free_table(struct estate_table *table)
{
	table_destroy(table);
	free(table);
}

/* A table of the good pool, by the way that an instance fills it. */
static uint64_t add_table(struct medium *medium, unsigned int number, const char *name,
			  size_t value_size, uint64_t offset)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct region_table place = { .offset = offset, .salt = 77 + number };
	struct estate_table *table;
	struct mirror mirror;
	unsigned char value[1000];

	attr.key_size = 12;
	attr.value_count = value_size;
	attr.capacity = KEYS;
	attr.durability = ESTATE_DURABILITY_BEFORE_RETURN;
	strcpy(place.name, name);
	memset(region, 0, POOL_SIZE);
	if (geometry_init(&place.geometry, &attr) || image_describe(medium, number, &place))
		abort();
	table = make_table(name, &place, region);
	if (mirror_init(&mirror, table, medium, medium->memory + offset) || mirror_attach(&mirror))
		abort();
	table_choose_writes(table, 1);
	for (uint32_t id = 0; id < KEYS; id++) {
		memset(value, (int)id, value_size);
		for (int times = 0; times < 2; times++)
			if (estate_put(table, &id, sizeof(id), value, id * value_size / KEYS))
				abort();
	}
	mirror_destroy(&mirror);
	free_table(table);
	return offset + format_length(&place.geometry);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct format_header header = { .size = POOL_SIZE, .group = "fuzz", .name = "one" };
	struct format_life life = { .sequence = 1, .epoch = 7, .state = FORMAT_OPEN };
	struct medium medium;
	uint64_t end;

	(void)argc;
	(void)argv;
	good = calloc(1, POOL_SIZE);
	memory = malloc(POOL_SIZE);
	copy = malloc(POOL_SIZE);
	/* As a region is, which is mapped. */
	region = aligned_alloc(4096, POOL_SIZE);
	medium = medium_of(good);
	end = add_table(&medium, 0, "inline", 30, LAYOUT_TABLES);
	end = add_table(&medium, 1, "large", 1000, end);
	if (end > POOL_SIZE || image_write_life(&medium, 0, &life) ||
	    image_write_header(&medium, &header))
		abort();
	return 0;
}

static struct layout_table *directory(uint32_t index)
{
	return (struct layout_table *)(memory + LAYOUT_DIRECTORY) + index % ESTATE_TABLES_MAX;
}

/* A copy of a slot, or a value, whose checksum is to be right for what is in it. */
static void mend_copy(const struct region_table *table, uint32_t slot, unsigned int which)
{
	const struct geometry *geometry = &table->geometry;
	uint64_t offset = table->offset + format_copy_offset(geometry, slot, which);
	struct layout_copy *at = (struct layout_copy *)(memory + offset);
	uint32_t key_words = geometry->key_room / 8;
	uint32_t value_words = (META_INLINE_LENGTH(at->meta) + 7) / 8;
	const uint64_t *words = entry_words_const(at);
	uint64_t crc = table->salt;

	if (value_words > geometry->value_room / 8)
		return;
	for (uint32_t i = 0; i < key_words; i++)
		crc = crc_word(crc, words[i]);
	crc = entry_crc_header(crc, slot, at->meta, at->stamp);
	for (uint32_t i = 0; i < value_words; i++)
		crc = crc_word(crc, words[key_words + i]);
	at->crc = (uint32_t)crc;
}

static void mend_head(void)
{
	struct format_header *header = (struct format_header *)memory;
	struct format_life *life = (struct format_life *)(memory + FORMAT_LIFE);

	format_seal(header);
	format_seal_life(life);
}

static void change(struct input *input)
{
	struct region_table table;
	uint32_t what = take(input, 1);
	uint32_t where = take(input, 3);
	uint32_t number = what / 8 % 4;

	switch (what % 8) {
	case 0:
		mend_head();
		break;
	case 1:
		directory(number)->crc =
			crc_bytes(~0u, directory(number), offsetof(struct layout_table, crc));
		break;
	case 2:
		if (!region_parse_table(directory(number), number, POOL_SIZE, &table))
			mend_copy(&table, where / 2 % (uint32_t)table.geometry.slots, where % 2);
		break;
	case 3: /* in the header or the directory */
		memory[where % (LAYOUT_DIRECTORY + 1024)] = (uint8_t)take(input, 1);
		break;
	case 4: { /* a word */
		uint32_t word = take(input, 4);

		memcpy(memory + where % (POOL_SIZE - 4), &word, 4);
		break;
	}
	case 5: /* one entry's bytes in another one's place */
		memmove(memory + LAYOUT_TABLES + where % (POOL_SIZE - LAYOUT_TABLES - 256) / 8 * 8,
			memory + LAYOUT_TABLES +
				take(input, 3) % (POOL_SIZE - LAYOUT_TABLES - 256) / 8 * 8,
			what / 8 * 8);
		break;
	default:
		memory[where % POOL_SIZE] = (uint8_t)take(input, 1);
		break;
	}
}

/* What was copied verifies, all of it, and again. */
static void check_copy(const struct survey *survey, const struct region_table *table,
		       const struct estate_pool_table *was)
{
	struct survey again = { .memory = copy, .size = POOL_SIZE };
	struct estate_pool_table is;

	(void)survey;
	again.tables[0] = *table;
	again.tables[0].offset = 0;
	if (survey_table(&again, 0, NULL, NULL, &is) || is.live != was->live ||
	    is.deleted != was->deleted || is.damaged)
		abort();
}

static void try_table(struct survey *survey, unsigned int index)
{
	const struct region_table *table = &survey->tables[index];
	struct medium medium = medium_of(copy);
	struct persist_batch batch = persist_begin(&medium);
	struct estate_pool_table report;

	if (survey_table(survey, index, NULL, NULL, &report))
		abort();
	if (table->geometry.length > POOL_SIZE)
		return;
	memset(copy, 0, POOL_SIZE);
	if (survey_table(survey, index, &batch, copy, &report))
		abort();
	check_copy(survey, table, &report);
}

/* As an instance does it: only of a pool that is whole as far as its directory says. */
static void try_recovery(unsigned int number)
{
	struct estate_recovery report = { 0 };
	struct medium medium = medium_of(memory);
	struct region_table place;
	struct estate_table *table;
	struct mirror mirror;

	if (format_table(memory, POOL_SIZE, number, "fuzz", &place))
		return;
	memset(region, 0, POOL_SIZE);
	table = make_table("fuzz", &place, region);
	if (mirror_init(&mirror, table, &medium, memory + place.offset))
		abort();
	/* Of the one table as after a crash, of the other as after an end in order. */
	if (!recovery_run(&mirror, place.salt % 2 == 0, &report) &&
	    report.entries > place.geometry.capacity)
		abort();
	mirror_destroy(&mirror);
	free_table(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct survey survey;
	struct input input = { data, size };
	uint32_t cut = take(&input, 2);
	size_t left = cut % 4 ? POOL_SIZE : (size_t)cut * POOL_SIZE / 65536;
	unsigned char *exact;

	memcpy(memory, good, POOL_SIZE);
	while (input.size)
		change(&input);
	/* In memory that ends where the pool does. */
	exact = malloc(left ? left : 1);
	memcpy(exact, memory, left);
	if (!survey_begin(&survey, exact, left, "fuzz", cut % 8 == 1))
		for (unsigned int i = 0; i < survey.info.tables && i < 4; i++)
			try_table(&survey, i);
	free(exact);
	if (!format_check(memory, POOL_SIZE, "fuzz"))
		for (unsigned int i = 0; i < 4; i++)
			try_recovery(i);
	return 0;
}
