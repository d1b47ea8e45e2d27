// SPDX-License-Identifier: BSD-3-Clause
/* A pool: whose it is, its lives, its directory, and the thread that flushes now and then. */
#include "clock.h"
#include "error.h"
#include "format.h"
#include "image.h"
#include "mirror.h"
#include "pool.h"
#include "recovery.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct pmem_pool {
	struct pool base;
	struct medium medium;
	char *path;
	char group[ESTATE_NAME_MAX];
	char name[ESTATE_NAME_MAX];
	struct format_life life; /* the last one written, in copy @life_copy */
	unsigned int life_copy;
	struct format_adoption adoption; /* the same; its sequence is 0 if there is none */
	unsigned int adoption_copy;
	unsigned int tables;
	uint64_t used; /* up to where tables are */

	pthread_mutex_t lock; /* over what follows, and growing */
	pthread_cond_t changed;
	unsigned int mirror_count;
	struct mirror *mirrors[ESTATE_TABLES_MAX];
	pthread_t flusher;
	int flushing; /* there is that thread */
	int stopping;
};

static int next_table(const struct pool *base, unsigned int *index, struct region_table *table)
{
	const struct pmem_pool *pool = (const struct pmem_pool *)base;
	int error;

	/* What is in the directory's place before begin() is nothing that is of this pool. */
	if (base->fresh)
		return -ENOENT;
	error = format_table(pool->medium.memory, pool->medium.size, *index, pool->path, table);
	if (!error)
		++*index;
	return error;
}

/* When the next periodic mirror is due; 0: none is. */
static uint64_t next_due(const struct pmem_pool *pool)
{
	uint64_t due = 0;

	for (unsigned int i = 0; i < pool->mirror_count; i++)
		if (pool->mirrors[i]->due_us && (!due || pool->mirrors[i]->due_us < due))
			due = pool->mirrors[i]->due_us;
	return due;
}

static void wait_until(struct pmem_pool *pool, uint64_t due_us)
{
	const struct timespec until = { .tv_sec = (time_t)(due_us / 1000000),
					.tv_nsec = (long)(due_us % 1000000) * 1000 };

	if (due_us)
		pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
	else
		pthread_cond_wait(&pool->changed, &pool->lock);
}

