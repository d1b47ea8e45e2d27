// SPDX-License-Identifier: BSD-3-Clause
#include "verify.h"

#include "chain.h"
#include "mirror.h"

#include <estate/table.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INNER_LIMIT 64 /* images of a point */
#define INNER_EVERY 499 /* one of so many images, if nothing had to be mended */

static __attribute__((format(printf, 2, 3))) int wrong(struct verify *verify, const char *format,
						       ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(verify->message, sizeof(verify->message), format, arguments);
	va_end(arguments);
	return 1;
}

void verify_init(struct verify *verify, const struct model *model, size_t size, unsigned int depth)
{
	memset(verify, 0, sizeof(*verify));
	verify->memory = recorder_memory_make(size);
	instance_init(&verify->instance, size);
	recorder_init(&verify->recorder);
	for (unsigned int i = 0; i < model->table_count; i++) {
		const struct model_table *table = &model->tables[i];
		struct geometry geometry;

		if (geometry_init(&geometry, &table->attr))
			abort();
		for (unsigned int j = 0; j < table->key_count; j++) {
			struct model_value *value = malloc(sizeof(*value) + geometry.value_size);

			if (!value)
				abort();
			value->length = geometry.value_size;
			memset(value->bytes, (int)(0x80 + 40 * depth + j), value->length);
			verify->fresh[i][j] = value;
		}
	}
	if (depth < 2)
		return;
	verify->inner = malloc(sizeof(*verify->inner));
	if (!verify->inner)
		abort();
	verify_init(verify->inner, model, size, depth - 1);
	verify->inner_states =
		(struct states){ .unit = 8, .limit = INNER_LIMIT, .random = 0x6a09e667f3bcc909 };
}

void verify_free(struct verify *verify)
{
	if (verify->inner) {
		verify_free(verify->inner);
		free(verify->inner);
	}
	for (unsigned int i = 0; i < MODEL_TABLES; i++)
		for (unsigned int j = 0; j < MODEL_KEYS; j++)
			free(verify->fresh[i][j]);
	recorder_destroy(&verify->recorder);
	instance_free(&verify->instance);
	recorder_memory_free(verify->memory);
}

static struct estate_table *find(const struct verify *verify, const struct model_table *table)
{
	const struct estate *es = &verify->instance.es;

	for (unsigned int i = 0; i < es->table_count; i++)
		if (!strcmp(es->tables[i]->name, table->name))
			return es->tables[i];
	return NULL;
}

/* What estate_iterate() finds in a table. */
struct census {
	struct verify *verify;
	const struct model_table *table;
	uint64_t entries;
	const void *values[MODEL_KEYS]; /* NULL: not met */
};

static int count(const void *key, size_t key_length, const void *value, size_t value_length,
		 uint64_t stamp, void *arg)
{
	struct census *census = arg;

	(void)value_length;
	(void)stamp;
	census->entries++;
	for (unsigned int i = 0; i < census->table->key_count; i++) {
		const struct model_key *known = &census->table->keys[i];

		if (known->length != key_length || memcmp(known->bytes, key, key_length) != 0)
			continue;
		if (census->values[i])
			return wrong(census->verify, "table %s: key %u is there twice",
				     census->table->name, i);
		census->values[i] = value;
		return 0;
	}
	return wrong(census->verify, "table %s: a key that nobody wrote", census->table->name);
}

/* Whatever is in no chain, and no value's, is free. */
static int check_inside(struct verify *verify, const struct estate_table *table)
{
	const struct mirror *mirror = table->mirror;
	uint64_t live = 0;
	uint64_t chained = 0;

	for (uint64_t home = 0; home < table->geometry.homes; home++)
		for (uint32_t slot = chain_first(table, home); slot != NO_SLOT;
		     slot = chain_next(table, slot)) {
			if (!(table->tags[slot] & TAG_FINGERPRINT))
				return wrong(verify, "table %s: slot %u is free, and in a chain",
					     table->name, slot);
			if (++chained > table->geometry.slots)
				return wrong(verify, "table %s: a chain has no end", table->name);
		}
	if (chained != table->overflowed)
		return wrong(verify, "table %s: %llu slots in chains, counted were %llu",
			     table->name, (unsigned long long)chained,
			     (unsigned long long)table->overflowed);
	if (!table->geometry.blocks)
		return 0;
	for (uint64_t slot = 0; slot < table->geometry.slots; slot++)
		live += mirror->block[slot] != NO_BLOCK;
	if (table->extents.count + table->entries != table->geometry.blocks)
		return wrong(verify, "table %s: %llu entries, %u free blocks of %llu in the region",
			     table->name, (unsigned long long)table->entries, table->extents.count,
			     (unsigned long long)table->geometry.blocks);
	if (mirror->blocks.count + live + mirror->left_count != table->geometry.blocks)
		return wrong(verify, "table %s: %llu values, %u free blocks of %llu in the pool",
			     table->name, (unsigned long long)live, mirror->blocks.count,
			     (unsigned long long)table->geometry.blocks);
	return 0;
}

