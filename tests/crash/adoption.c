// SPDX-License-Identifier: BSD-3-Clause
#include "adoption.h"

#include "check.h"
#include "group.h"
#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL ((size_t)LAYOUT_TABLES + 12 * LAYOUT_PAGE)

#define INNER_EVERY 97 /* of so many images in the midst, one is looked at for a second crash */
#define INNER_LIMIT 6 /* images of a point of that */

/* Keys of the table that is flushed now and then, of which the pool does not have what is true now. */
#define PASSERS 4

enum {
	OURS = 1,
	THEIRS = 2
};

/* In the order in which they are taken: by name. */
static const struct {
	const char *name;
	enum estate_merge merge;
	enum estate_durability durability;
} tables[ADOPTION_TABLES] = {
	{ "flushed", ESTATE_MERGE_SUM, ESTATE_DURABILITY_ON_LEAVE },
	{ "large", ESTATE_MERGE_LATEST, ESTATE_DURABILITY_BEFORE_RETURN },
	{ "sums", ESTATE_MERGE_SUM, ESTATE_DURABILITY_BEFORE_RETURN },
};

static struct estate_table_attr attr_of(unsigned int table, uint64_t seed)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	int sum = tables[table].merge == ESTATE_MERGE_SUM;

	attr.key_size = 8;
	attr.value_type = sum ? ESTATE_U64 : ESTATE_OPAQUE;
	attr.value_count = sum ? 2 : ADOPTION_VALUE;
	attr.merge = tables[table].merge;
	/* So few homes that each has several of the leaver's keys, some of them in chains. */
	attr.capacity = ADOPTION_KEYS / 3 * 4 + (table == 0 ? PASSERS : 0);
	attr.seed = seed;
	attr.durability = tables[table].durability;
	/* The thread that flushes is not what is looked at here. */
	attr.flush_ms = 3600 * 1000;
	return attr;
}

/* Who has a key before. */
static unsigned int who_has(unsigned int key)
{
	static const unsigned int who[] = { OURS | THEIRS, THEIRS, OURS };

	return who[key % 3];
}

static int ours_is_later(unsigned int key)
{
	return key % 2;
}

struct value {
	size_t length; /* 0: there is none */
	unsigned char bytes[ADOPTION_VALUE];
};

/* What a key has of those in @who. @more: the program added that to it. */
static struct value value_of(unsigned int table, unsigned int key, unsigned int who, uint64_t more)
{
	struct value value = { 0 };
	uint64_t words[2] = { more, more };

	if (tables[table].merge != ESTATE_MERGE_SUM) {
		int ours = who == OURS || (who == (OURS | THEIRS) && ours_is_later(key));

		value.length = who ? ADOPTION_VALUE - key : 0;
		memset(value.bytes, (int)(2 * key + 1 + (unsigned int)ours), value.length);
		return value;
	}
	words[0] += (who & OURS ? key + 1 : 0) + (who & THEIRS ? 1000 * (key + 1) : 0);
	words[1] += (who & OURS ? 1 : 0) + (who & THEIRS ? 1 << 20 : 0);
	value.length = who || more ? sizeof(words) : 0;
	memcpy(value.bytes, words, value.length);
	return value;
}

static void put(struct estate_table *table, unsigned int number, uint64_t key, unsigned int who)
{
	struct value value = value_of(number, (unsigned int)key, who, 0);

	assert_ok(estate_put(table, &key, sizeof(key), value.bytes, value.length));
}

