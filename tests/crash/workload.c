// SPDX-License-Identifier: BSD-3-Clause
#include "workload.h"

#include "check.h"
#include "verify.h"

#include <estate/estate.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* About so many images of second crashes for each image of a first one. */
#define SECOND_SHARE 1

void workload_init(struct workload *workload, size_t size)
{
	memset(workload, 0, sizeof(*workload));
	workload->memory = recorder_memory_make(size);
	workload->start = calloc(1, size);
	recorder_init(&workload->recorder);
	workload->memory->recorder = &workload->recorder;
	instance_init(&workload->instance, size);
	workload->random = 17;
}

void workload_free(struct workload *workload)
{
	if (workload->instance.es.pool)
		instance_crash(&workload->instance);
	for (size_t i = 0; i < workload->value_count; i++)
		free(workload->values[i]);
	free(workload->values);
	free(workload->steps);
	instance_free(&workload->instance);
	recorder_destroy(&workload->recorder);
	free(workload->start);
	recorder_memory_free(workload->memory);
}

uint64_t workload_random(struct workload *workload, uint64_t below)
{
	return states_random(&workload->random) % below;
}

static void step(struct workload *workload, struct model_step step)
{
	if (workload->step_count == workload->step_room) {
		workload->step_room = workload->step_room * 2 + 64;
		workload->steps =
			realloc(workload->steps, workload->step_room * sizeof(*workload->steps));
		assert_non_null(workload->steps);
	}
	workload->steps[workload->step_count] = step;
	recorder_note(&workload->recorder, workload->step_count++);
	model_step(&workload->model, &step);
}

/* Bytes that no other value has. */
static struct model_value *make_value(struct workload *workload, size_t length)
{
	struct model_value *value = malloc(sizeof(*value) + length + 8);
	uint64_t word = ++workload->written * 0x9e3779b97f4a7c15;

	assert_non_null(value);
	if (workload->value_count == workload->value_room) {
		workload->value_room = workload->value_room * 2 + 64;
		workload->values =
			realloc(workload->values, workload->value_room * sizeof(*workload->values));
		assert_non_null(workload->values);
	}
	workload->values[workload->value_count++] = value;
	value->length = length;
	for (size_t i = 0; i < length; i += 8, word += 0x0101010101010101)
		memcpy(value->bytes + i, &word, 8);
	return value;
}

static const struct model_value *current(const struct workload *workload, unsigned int table,
					 unsigned int key)
{
	const struct model_key *known = &workload->model.tables[table].keys[key];

	return model_version(known, known->newest);
}

int workload_has(const struct workload *workload, unsigned int table, unsigned int key)
{
	return current(workload, table, key) != NULL;
}

int workload_failed(const struct workload *workload)
{
	return workload->recorder.fail && workload->recorder.drains >= workload->recorder.fail;
}

/* Whether the call did what it should. */
static int succeeded(const struct workload *workload, int error)
{
	if (!workload_failed(workload))
		assert_ok(error);
	else if (error)
		assert_int_equal(error, -EIO);
	return !error;
}

static void begin_write(struct workload *workload, unsigned int table, unsigned int key,
			const struct model_value *value)
{
	step(workload,
	     (struct model_step){
		     .kind = MODEL_WRITE_BEGINS, .table = table, .key = key, .value = value });
}

static void end_write(struct workload *workload, unsigned int table, unsigned int key)
{
	step(workload, (struct model_step){ .kind = MODEL_WRITTEN, .table = table, .key = key });
}

void workload_open(struct workload *workload)
{
	struct estate *es = &workload->instance.es;

	memset(workload->tables, 0, sizeof(workload->tables));
	if (!succeeded(workload, instance_open(&workload->instance, workload->memory))) {
		es->pool = NULL;
		return;
	}
	for (unsigned int i = 0; i < workload->model.table_count; i++)
		for (unsigned int j = 0; j < es->table_count; j++)
			if (!strcmp(es->tables[j]->name, workload->model.tables[i].name))
				workload->tables[i] = es->tables[j];
	step(workload, (struct model_step){ .kind = MODEL_OPENED, .epoch = es->pool->epoch });
}

void workload_close(struct workload *workload)
{
	if (!workload->instance.es.pool)
		return;
	step(workload, (struct model_step){ .kind = MODEL_SYNC_BEGINS });
	if (succeeded(workload, instance_close(&workload->instance)))
		step(workload, (struct model_step){ .kind = MODEL_SYNCED });
	workload->instance.es.pool = NULL;
}

