// SPDX-License-Identifier: BSD-3-Clause
#include "model.h"

#include <stdlib.h>
#include <string.h>

static void begin_write(struct model_key *key, const struct model_value *value)
{
	key->newest++;
	if (key->newest - key->safe >= MODEL_VERSIONS)
		abort();
	key->versions[key->newest % MODEL_VERSIONS] = value;
}

static void begin_sync(struct model_table *table)
{
	for (unsigned int i = 0; i < table->key_count; i++)
		table->keys[i].syncing = table->keys[i].returned;
}

static void end_sync(struct model_table *table)
{
	for (unsigned int i = 0; i < table->key_count; i++)
		if (table->keys[i].safe < table->keys[i].syncing)
			table->keys[i].safe = table->keys[i].syncing;
}

int model_step(struct model *model, const struct model_step *step)
{
	struct model_table *table = &model->tables[step->table];
	struct model_key *key = &table->keys[step->key];

	switch (step->kind) {
	case MODEL_OPENED:
		model->epoch = step->epoch;
		return 1;
	case MODEL_TABLE_BEGINS:
		table->begun = 1;
		return 0;
	case MODEL_TABLE_MADE:
		table->made = 1;
		return 1;
	case MODEL_WRITE_BEGINS:
		begin_write(key, step->value);
		return 0;
	case MODEL_WRITTEN:
		key->returned = key->newest;
		if (table->attr.durability != ESTATE_DURABILITY_BEFORE_RETURN)
			return 0;
		key->safe = key->newest;
		return 1;
	case MODEL_SYNC_BEGINS:
		for (unsigned int i = 0; i < model->table_count; i++)
			begin_sync(&model->tables[i]);
		return 0;
	case MODEL_SYNCED:
		for (unsigned int i = 0; i < model->table_count; i++)
			end_sync(&model->tables[i]);
		return 1;
	}
	abort();
}

int64_t model_find(const struct model_key *key, const void *value, size_t length)
{
	for (uint64_t i = key->safe; i <= key->newest; i++) {
		const struct model_value *version = model_version(key, i);

		if (!value != !version)
			continue;
		if (!value || (length == version->length && !memcmp(value, version->bytes, length)))
			return (int64_t)i;
	}
	return -1;
}