static void make_leaver(struct adoption *adoption, uint64_t seed)
{
	struct estate *es;

	adoption->folder = scratch_make();
	es = group_open(adoption->folder, "leaver", (size_t)4 << 20);
	/* Not in the order of their names. */
	for (unsigned int i = ADOPTION_TABLES; i--;) {
		struct estate_table_attr attr = attr_of(i, seed);
		struct estate_table *table;

		/* It needs no pool for that. */
		attr.durability = ESTATE_DURABILITY_NONE;
		attr.flush_ms = 0;
		assert_ok(estate_table_open(es, tables[i].name, &attr, &table));
		for (unsigned int key = 0; key < ADOPTION_KEYS; key++)
			if (who_has(key) & THEIRS)
				put(table, i, key, THEIRS);
	}
	adoption->leaver = es;
	adoption->peer = (struct peer){ .references = 1,
					.memory = es->region.memory,
					.size = es->region.size };
	adoption->entry =
		(struct roster_entry){ .peer = &adoption->peer, .epoch = es->identity.epoch };
	strcpy(adoption->entry.name, "leaver");
	memcpy(adoption->entry.uuid, es->identity.uuid, sizeof(adoption->entry.uuid));
}

static struct estate_table *find(const struct estate *es, unsigned int number)
{
	for (unsigned int i = 0; i < es->table_count; i++)
		if (!strcmp(es->tables[i]->name, tables[number].name))
			return es->tables[i];
	return NULL;
}

/*
 * In the pool, some keys are in slots that are free now, or another one's: the leaver's
 * keys come into these, and what recovery makes of the old ones is not to pass for them.
 */
static void pass(struct estate_table *table, struct estate *es)
{
	const uint64_t value[2] = { 3, 3 };

	for (uint64_t key = 100; key < 100 + PASSERS; key++)
		assert_ok(estate_put(table, &key, sizeof(key), value, sizeof(value)));
	assert_ok(estate_sync(es));
	for (uint64_t key = 100; key < 100 + PASSERS; key++)
		assert_ok(estate_delete(table, &key, sizeof(key)));
	for (uint64_t key = 100 + PASSERS; key-- > 100 + PASSERS / 2;)
		assert_ok(estate_put(table, &key, sizeof(key), value, sizeof(value)));
}

static void make_adopter(struct adoption *adoption, uint64_t seed)
{
	uint64_t later = clock_physical() + (UINT64_C(1) << 32);

	adoption->memory = recorder_memory_make(POOL);
	adoption->start = malloc(POOL);
	assert_non_null(adoption->start);
	instance_init(&adoption->instance, POOL);
	assert_ok(instance_open(&adoption->instance, adoption->memory));
	for (unsigned int i = 0; i < ADOPTION_TABLES; i++) {
		struct estate_table_attr attr = attr_of(i, seed);
		struct estate_table *table;

		assert_ok(instance_table(&adoption->instance, tables[i].name, &attr, &table));
		for (unsigned int key = 0; key < ADOPTION_KEYS; key++) {
			adoption->instance.es.clock.now = ours_is_later(key) ? later : 0;
			if (who_has(key) & OURS)
				put(table, i, key, OURS);
		}
	}
	adoption->instance.es.clock.now = later;
	pass(find(&adoption->instance.es, 0), &adoption->instance.es);
	memcpy(adoption->start, adoption->memory->bytes, POOL);
}

/* The leaver asks for the first time, and has waited long enough; and what an adopter has of it then. */
static void begin(const struct adoption *adoption, const struct estate *es,
		  struct layout_adoption *record)
{
	struct layout_header *header = region_header(&adoption->leaver->region);

	memcpy(header->adopter, es->identity.uuid, sizeof(header->adopter));
	header->attempt = 1;
	header->ripe = 1;
	header->state = LAYOUT_SEALED;
	memcpy(record->leaver, adoption->entry.uuid, sizeof(record->leaver));
	record->epoch = adoption->entry.epoch;
	record->attempt = 1;
}

static void run(const struct adoption *adoption, struct estate *es, struct takeover_past *past,
		struct layout_adoption *record)
{
	const int stop = 0;
	struct takeover takeover = {
		.es = es, .leaver = &adoption->entry, .record = record, .stop = &stop, .past = past
	};

	if (!record->epoch)
		begin(adoption, es, record);
	if (record->state != LAYOUT_ADOPTION_DONE)
		takeover_run(&takeover);
}

/*
 * A drain has failed in the midst: that is the adopter's last word on it, and nothing that it
 * writes from then on is ever in the pool.
 */