static void *run_flusher(void *arg)
{
	struct pmem_pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	while (!pool->stopping) {
		uint64_t now = clock_monotonic_us();
		struct mirror *due = NULL;

		for (unsigned int i = 0; i < pool->mirror_count && !due; i++)
			if (pool->mirrors[i]->due_us && pool->mirrors[i]->due_us <= now)
				due = pool->mirrors[i];
		if (!due) {
			wait_until(pool, next_due(pool));
			continue;
		}
		due->due_us = now + (uint64_t)due->table->geometry.flush_ms * 1000;
		pthread_mutex_unlock(&pool->lock);
		/* If it fails, the pool has failed: whoever asks next is told. */
		mirror_flush(due);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* A signal is for the program's own threads. Lock held. */
static int start_flusher(struct pmem_pool *pool)
{
	sigset_t all;
	sigset_t before;
	int error;

	if (pool->flushing)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&pool->flusher, NULL, run_flusher, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return error_set(-error, "starting the thread that flushes the pool: %s",
				 strerror(error));
	pthread_setname_np(pool->flusher, "estate-pool");
	pool->flushing = 1;
	return 0;
}

static void stop_flusher(struct pmem_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopping = 1;
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	if (pool->flushing)
		pthread_join(pool->flusher, NULL);
	pool->flushing = 0;
}

/* The mirror is ready: from now on writers know it, and the flusher. */
static int attach(struct pmem_pool *pool, struct mirror *mirror)
{
	const struct geometry *geometry = &mirror->table->geometry;
	int error = 0;

	pthread_mutex_lock(&pool->lock);
	if (geometry->durability == ESTATE_DURABILITY_PERIODIC) {
		mirror->due_us = clock_monotonic_us() + (uint64_t)geometry->flush_ms * 1000;
		error = start_flusher(pool);
	}
	if (!error)
		error = mirror_attach(mirror);
	if (!error) {
		pool->mirrors[pool->mirror_count++] = mirror;
		pthread_cond_signal(&pool->changed);
	}
	pthread_mutex_unlock(&pool->lock);
	return error;
}

static int make_mirror(struct pmem_pool *pool, struct estate_table *table, uint64_t offset,
		       struct mirror **result)
{
	struct mirror *mirror = malloc(sizeof(*mirror));
	int error;

	if (!mirror)
		return error_set(-ENOMEM, "table %s: no memory to keep it in a pool", table->name);
	error = mirror_init(mirror, table, &pool->medium, pool->medium.memory + offset);
	if (error)
		free(mirror);
	else
		*result = mirror;
	return error;
}

static void free_mirror(struct mirror *mirror)
{
	mirror_destroy(mirror);
	free(mirror);
}

static int recover(struct pool *base, unsigned int index, struct estate_table *table,
		   struct estate_recovery *report)
{
	struct pmem_pool *pool = (struct pmem_pool *)base;
	struct region_table found;
	struct mirror *mirror;
	int error = format_table(pool->medium.memory, pool->medium.size, index, pool->path, &found);

	if (!error)
		error = make_mirror(pool, table, found.offset, &mirror);
	if (error)
		return error;
	error = recovery_run(mirror, pool->life.state != FORMAT_CLOSED, report);
	if (!error)
		error = attach(pool, mirror);
	if (error) {
		free_mirror(mirror);
		return error;
	}
	return 0;
}

static int add_table(struct pool *base, struct estate_table *table)
{
	struct pmem_pool *pool = (struct pmem_pool *)base;
	struct region_table place = { .geometry = table->geometry,
				      .offset = pool->used,
				      .salt = table->salt };
	const uint64_t length = format_length(&table->geometry);
	struct mirror *mirror;
	int error;

	if (pool->tables == ESTATE_TABLES_MAX)
		return error_set(-ENOSPC, "pool %s: it has %d tables already, no more fit",
				 pool->path, ESTATE_TABLES_MAX);
	if (length > pool->medium.size - pool->used)
		return error_set(
			-ENOSPC,
			"table %s takes %llu bytes, the pool %s has %llu left of %zu: make "
			"it anew with pool_size at least %llu (\"estate pool recover\" "
			"keeps what is in it)",
			table->name, (unsigned long long)length, pool->path,
			(unsigned long long)(pool->medium.size - pool->used), pool->medium.size,
			(unsigned long long)(pool->used + length));
	strcpy(place.name, table->name);
	error = image_clear(&pool->medium, place.offset, length);
	if (!error)
		error = image_describe(&pool->medium, pool->tables, &place);
	if (error)
		return error;
	/* It is in the pool from here on, used or not. */
	pool->tables++;
	pool->used += length;
	error = make_mirror(pool, table, place.offset, &mirror);
	if (error)
		return error;
	error = attach(pool, mirror);
	if (error)
		free_mirror(mirror);
	return error;
}

/* The next state of the instance's life, over the older of the two copies. */
static int write_life(struct pmem_pool *pool, enum format_state state)
{
	struct format_life life = { .sequence = pool->life.sequence + 1,
				    .epoch = pool->base.epoch,
				    .state = state };
	unsigned int copy = !pool->life_copy;
	int error;

	memcpy(life.adopter, pool->base.adopter, sizeof(life.adopter));
	life.adopter_pool = (uint32_t)pool->base.adopter_pool;
	error = image_write_life(&pool->medium, copy, &life);
	if (error)
		return error;
	pool->life = life;
	pool->life_copy = copy;
	return 0;
}

static int write_header(struct pmem_pool *pool)
{
	struct format_header header = { .size = pool->medium.size };

	memcpy(header.uuid, pool->base.uuid, sizeof(header.uuid));
	memcpy(header.group, pool->group, sizeof(header.group));
	memcpy(header.name, pool->name, sizeof(header.name));
	return image_write_header(&pool->medium, &header);
}

static int flush_slot(struct estate_table *table, uint32_t slot)
{
	return mirror_flush_slot(table->mirror, slot);
}

static int adopting(struct pool *base, const struct pool_adoption *adoption)
{
	struct pmem_pool *pool = (struct pmem_pool *)base;
	struct persist_batch batch = persist_begin(&pool->medium);
	struct format_adoption next = { .sequence = pool->adoption.sequence + 1,
					.adoption = *adoption };
	unsigned int copy = !pool->adoption_copy;
	int error;

	format_seal_adoption(&next);
	persist_copy(&batch,
		     pool->medium.memory + FORMAT_ADOPTION + (size_t)copy * FORMAT_ADOPTION_STRIDE,
		     &next, sizeof(next));
	error = persist_drain(&batch);
	if (error)
		return error;
	pool->adoption = next;
	pool->adoption_copy = copy;
	return 0;
}

static const struct pool_adoption *adoption_of(const struct pool *base)
{
	const struct pmem_pool *pool = (const struct pmem_pool *)base;

	return pool->adoption.adoption.epoch ? &pool->adoption.adoption : NULL;
}

static int leaving(struct pool *base, const uint8_t *adopter, int adopter_pool)
{
	struct pmem_pool *pool = (struct pmem_pool *)base;

	if (!adopter)
		return write_life(pool, FORMAT_OPEN);
	memcpy(base->adopter, adopter, sizeof(base->adopter));
	base->adopter_pool = adopter_pool;
	return write_life(pool, FORMAT_LEAVING);
}

static int handed_over(struct pool *base)
{
	struct pmem_pool *pool = (struct pmem_pool *)base;

	stop_flusher(pool);
	return write_life(pool, FORMAT_HANDED_OVER);
}

/* From a header that says so: from here on there is no pool, until there is a new one. */
static int erase(struct pmem_pool *pool)
{
	struct persist_batch batch = persist_begin(&pool->medium);
	int error;

	persist_zero(&batch, pool->medium.memory, sizeof(uint64_t));
	error = persist_drain(&batch);
	if (error)
		return error;
	return image_clear(&pool->medium, LAYOUT_DIRECTORY, LAYOUT_TABLES - LAYOUT_DIRECTORY);
}

static int begin(struct pool *base)
{
	struct pmem_pool *pool = (struct pmem_pool *)base;
	int error = base->fresh ? erase(pool) : 0;

	/* That it had adopted somebody is of its last owner. */
	if (!error && base->fresh)
		error = adopting(base, &(struct pool_adoption){ 0 });
	if (!error)
		error = write_life(pool, base->leaving ? FORMAT_LEAVING : FORMAT_OPEN);
	if (!error && base->fresh)
		error = write_header(pool);
	return error;
}

static int sync_all(struct pool *base)
{
	struct pmem_pool *pool = (struct pmem_pool *)base;
	int error = persist_check(&pool->medium);
	unsigned int count;

	pthread_mutex_lock(&pool->lock);
	count = pool->mirror_count;
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < count && !error; i++)
		error = mirror_flush(pool->mirrors[i]);
	return error;
}

static int end(struct pool *base)
{
	struct pmem_pool *pool = (struct pmem_pool *)base;
	int error;

	stop_flusher(pool);
	error = sync_all(base);
	/* Who was about to hand over still is. */
	if (!error && pool->life.state == FORMAT_OPEN)
		error = write_life(pool, FORMAT_CLOSED);
	return error;
}

static void close_pool(struct pool *base)
{
	struct pmem_pool *pool = (struct pmem_pool *)base;

	stop_flusher(pool);
	for (unsigned int i = 0; i < pool->mirror_count; i++)
		free_mirror(pool->mirrors[i]);
	medium_close(&pool->medium);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	free(pool->path);
	free(pool);
}

static const struct pool_operations operations = {
	.next_table = next_table,
	.recover = recover,
	.add_table = add_table,
	.flush_slot = flush_slot,
	.adopting = adopting,
	.adoption = adoption_of,
	.leaving = leaving,
	.handed_over = handed_over,
	.begin = begin,
	.sync = sync_all,
	.end = end,
	.close = close_pool,
};

/* Whose pool is it? */
static int check_owner(const struct pmem_pool *pool)
{
	const struct format_header *header = (const struct format_header *)pool->medium.memory;

	if (!strcmp(header->group, pool->group) && !strcmp(header->name, pool->name))
		return 0;
	return error_set(-EPERM,
			 "pool %s: it is of instance %s of group %s, this is %s of group %s: give "
			 "each instance a pool of its own",
			 pool->path, header->name, header->group, pool->name, pool->group);
}

/* Look at what is there. 0, with base.fresh set if there is nothing. */
static int look(struct pmem_pool *pool)
{
	const struct format_header *header = (const struct format_header *)pool->medium.memory;
	int error = format_check(pool->medium.memory, pool->medium.size, pool->path);

	pool->used = LAYOUT_TABLES;
	if (error == -ENOENT) {
		pool->base.fresh = 1;
		return 0;
	}
	if (!error)
		error = check_owner(pool);
	if (!error)
		error = format_life(pool->medium.memory, pool->path, &pool->life, &pool->life_copy);
	if (error)
		return error;
	if (format_adoption(pool->medium.memory, &pool->adoption, &pool->adoption_copy))
		pool->adoption.sequence = 0;
	memcpy(pool->base.uuid, header->uuid, sizeof(pool->base.uuid));
	pool->base.epoch = pool->life.epoch;
	/* As good as new, but a later life of whose it was: its adopter may wait to hear that. */
	if (pool->life.state == FORMAT_HANDED_OVER) {
		pool->base.fresh = 1;
		return 0;
	}
	pool->base.leaving = pool->life.state == FORMAT_LEAVING;
	memcpy(pool->base.adopter, pool->life.adopter, sizeof(pool->base.adopter));
	pool->base.adopter_pool = (int)pool->life.adopter_pool;
	for (;;) {
		struct region_table table;

		error = next_table(&pool->base, &pool->tables, &table);
		if (error)
			return error == -ENOENT ? 0 : error;
		if (table.offset + format_length(&table.geometry) > pool->used)
			pool->used = table.offset + format_length(&table.geometry);
	}
}

int pmem_pool_open(const struct pool_attr *attr, struct pool **result)
{
	struct pmem_pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t monotonic;
	int error;

	if (!pool)
		return error_set(-ENOMEM, "pool %s: no memory", attr->path);
	pool->base.operations = &operations;
	pool->path = strdup(attr->path);
	if (!pool->path) {
		free(pool);
		return error_set(-ENOMEM, "pool %s: no memory", attr->path);
	}
	strcpy(pool->group, attr->group);
	strcpy(pool->name, attr->name);
	error = medium_open(&pool->medium, attr->path,
			    attr->size ? attr->size : format_size(attr->region));
	if (error) {
		free(pool->path);
		free(pool);
		return error;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	error = look(pool);
	if (error) {
		close_pool(&pool->base);
		return error;
	}
	*result = &pool->base;
	return 0;
}