void workload_table(struct workload *workload, const char *name,
		    const struct estate_table_attr *attr, unsigned int keys)
{
	unsigned int number = workload->model.table_count++;
	struct model_table *table = &workload->model.tables[number];

	assert_true(keys <= MODEL_KEYS);
	strcpy(table->name, name);
	table->attr = *attr;
	table->key_count = keys;
	for (unsigned int i = 0; i < keys; i++) {
		struct model_key *key = &table->keys[i];

		key->length = attr->key_size <= 8 ? attr->key_size : 2 + i % (attr->key_size - 1);
		key->bytes[0] = (unsigned char)(i + 1);
		key->bytes[key->length - 1] |= 0x80;
	}
	step(workload, (struct model_step){ .kind = MODEL_TABLE_BEGINS, .table = number });
	if (workload->instance.es.pool &&
	    succeeded(workload,
		      instance_table(&workload->instance, name, attr, &workload->tables[number])))
		step(workload, (struct model_step){ .kind = MODEL_TABLE_MADE, .table = number });
}

/* Of a value's longest; 0 if the table is not open. */
static size_t value_size(const struct workload *workload, unsigned int table)
{
	return workload->tables[table] ? workload->tables[table]->geometry.value_size : 0;
}

void workload_put_length(struct workload *workload, unsigned int table, unsigned int key,
			 size_t length)
{
	const struct model_key *known = &workload->model.tables[table].keys[key];
	const struct model_value *value = make_value(workload, length);

	if (!workload->tables[table])
		return;
	begin_write(workload, table, key, value);
	if (succeeded(workload, estate_put(workload->tables[table], known->bytes, known->length,
					   value->bytes, value->length)))
		end_write(workload, table, key);
}

void workload_put(struct workload *workload, unsigned int table, unsigned int key)
{
	workload_put_length(workload, table, key, value_size(workload, table));
}

/* What a key has when @deltas are added to it. */
static const struct model_value *make_sum(struct workload *workload, unsigned int table,
					  unsigned int key, const struct model_value *deltas)
{
	const struct model_value *old = current(workload, table, key);
	struct model_value *sum = make_value(workload, deltas->length);

	for (size_t i = 0; i < sum->length; i += 8) {
		uint64_t word;
		uint64_t delta;

		memcpy(&word, old ? old->bytes + i : (const unsigned char[8]){ 0 }, 8);
		memcpy(&delta, deltas->bytes + i, 8);
		word += delta;
		memcpy(sum->bytes + i, &word, 8);
	}
	return sum;
}

void workload_add(struct workload *workload, unsigned int table, unsigned int key)
{
	const struct model_key *known = &workload->model.tables[table].keys[key];
	const struct model_value *deltas = make_value(workload, value_size(workload, table));

	if (!workload->tables[table])
		return;
	begin_write(workload, table, key, make_sum(workload, table, key, deltas));
	if (succeeded(workload, estate_add(workload->tables[table], known->bytes, known->length,
					   deltas->bytes)))
		end_write(workload, table, key);
}

void workload_entry_add(struct workload *workload, unsigned int table, unsigned int key)
{
	const struct model_key *known = &workload->model.tables[table].keys[key];
	const struct model_value *deltas = make_value(workload, value_size(workload, table));
	struct estate_entry entry;

	if (!workload->tables[table])
		return;
	begin_write(workload, table, key, make_sum(workload, table, key, deltas));
	if (succeeded(workload, estate_entry_open(workload->tables[table], known->bytes,
						  known->length, &entry)) &&
	    succeeded(workload, estate_entry_add(&entry, deltas->bytes)))
		end_write(workload, table, key);
}

void workload_delete(struct workload *workload, unsigned int table, unsigned int key)
{
	const struct model_key *known = &workload->model.tables[table].keys[key];

	/* What was to be put before may have failed. */
	if (!workload->tables[table] ||
	    (workload_failed(workload) && !model_version(known, known->returned)))
		return;
	begin_write(workload, table, key, NULL);
	if (succeeded(workload,
		      estate_delete(workload->tables[table], known->bytes, known->length)))
		end_write(workload, table, key);
}

void workload_put_batch(struct workload *workload, unsigned int table, unsigned int count,
			const unsigned int *keys)
{
	const size_t length = value_size(workload, table);
	const struct model_key *known = workload->model.tables[table].keys;
	unsigned char *values = calloc(count, length);
	const void **places = calloc(count, sizeof(*places));
	int *status = calloc(count, sizeof(*status));
	int written;
	int expected = 0;

	for (unsigned int i = 0; i < count && length; i++) {
		const struct model_value *value = make_value(workload, length);

		begin_write(workload, table, keys[i], value);
		memcpy(values + i * length, value->bytes, length);
		places[i] = known[keys[i]].bytes;
	}
	written = length ? estate_put_batch(workload->tables[table], count, places,
					    known[keys[0]].length, values, length, status)
			 : 0;
	for (unsigned int i = 0; i < count && length; i++) {
		if (!succeeded(workload, status[i]))
			continue;
		expected++;
		end_write(workload, table, keys[i]);
	}
	assert_int_equal(written, expected);
	free(values);
	free(places);
	free(status);
}

