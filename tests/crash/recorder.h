/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmem/medium.h over memory of the test's own, which takes down every store and
 * every drain: what would be there after a loss of power at any point follows
 * from that (states.h).
 */
#ifndef RECORDER_H
#define RECORDER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum recorder_kind {
	RECORDER_STORE,
	RECORDER_DRAIN, /* of what the batch stored */
	RECORDER_NOTE, /* of the test: where a call began or returned */
};

struct recorder_event {
	enum recorder_kind kind;
	uint64_t batch; /* a number of its own for all between two drains */
	uint64_t offset; /* of a store in the memory; of a note: the test's */
	uint64_t length;
	uint64_t data; /* of a store, in the recorder's bytes */
};

/* Whether a drain is left out, as if somebody had forgotten it. @last: offset of its last store. */
typedef int recorder_forget_fn(uint64_t number, uint64_t last);

struct recorder {
	pthread_mutex_t lock;
	struct recorder_event *events;
	size_t count;
	size_t room;
	unsigned char *bytes;
	size_t bytes_count;
	size_t bytes_room;
	uint64_t batches;
	uint64_t drains;
	uint64_t forgotten;
	recorder_forget_fn *forget; /* NULL: none is */
	uint64_t fail; /* the drain with this number says that it could not be done; 0: none */
};

/* What pools are opened on. */
struct recorder_memory {
	struct recorder *recorder; /* NULL: nothing is taken down */
	size_t size;
	char path[32]; /* to open it by */
	unsigned char bytes[] __attribute__((aligned(4096)));
};

struct recorder_memory *recorder_memory_make(size_t size);
void recorder_memory_free(struct recorder_memory *memory);

void recorder_init(struct recorder *recorder);
void recorder_destroy(struct recorder *recorder);
/* Take nothing back of the room that there is. */
void recorder_clear(struct recorder *recorder);
void recorder_note(struct recorder *recorder, uint64_t note);

#endif