static void write_in_vain(struct estate *es, const struct layout_adoption *record)
{
	assert_int_equal(record->error, -EIO);
	assert_int_not_equal(record->state, LAYOUT_ADOPTION_DONE);
	for (uint64_t key = 0; key < ADOPTION_KEYS; key++) {
		const uint64_t more[2] = { 7, 7 };
		int error = estate_add(find(es, 0), &key, sizeof(key), more);

		assert_true(!error || error == -ENOSPC);
		error = estate_add(find(es, 2), &key, sizeof(key), more);
		assert_true(error == -EIO || error == -ENOSPC);
	}
	assert_int_equal(estate_sync(es), -EIO);
}

void adoption_init(struct adoption *adoption, uint64_t seed, recorder_forget_fn *forget,
		   uint64_t fail)
{
	struct layout_adoption record = { 0 };
	struct takeover_past past = { 0 };

	memset(adoption, 0, sizeof(*adoption));
	make_leaver(adoption, seed);
	make_adopter(adoption, seed);
	recorder_init(&adoption->recorder);
	adoption->recorder.forget = forget;
	adoption->recorder.fail = fail;
	adoption->memory->recorder = &adoption->recorder;
	run(adoption, &adoption->instance.es, &past, &record);
	if (fail) {
		write_in_vain(&adoption->instance.es, &record);
		recorder_note(&adoption->recorder, 0);
	} else {
		assert_int_equal(record.error, 0);
		assert_int_equal(record.state, LAYOUT_ADOPTION_DONE);
		recorder_note(&adoption->recorder, 1);
	}
	adoption->memory->recorder = NULL;
}

void adoption_free(struct adoption *adoption)
{
	instance_crash(&adoption->instance);
	instance_free(&adoption->instance);
	recorder_destroy(&adoption->recorder);
	recorder_memory_free(adoption->memory);
	free(adoption->start);
	assert_ok(estate_close(adoption->leaver));
	scratch_remove(adoption->folder);
}

/* Who judges images: those of a second crash have one of their own. */
struct judge {
	const struct adoption *adoption;
	struct recorder_memory *memory;
	struct recorder recorder;
	struct instance instance;
	struct judge *inner; /* NULL: no more of that */
	uint64_t images;
	uint64_t resumed;
	unsigned int intents;
	int done; /* the takeover had come to its end */
	unsigned int written; /* the program has added something to keys of these */
	char message[512];
	struct takeover_past past;
	struct layout_adoption record;
};

#define wrong(judge, ...) (snprintf((judge)->message, sizeof((judge)->message), __VA_ARGS__), 1)

/* Whether the pool says that a leaver's key had come. */
static int said_to_be_taken(const struct judge *judge, const struct estate_table *table,
			    uint64_t number)
{
	const struct pool_adoption *last = &judge->past.last;
	int order = strcmp(table->name, last->table);
	struct entry_key key;
	uint64_t home;

	if (!judge->record.epoch)
		return 0;
	if (judge->record.state == LAYOUT_ADOPTION_DONE)
		return 1;
	table_key(table, &number, sizeof(number), &key);
	home = geometry_home(&table->geometry, key.hash);
	if (order || home != last->home)
		return order < 0 || (!order && home < last->home);
	for (unsigned int i = 0; i < judge->past.done_count; i++)
		if (judge->past.done[i] == key.hash)
			return 1;
	return 0;
}