void workload_sync(struct workload *workload)
{
	if (!workload->instance.es.pool)
		return;
	step(workload, (struct model_step){ .kind = MODEL_SYNC_BEGINS });
	if (succeeded(workload, estate_sync(&workload->instance.es)))
		step(workload, (struct model_step){ .kind = MODEL_SYNCED });
}

void workload_check(const struct workload *workload)
{
	for (unsigned int i = 0; i < workload->model.table_count; i++) {
		const struct model_table *known = &workload->model.tables[i];

		for (unsigned int j = 0; workload->tables[i] && j < known->key_count; j++) {
			const struct model_key *key = &known->keys[j];
			const struct model_value *value = model_version(key, key->returned);
			unsigned char bytes[4096];
			size_t length = 0;
			int error = estate_get(workload->tables[i], key->bytes, key->length, bytes,
					       sizeof(bytes), &length);

			assert_int_equal(error, value ? 0 : -ENOENT);
			assert_int_equal(length, value ? value->length : 0);
			if (value)
				assert_memory_equal(bytes, value->bytes, length);
		}
	}
}

void workload_any(struct workload *workload, unsigned int table, unsigned int count)
{
	const struct estate_table *opened = workload->tables[table];
	const struct geometry *geometry = &opened->geometry;
	const struct model_table *known = &workload->model.tables[table];

	while (count) {
		unsigned int key = (unsigned int)workload_random(workload, known->key_count);
		int there = workload_has(workload, table, key);

		if (!there && opened->entries == geometry->capacity)
			continue;
		count--;
		if (there && workload_random(workload, 3) == 0)
			workload_delete(workload, table, key);
		else if (geometry->type == ESTATE_OPAQUE)
			workload_put_length(workload, table, key,
					    workload_random(workload, geometry->value_size + 1));
		else if (geometry->type == ESTATE_U64 && workload_random(workload, 2))
			workload_add(workload, table, key);
		else
			workload_put(workload, table, key);
	}
}

struct visit {
	const struct workload *workload;
	struct verify *verify;
};

static int note(void *arg, uint64_t number)
{
	struct visit *visit = arg;

	return model_step(visit->verify->model, &visit->workload->steps[number]);
}

static int check(void *arg, const unsigned char *image)
{
	struct visit *visit = arg;

	visit->verify->inner_budget += SECOND_SHARE;
	return verify_image(visit->verify, image);
}

int workload_verify(const struct workload *workload, unsigned int unit, unsigned int limit,
		    struct workload_result *result, char *message, size_t size)
{
	const char *seed = getenv("ESTATE_TEST_SEED");
	struct states states = { .unit = unit,
				 .limit = limit,
				 .random = seed ? strtoull(seed, NULL, 0) | 1 : 1 };
	struct model *model = malloc(sizeof(*model));
	struct verify *verify = malloc(sizeof(*verify));
	struct visit visit = { workload, verify };
	const struct states_caller caller = { note, check, &visit };
	int wrong;

	/* As it was before the first step. */
	*model = workload->model;
	model->epoch = 0;
	for (unsigned int i = 0; i < model->table_count; i++) {
		struct model_table *table = &model->tables[i];

		table->begun = table->made = 0;
		for (unsigned int j = 0; j < table->key_count; j++) {
			struct model_key *key = &table->keys[j];

			key->safe = key->syncing = key->returned = key->newest = 0;
			key->versions[0] = NULL;
		}
	}
	verify_init(verify, model, workload->memory->size, 2);
	verify->model = model;
	wrong = states_visit(&states, &workload->recorder, workload->start, workload->memory->size,
			     &caller);
	/* And what the next life finds if nothing was lost. */
	if (!wrong)
		wrong = verify_image(verify, workload->memory->bytes);
	if (wrong)
		snprintf(message, size, "%s", verify->message);
	*result = (struct workload_result){ .points = states.points,
					    .sampled = states.sampled,
					    .images = states.images,
					    .second = verify->inner->images,
					    .mended = verify->mended };
	verify_free(verify);
	free(verify);
	free(model);
	return wrong;
}
