/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether an image of a pool is as it was promised to be: an instance opens on it,
 * has of every key what the model allows, and can go on.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include "instance.h"
#include "model.h"
#include "states.h"

struct verify {
	struct recorder_memory *memory;
	struct instance instance;
	struct model *model;
	struct model_value *fresh[MODEL_TABLES][MODEL_KEYS]; /* what is written to go on */
	const struct model_value *expected[MODEL_TABLES][MODEL_KEYS]; /* NULL: absent */
	char message[512]; /* what was wrong */

	/*
	 * A crash in the next life, from its first moment on: of all images on which a
	 * recovery had something to mend, and some others.
	 */
	struct verify *inner; /* NULL: no more of that */
	struct states inner_states;
	int64_t inner_budget; /* images; below 0 after one that took more than there was */
	struct recorder recorder;
	uint64_t images;
	uint64_t mended;
	struct model_step steps[32];
	unsigned int step_count;
	struct model later; /* what the next life promises when it is open */
};

/* @size: of the pool. @depth: how many crashes one after the other. */
void verify_init(struct verify *verify, const struct model *model, size_t size, unsigned int depth);
void verify_free(struct verify *verify);

/* 0; 1 with a message. */
int verify_image(struct verify *verify, const unsigned char *image);

#endif