/* All is as the pool says, or, with @all, all is ours. */
static int check_tables(struct judge *judge, int all)
{
	for (unsigned int i = 0; i < ADOPTION_TABLES; i++) {
		struct estate_table *table = find(&judge->instance.es, i);
		struct estate_table_stats stats;
		uint64_t entries = 0;

		if (!table)
			return wrong(judge, "table %s is not there", tables[i].name);
		for (uint64_t key = 0; key < ADOPTION_KEYS; key++) {
			unsigned int who = who_has((unsigned int)key);
			unsigned int now = all || said_to_be_taken(judge, table, key)
						   ? who
						   : who & (unsigned int)OURS;
			struct value expected =
				value_of(i, (unsigned int)key, now, !!(who & judge->written));
			unsigned char value[ADOPTION_VALUE];
			size_t length = 0;
			int error =
				estate_get(table, &key, sizeof(key), value, sizeof(value), &length);

			entries += expected.length > 0;
			if (error && error != -ENOENT)
				return wrong(judge, "table %s: key %u: %s", table->name,
					     (unsigned int)key, estate_errormsg());
			if (length != expected.length || memcmp(value, expected.bytes, length) != 0)
				return wrong(judge,
					     "table %s: key %u: it has %zu bytes and not what it "
					     "had of %s",
					     table->name, (unsigned int)key, length,
					     now == (OURS | THEIRS) ? "both"
					     : now == OURS	    ? "us alone"
					     : now		    ? "them alone"
								    : "nobody");
		}
		/* Those who pass may be there or not. */
		if (estate_table_stats(table, &stats) || stats.entries < entries ||
		    stats.entries > entries + (i ? 0 : PASSERS))
			return wrong(judge, "table %s: %llu entries are counted, not %llu",
				     table->name, (unsigned long long)stats.entries,
				     (unsigned long long)entries);
	}
	return 0;
}

/* What it says on opening. */
static int remember(struct judge *judge)
{
	const struct estate *es = &judge->instance.es;
	const struct pool_adoption *last = es->pool->operations->adoption(es->pool);

	if (last && last->count > judge->intents)
		judge->intents = last->count;
	judge->record = (struct layout_adoption){ 0 };
	judge->past = (struct takeover_past){ 0 };
	if (takeover_remember(es, &judge->past, &judge->record))
		return wrong(judge, "remembering: %s", estate_errormsg());
	if (judge->done && judge->record.state != LAYOUT_ADOPTION_DONE)
		return wrong(judge, "the pool does not know that all was taken");
	return check_tables(judge, 0);
}

/* The next life, as far as estate_open() goes. */
static int open_again(struct judge *judge)
{
	int result;

	if (instance_open(&judge->instance, judge->memory))
		return wrong(judge, "open: %s", estate_errormsg());
	result = remember(judge);
	if (result)
		instance_crash(&judge->instance);
	return result;
}

static int go_on(struct judge *judge)
{
	run(judge->adoption, &judge->instance.es, &judge->past, &judge->record);
	if (judge->record.error || judge->record.state != LAYOUT_ADOPTION_DONE)
		return wrong(judge, "going on: %d: %s", judge->record.error, estate_errormsg());
	return check_tables(judge, 1);
}

/* To its end; then it is closed, and opened once more. */
static int finish(struct judge *judge)
{
	if (go_on(judge)) {
		instance_crash(&judge->instance);
		return 1;
	}
	if (instance_close(&judge->instance))
		return wrong(judge, "close: %s", estate_errormsg());
	judge->done = 1;
	if (open_again(judge))
		return 1;
	instance_crash(&judge->instance);
	return 0;
}

/*
 * Before it goes on the program writes each key that can be added to, and dies. If
 * nothing has begun, no new ones: there must be room for as many as the leaver has.
 */
static int write_and_die(struct judge *judge)
{
	judge->written = judge->record.epoch ? OURS | THEIRS : OURS;
	for (unsigned int i = 0; i < ADOPTION_TABLES; i++) {
		if (tables[i].merge != ESTATE_MERGE_SUM)
			continue;
		/* From behind: new ones get other places than the takeover has for them. */
		for (uint64_t key = ADOPTION_KEYS; key--;)
			if (who_has((unsigned int)key) & judge->written &&
			    estate_add(find(&judge->instance.es, i), &key, sizeof(key),
				       (uint64_t[]){ 1, 1 }))
				return wrong(judge, "table %s: add: %s", tables[i].name,
					     estate_errormsg());
	}
	if (estate_sync(&judge->instance.es))
		return wrong(judge, "sync: %s", estate_errormsg());
	instance_crash(&judge->instance);
	return 0;
}

