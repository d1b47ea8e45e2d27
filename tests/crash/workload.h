/* SPDX-License-Identifier: BSD-3-Clause */
/* A script of calls on an instance, which is recorded with what each call promises. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "instance.h"
#include "model.h"
#include "recorder.h"
#include "states.h"

struct workload {
	struct recorder_memory *memory;
	unsigned char *start; /* what was in it before */
	struct recorder recorder;
	struct instance instance;
	struct estate_table *tables[MODEL_TABLES];
	struct model model; /* as it is after the last call */
	struct model_step *steps;
	size_t step_count;
	size_t step_room;
	uint64_t written; /* values, each unlike the others */
	struct model_value **values;
	size_t value_count;
	size_t value_room;
	uint64_t random;
};

/*
 * If the recorder is to let a drain fail, calls may fail from then on, by -EIO: what they
 * did is in the pool or not, and nothing is promised of it. After an open that failed, the
 * calls on its tables do nothing.
 */

/* An empty pool of @size bytes, nothing open. */
void workload_init(struct workload *workload, size_t size);
void workload_free(struct workload *workload);

void workload_open(struct workload *workload);
void workload_close(struct workload *workload);
/* With @keys keys, of 1 to attr->key_size bytes. */
void workload_table(struct workload *workload, const char *name,
		    const struct estate_table_attr *attr, unsigned int keys);

/* Of table @table, key @key. A value of its longest length, or of @length. */
void workload_put(struct workload *workload, unsigned int table, unsigned int key);
void workload_put_length(struct workload *workload, unsigned int table, unsigned int key,
			 size_t length);
void workload_add(struct workload *workload, unsigned int table, unsigned int key);
void workload_delete(struct workload *workload, unsigned int table, unsigned int key);
void workload_put_batch(struct workload *workload, unsigned int table, unsigned int count,
			const unsigned int *keys);
/* By a handle that is opened for it, which makes the entry if need be. */
void workload_entry_add(struct workload *workload, unsigned int table, unsigned int key);
void workload_sync(struct workload *workload);
/* So many puts, adds, deletions, of keys that chance chooses. */
void workload_any(struct workload *workload, unsigned int table, unsigned int count);

uint64_t workload_random(struct workload *workload, uint64_t below);
int workload_has(const struct workload *workload, unsigned int table, unsigned int key);

/* Whether the drain that is to fail has. */
int workload_failed(const struct workload *workload);
/* The tables have what the calls that succeeded left. */
void workload_check(const struct workload *workload);

struct workload_result {
	uint64_t points;
	uint64_t sampled;
	uint64_t images;
	uint64_t second; /* images after two crashes */
	uint64_t mended; /* on which a recovery had something to mend */
};

/* Look at all that a crash may leave. 0; 1 with a sentence in @message. */
int workload_verify(const struct workload *workload, unsigned int unit, unsigned int limit,
		    struct workload_result *result, char *message, size_t size);

#endif
