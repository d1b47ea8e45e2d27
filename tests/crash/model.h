/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may be in the pool, by what the tables' durability promises: of each key,
 * the version that is safe for certain, or any that came after it.
 */
#ifndef MODEL_H
#define MODEL_H

#include <estate/table.h>

#include <stddef.h>
#include <stdint.h>

#define MODEL_TABLES 3
#define MODEL_KEYS 40
#define MODEL_KEY_MAX 32

/* Versions of a key between two of which one is safe. */
#define MODEL_VERSIONS 32

struct model_value {
	size_t length;
	unsigned char bytes[];
};

struct model_key {
	size_t length;
	unsigned char bytes[MODEL_KEY_MAX];
	/* Counted from the first version on, which is: there is none. */
	uint64_t safe;
	uint64_t syncing; /* safe when the sync has returned that began last */
	uint64_t returned; /* of calls that have */
	uint64_t newest;
	const struct model_value *versions[MODEL_VERSIONS]; /* a ring; NULL: deleted */
};

struct model_table {
	char name[ESTATE_NAME_MAX];
	struct estate_table_attr attr;
	int begun; /* the call that makes it */
	int made; /* and it has returned */
	unsigned int key_count;
	struct model_key keys[MODEL_KEYS];
};

struct model {
	uint64_t epoch; /* of the last life whose open has returned; 0: none has */
	unsigned int table_count;
	struct model_table tables[MODEL_TABLES];
};

enum model_step_kind {
	MODEL_OPENED,
	MODEL_TABLE_BEGINS,
	MODEL_TABLE_MADE,
	MODEL_WRITE_BEGINS,
	MODEL_WRITTEN,
	MODEL_SYNC_BEGINS,
	MODEL_SYNCED,
};

struct model_step {
	enum model_step_kind kind;
	uint64_t epoch;
	unsigned int table;
	unsigned int key;
	const struct model_value *value; /* NULL: a deletion */
};

/* Whether more is promised after the step than before. */
int model_step(struct model *model, const struct model_step *step);

static inline const struct model_value *model_version(const struct model_key *key, uint64_t number)
{
	return key->versions[number % MODEL_VERSIONS];
}

/* The version of those that may be there which @value is (NULL: there is none), or -1. */
int64_t model_find(const struct model_key *key, const void *value, size_t length);

#endif