static int note_of_inner(void *arg, uint64_t note)
{
	struct judge *judge = arg;

	judge->inner->done = note == 1;
	return 1;
}

static int judge_image(struct judge *judge, const unsigned char *image);

static int check_inner(void *arg, const unsigned char *image)
{
	struct judge *judge = arg;

	return judge_image(judge->inner, image);
}

/* What a crash leaves while it goes on: from its opening on. */
static int visit_inner(struct judge *judge, const unsigned char *image)
{
	const struct states_caller caller = { note_of_inner, check_inner, judge };
	struct states states = { .unit = 8, .limit = INNER_LIMIT, .random = judge->images | 1 };
	int result;

	memcpy(judge->memory->bytes, image, POOL);
	recorder_clear(&judge->recorder);
	judge->memory->recorder = &judge->recorder;
	result = open_again(judge);
	if (!result) {
		result = go_on(judge);
		recorder_note(&judge->recorder, 1);
		instance_crash(&judge->instance);
	}
	judge->memory->recorder = NULL;
	if (result)
		return result;
	judge->inner->done = 0;
	if (states_visit(&states, &judge->recorder, image, POOL, &caller))
		return wrong(judge, "a second crash: %.400s", judge->inner->message);
	return 0;
}

static int judge_image(struct judge *judge, const unsigned char *image)
{
	int done = judge->done;
	int result;

	judge->images++;
	memcpy(judge->memory->bytes, image, POOL);
	judge->written = 0;
	result = open_again(judge);
	if (result)
		return result;
	judge->resumed += judge->record.state == LAYOUT_ADOPTION_RESUMING;
	result = finish(judge);
	if (result)
		return result;

	judge->done = done;
	memcpy(judge->memory->bytes, image, POOL);
	result = open_again(judge);
	if (!result)
		result = write_and_die(judge);
	if (!result)
		result = open_again(judge);
	if (!result)
		result = finish(judge);
	judge->done = done;
	judge->written = 0;
	if (!result && judge->inner && judge->images % INNER_EVERY == 0 &&
	    judge->record.state != LAYOUT_ADOPTION_RESUMING)
		result = visit_inner(judge, image);
	return result;
}

static int note(void *arg, uint64_t number)
{
	struct judge *judge = arg;

	judge->done = number == 1;
	return 1;
}

static int check(void *arg, const unsigned char *image)
{
	return judge_image(arg, image);
}

static struct judge *judge_make(const struct adoption *adoption, struct judge *inner)
{
	struct judge *judge = calloc(1, sizeof(*judge));

	assert_non_null(judge);
	judge->adoption = adoption;
	judge->inner = inner;
	judge->memory = recorder_memory_make(POOL);
	recorder_init(&judge->recorder);
	instance_init(&judge->instance, POOL);
	return judge;
}

static void judge_free(struct judge *judge)
{
	instance_free(&judge->instance);
	recorder_destroy(&judge->recorder);
	recorder_memory_free(judge->memory);
	free(judge);
}

int adoption_verify(struct adoption *adoption, unsigned int unit, unsigned int limit,
		    struct adoption_result *result, char *message, size_t size)
{
	const char *seed = getenv("ESTATE_TEST_SEED");
	struct states states = { .unit = unit,
				 .limit = limit,
				 .random = seed ? strtoull(seed, NULL, 0) | 1 : 1 };
	struct judge *inner = judge_make(adoption, NULL);
	struct judge *judge = judge_make(adoption, inner);
	const struct states_caller caller = { note, check, judge };
	int found = states_visit(&states, &adoption->recorder, adoption->start, POOL, &caller);

	if (found)
		snprintf(message, size, "%s", judge->message);
	*result = (struct adoption_result){ .points = states.points,
					    .images = states.images,
					    .resumed = judge->resumed,
					    .second = inner->images,
					    .intents = judge->intents };
	judge_free(judge);
	judge_free(inner);
	return found;
}