/* Get every key; @expected says what of it is right, or the model. */
static int check_keys(struct verify *verify, unsigned int number, struct estate_table *table,
		      int as_expected)
{
	const struct model_table *model = &verify->model->tables[number];
	struct census census = { .verify = verify, .table = model };
	struct estate_table_stats stats;
	unsigned char value[4096];
	int error = estate_iterate(table, count, &census);

	if (error == 1)
		return 1;
	if (error)
		return wrong(verify, "table %s: iterate: %s", model->name, estate_errormsg());
	for (unsigned int i = 0; i < model->key_count; i++) {
		const struct model_key *key = &model->keys[i];
		const struct model_value **expected = &verify->expected[number][i];
		size_t length = 0;
		int64_t version;

		error = estate_get(table, key->bytes, key->length, value, sizeof(value), &length);
		if (error && error != -ENOENT)
			return wrong(verify, "table %s: key %u: get: %d: %s", model->name, i, error,
				     estate_errormsg());
		if (!error != !!census.values[i])
			return wrong(verify, "table %s: key %u: it is %s by iterate, but get: %d",
				     model->name, i, census.values[i] ? "there" : "missing", error);
		if (as_expected) {
			if (!error != !!*expected ||
			    (!error && (length != (*expected)->length ||
					memcmp(value, (*expected)->bytes, length) != 0)))
				return wrong(verify,
					     "table %s: key %u is not as the last life left it: "
					     "it has %zd bytes and should have %zd",
					     model->name, i, error ? -1 : (ssize_t)length,
					     *expected ? (ssize_t)(*expected)->length : -1);
			continue;
		}
		version = model_find(key, error ? NULL : value, length);
		if (version < 0)
			return wrong(verify,
				     "table %s: key %u: %s, which is none of its versions %llu "
				     "to %llu",
				     model->name, i, error ? "nothing" : "a value",
				     (unsigned long long)key->safe,
				     (unsigned long long)key->newest);
		*expected = model_version(key, (uint64_t)version);
	}
	if (estate_table_stats(table, &stats) || stats.entries != census.entries)
		return wrong(verify, "table %s: %llu entries are counted, and %llu there",
			     model->name, (unsigned long long)stats.entries,
			     (unsigned long long)census.entries);
	return check_inside(verify, table);
}

static int check_tables(struct verify *verify, int as_expected)
{
	const struct model *model = verify->model;
	unsigned int there = 0;

	for (unsigned int i = 0; i < model->table_count; i++) {
		const struct model_table *known = &model->tables[i];
		struct estate_table *table = find(verify, known);

		if (!table && known->made)
			return wrong(verify, "table %s is not there", known->name);
		if (!table)
			continue;
		if (!known->begun)
			return wrong(verify, "table %s is there too early", known->name);
		there++;
		if (check_keys(verify, i, table, as_expected))
			return 1;
	}
	if (there != verify->instance.es.table_count)
		return wrong(verify, "there are more tables than were made");
	return 0;
}

static void step(struct verify *verify, struct model_step step)
{
	if (!verify->memory->recorder)
		return;
	verify->steps[verify->step_count++] = step;
	/* 0 is for itself. */
	recorder_note(&verify->recorder, verify->step_count);
}

static int write_key(struct verify *verify, struct estate_table *table, unsigned int number,
		     unsigned int key, const struct model_value *value)
{
	const struct model_key *known = &verify->model->tables[number].keys[key];
	int error;

	step(verify,
	     (struct model_step){
		     .kind = MODEL_WRITE_BEGINS, .table = number, .key = key, .value = value });
	error = value ? estate_put(table, known->bytes, known->length, value->bytes, value->length)
		      : estate_delete(table, known->bytes, known->length);
	if (error)
		return wrong(verify, "table %s: key %u cannot be %s any more: %s", table->name, key,
			     value ? "put" : "deleted", estate_errormsg());
	verify->expected[number][key] = value;
	step(verify, (struct model_step){ .kind = MODEL_WRITTEN, .table = number, .key = key });
	return 0;
}

static int sync(struct verify *verify)
{
	step(verify, (struct model_step){ .kind = MODEL_SYNC_BEGINS });
	if (estate_sync(&verify->instance.es))
		return wrong(verify, "sync: %s", estate_errormsg());
	step(verify, (struct model_step){ .kind = MODEL_SYNCED });
	return 0;
}

/* The first key of a table that is there, or is not; or -1. */
static int first_key(const struct verify *verify, unsigned int number, int there, unsigned int from)
{
	for (unsigned int i = from; i < verify->model->tables[number].key_count; i++)
		if (!verify->expected[number][i] == !there)
			return (int)i;
	return -1;
}

/* A few writes that may be taken down for what a second crash leaves of them. */
static int go_on_carefully(struct verify *verify, unsigned int number, struct estate_table *table)
{
	int key = first_key(verify, number, 1, 0);

	if (key >= 0 &&
	    write_key(verify, table, number, (unsigned int)key, verify->fresh[number][key]))
		return 1;
	key = key < 0 ? -1 : first_key(verify, number, 1, (unsigned int)key + 1);
	if (key >= 0 && write_key(verify, table, number, (unsigned int)key, NULL))
		return 1;
	key = first_key(verify, number, 0, 0);
	if (key >= 0 && table->entries < table->geometry.capacity &&
	    write_key(verify, table, number, (unsigned int)key, verify->fresh[number][key]))
		return 1;
	return sync(verify);
}

/* Every key is written; as many are there in the end as fit. */
static int go_on(struct verify *verify, unsigned int number, struct estate_table *table)
{
	const unsigned int keys = verify->model->tables[number].key_count;

	for (unsigned int i = 0; i < keys; i++) {
		const struct model_value **expected = &verify->expected[number][i];

		if (*expected && write_key(verify, table, number, i, verify->fresh[number][i]))
			return 1;
		if (*expected && i % 3 == 0 && write_key(verify, table, number, i, NULL))
			return 1;
	}
	for (unsigned int i = 0; i < keys; i++)
		if (!verify->expected[number][i] && table->entries < table->geometry.capacity &&
		    write_key(verify, table, number, i, verify->fresh[number][i]))
			return 1;
	return check_inside(verify, table);
}

static int go_on_all(struct verify *verify, int (*go)(struct verify *verify, unsigned int number,
						      struct estate_table *table))
{
	for (unsigned int i = 0; i < verify->model->table_count; i++) {
		struct estate_table *table = find(verify, &verify->model->tables[i]);

		if (table && go(verify, i, table))
			return 1;
	}
	return 0;
}

/* What was found is what stays, whatever may come. */
static void settle(struct verify *verify)
{
	struct model *later = &verify->later;

	*later = *verify->model;
	later->epoch = verify->instance.es.pool->epoch;
	for (unsigned int i = 0; i < later->table_count; i++) {
		struct model_table *table = &later->tables[i];

		if (find(verify, table))
			table->begun = table->made = 1;
		for (unsigned int j = 0; j < table->key_count; j++) {
			struct model_key *key = &table->keys[j];

			key->safe = key->syncing = key->returned = key->newest;
			key->versions[key->newest % MODEL_VERSIONS] = verify->expected[i][j];
		}
	}
}

static int note_of_inner(void *arg, uint64_t note)
{
	struct verify *verify = arg;

	if (!note) {
		*verify->inner->model = verify->later;
		return 1;
	}
	return model_step(verify->inner->model, &verify->steps[note - 1]);
}

static int check_inner(void *arg, const unsigned char *image)
{
	struct verify *verify = arg;

	verify->inner_budget--;
	return verify_image(verify->inner, image);
}

/* All that a second crash leaves. */
static int visit_inner(struct verify *verify, const unsigned char *image)
{
	const struct states_caller caller = { note_of_inner, check_inner, verify };
	struct model *model = malloc(sizeof(*model));
	int result;

	if (!model)
		abort();
	*model = *verify->model;
	verify->inner->model = model;
	result = states_visit(&verify->inner_states, &verify->recorder, image, verify->memory->size,
			      &caller);
	free(model);
	if (result)
		return wrong(verify, "a second crash: %.400s", verify->inner->message);
	return 0;
}

/* As the image is now, which an instance has opened. */
static int check_life(struct verify *verify, int *interesting)
{
	struct instance *instance = &verify->instance;

	if (verify->model->epoch && !instance->es.recovery.found)
		return wrong(verify, "the pool is not there");
	if (instance->es.pool->epoch <= verify->model->epoch)
		return wrong(verify, "epoch %llu comes after %llu",
			     (unsigned long long)instance->es.pool->epoch,
			     (unsigned long long)verify->model->epoch);
	if (check_tables(verify, 0))
		return 1;
	if (*interesting) {
		settle(verify);
		verify->step_count = 0;
		recorder_note(&verify->recorder, 0);
		if (go_on_all(verify, go_on_carefully))
			return 1;
		verify->memory->recorder = NULL;
	}
	return go_on_all(verify, go_on);
}

int verify_image(struct verify *verify, const unsigned char *image)
{
	struct instance *instance = &verify->instance;
	int interesting = 0;
	int result;

	memcpy(verify->memory->bytes, image, verify->memory->size);
	verify->images++;
	recorder_clear(&verify->recorder);
	verify->memory->recorder =
		verify->inner && verify->inner_budget > 0 ? &verify->recorder : NULL;
	if (instance_open(instance, verify->memory))
		return wrong(verify, "open: %s", estate_errormsg());
	if (verify->memory->recorder) {
		/* More than the store and the drain of a new life. */
		int mended = instance->es.recovery.found && verify->recorder.count > 2;

		verify->mended += (uint64_t)mended;
		interesting = mended || verify->images % INNER_EVERY == 0;
		if (!interesting)
			verify->memory->recorder = NULL;
	}
	result = check_life(verify, &interesting);
	if (!result && instance_close(instance))
		return wrong(verify, "close: %s", estate_errormsg());
	if (result) {
		instance_crash(instance);
		return result;
	}
	if (instance_open(instance, verify->memory))
		return wrong(verify, "open of what was closed: %s", estate_errormsg());
	result = check_tables(verify, 1);
	instance_crash(instance);
	if (!result && interesting)
		result = visit_inner(verify, image);
	return result;
}
