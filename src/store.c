// SPDX-License-Identifier: BSD-3-Clause
#include "store.h"

#include "crc.h"
#include "error.h"
#include "tables.h"
#include "whole.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define REGION_SIZE_DEFAULT ((size_t)64 << 20)

static int check_attr(const struct estate_attr *attr)
{
	int observer;

	if (!attr)
		return error_set(-EINVAL, "estate_open: attr is NULL");
	if (attr->size != sizeof(*attr))
		return error_set(
			-EINVAL,
			"estate_open: attr's size is %zu, this library expects %zu: start from "
			"ESTATE_ATTR_INIT, built with the same headers",
			attr->size, sizeof(*attr));
	if (attr->flags & ~(ESTATE_OBSERVER | ESTATE_RESUME_LEAVE))
		return error_set(-EINVAL, "estate_open: unknown flags 0x%x",
				 attr->flags & ~(ESTATE_OBSERVER | ESTATE_RESUME_LEAVE));
	observer = !!(attr->flags & ESTATE_OBSERVER);
	if (!attr->group || !region_name_valid(attr->group))
		return error_set(
			-EINVAL,
			"estate_open: group \"%s\": must be 1 to 63 characters of A-Z a-z 0-9 . "
			"_ - with no dot in front",
			attr->group ? attr->group : "(NULL)");
	if (observer ? attr->name && !region_name_valid(attr->name)
		     : !attr->name || !region_name_valid(attr->name))
		return error_set(
			-EINVAL,
			"estate_open: name \"%s\": must be 1 to 63 characters of A-Z a-z 0-9 . "
			"_ - with no dot in front",
			attr->name ? attr->name : "(NULL)");
	if (observer && attr->pool)
		return error_set(-EINVAL, "estate_open: an observer has nothing to keep in a pool");
	if (!crc_supported())
		return error_set(-ENOTSUP,
				 "estate_open: this CPU has no CRC32C instruction (SSE 4.2)");
	return 0;
}

/* Who we are: new at every start, unless there is a pool to go on from. */
static int make_identity(const struct estate_attr *attr, struct pool *pool,
			 struct region_identity *identity)
{
	*identity = (struct region_identity){ .epoch = clock_physical() };
	strcpy(identity->group, attr->group);
	if (attr->name)
		strcpy(identity->name, attr->name);
	/* Of one that was handed over, too: see adopt.c, came_back_later(). */
	if (pool && pool->epoch) {
		memcpy(identity->uuid, pool->uuid, sizeof(identity->uuid));
		/* The adopter knows it by that life. */
		if (pool->leaving) {
			identity->epoch = pool->epoch;
			return 0;
		}
		if (identity->epoch <= pool->epoch)
			identity->epoch = pool->epoch + 1;
		return 0;
	}
	if (getrandom(identity->uuid, sizeof(identity->uuid), 0) != sizeof(identity->uuid))
		return error_set(-errno, "estate_open: getrandom: %m");
	/* Version 4, variant 1 (RFC 4122). */
	identity->uuid[6] = (identity->uuid[6] & 0x0f) | 0x40;
	identity->uuid[8] = (identity->uuid[8] & 0x3f) | 0x80;
	return 0;
}

/* A table that the pool has. */
struct pool_table {
	unsigned int number;
	uint32_t salt;
};

/* Tie a table to the pool, if it is to be there. @kept: where it is. */
static int keep_table(struct estate *es, struct estate_table *table, const struct pool_table *kept)
{
	int error;

	if (!table->buckets || table->geometry.durability == ESTATE_DURABILITY_NONE)
		return 0;
	if (!es->pool)
		return error_set(-ENOTSUP,
				 "table %s: its durability needs a pool: open the instance with "
				 "one, or the table with ESTATE_DURABILITY_NONE",
				 table->name);
	if (kept)
		error = es->pool->operations->recover(es->pool, kept->number, table, &es->recovery);
	else
		error = es->pool->operations->add_table(es->pool, table);
	if (!error)
		table_choose_writes(table, !whole_shaped(&table->geometry));
	return error;
}

/*
 * Make a table of ours, in the region unless we are an observer. @kept: as what the
 * pool has; NULL: an empty one. Lock held.
 */
static int make_table(struct estate *es, const char *name, const struct geometry *geometry,
		      const struct pool_table *kept, struct estate_table **result)
{
	struct estate_table *table;
	struct region_table place = { 0 };
	uint64_t *entries = NULL;
	int error = 0;

	if (es->table_count == ESTATE_TABLES_MAX)
		return error_set(-ENOSPC,
				 "table %s: this instance has %d tables already, no more fit", name,
				 ESTATE_TABLES_MAX);
	table = aligned_alloc(64, sizeof(*table));
	if (!table)
		return error_set(-ENOMEM, "table %s: no memory", name);
	memset(table, 0, sizeof(*table));
	strcpy(table->name, name);
	table->es = es;
	table->number = es->table_count;
	if (es->region.memory)
		error = region_prepare_table(&es->region, name, geometry,
					     kept ? kept->salt : region_salt(&es->identity, name),
					     &place, &entries);
	/* What comes from a pool is taken as it comes. */
	if (!error && es->region.memory && !kept)
		error = region_take_table(&es->region, &place);
	if (!error)
		error = table_init(table, geometry, place.salt,
				   es->region.memory ? es->region.memory + place.offset : NULL,
				   &es->clock, entries);
	if (error) {
		free(table);
		return error;
	}
	error = keep_table(es, table, kept);
	if (error) {
		table_destroy(table);
		free(table);
		return error;
	}
	if (es->region.memory)
		region_publish_table(&es->region, &place);
	es->tables[es->table_count++] = table;
	*result = table;
	return 0;
}

/* All tables of the pool, as they were. */
static int recover_tables(struct estate *es)
{
	unsigned int index = 0;

	for (;;) {
		struct pool_table kept = { .number = index };
		struct region_table found;
		struct estate_table *table;
		int error = es->pool->operations->next_table(es->pool, &index, &found);

		if (error == -ENOENT)
			return 0;
		if (error)
			return error;
		kept.salt = found.salt;
		error = make_table(es, found.name, &found.geometry, &kept, &table);
		if (error)
			return error;
	}
}

/* Before the region, since the pool says who we are. */
static int open_pool(struct estate *es, const struct estate_attr *attr)
{
	const struct pool_attr pool = { .path = attr->pool,
					.size = attr->pool_size,
					.region = attr->region_size ? attr->region_size
								    : REGION_SIZE_DEFAULT,
					.group = attr->group,
					.name = attr->name };
	int error = attr->pool ? pool_open(&pool, &es->pool) : 0;

	if (!error && attr->flags & ESTATE_RESUME_LEAVE && (!es->pool || !es->pool->leaving))
		error = error_set(-EINVAL, "estate_open: there is no hand-over to resume in %s",
				  attr->pool ? attr->pool : "a pool that is not given");
	if (!error && es->pool && es->pool->leaving && !(attr->flags & ESTATE_RESUME_LEAVE))
		error = error_set(-EINPROGRESS,
				  "pool %s: %s ended while it handed over, and a part of it may be "
				  "another one's: \"estate pool adopt\" brings that to its end",
				  attr->pool, attr->name);

	if (!error)
		error = make_identity(attr, es->pool, &es->identity);
	return error;
}

/* What the pool has into the region; then it is ours, for a new life. */
static int begin_life(struct estate *es, const char *listen)
{
	uint64_t begun = clock_monotonic_us();
	int error;

	if (!es->pool)
		return 0;
	es->recovery.found = !es->pool->fresh;
	error = recover_tables(es);
	if (error)
		return error;
	es->recovery.microseconds = clock_monotonic_us() - begun;
	region_header(&es->region)->flags = LAYOUT_HAS_POOL;
	if (es->pool->leaving) {
		struct layout_header *header = region_header(&es->region);

		memcpy(header->adopter, es->pool->adopter, sizeof(header->adopter));
		header->adopter_epoch = 1;
		header->attempt = 1;
		header->state = LAYOUT_SEALED;
		/* Nobody reads it from another host, and is to be waited for. */
		if (!listen || !transport_address(listen))
			header->ripe = header->attempt;
	}
	memcpy(es->pool->uuid, es->identity.uuid, sizeof(es->pool->uuid));
	es->pool->epoch = es->identity.epoch;
	return es->pool->operations->begin(es->pool);
}

static void destroy(struct estate *es)
{
	for (unsigned int i = 0; i < es->table_count; i++) {
		table_destroy(es->tables[i]);
		free(es->tables[i]);
	}
	region_destroy(&es->region);
	pthread_mutex_destroy(&es->lock);
	free(es);
}

int estate_open(const struct estate_attr *attr, struct estate **result)
{
	struct estate *es;
	int observer;
	int error = check_attr(attr);

	if (error)
		return error;
	if (!result)
		return error_set(-EINVAL, "estate_open: es is NULL");
	observer = !!(attr->flags & ESTATE_OBSERVER);
	es = calloc(1, sizeof(*es));
	if (!es)
		return error_set(-ENOMEM, "estate_open: no memory");
	pthread_mutex_init(&es->lock, NULL);
	clock_tick(&es->clock);
	error = open_pool(es, attr);
	if (!error && !observer)
		error = region_create(&es->region, &es->identity,
				      attr->region_size ? attr->region_size : REGION_SIZE_DEFAULT);
	if (!error)
		error = begin_life(es, attr->listen);
	if (!error && !observer)
		error = adopter_init(es, &es->adopter);
	if (!error)
		error = group_join(attr, &es->identity, observer ? NULL : &es->region, &es->clock,
				   es->adopter, &es->group);
	if (error) {
		adopter_destroy(es->adopter);
		if (es->pool)
			es->pool->operations->close(es->pool);
		destroy(es);
		return error;
	}
	if (es->adopter)
		adopter_begin(es->adopter);
	*result = es;
	return 0;
}

int estate_close(struct estate *es)
{
	unsigned int views;
	int error = 0;

	if (!es)
		return 0;
	views = __atomic_load_n(&es->views, __ATOMIC_ACQUIRE);
	if (views)
		return error_set(-EBUSY, "estate_close: %u of its views are open: close them first",
				 views);
	adopter_stop(es->adopter);
	leave_wait_end(&es->wait);
	group_leave(es->group);
	adopter_destroy(es->adopter);
	if (es->pool) {
		error = es->pool->operations->end(es->pool);
		es->pool->operations->close(es->pool);
	}
	destroy(es);
	return error;
}

int estate_recovery(const struct estate *es, struct estate_recovery *recovery)
{
	if (!es || !recovery)
		return error_set(-EINVAL, "estate_recovery: %s is NULL", es ? "recovery" : "es");
	*recovery = es->recovery;
	return 0;
}

int estate_sync(struct estate *es)
{
	if (!es)
		return error_set(-EINVAL, "estate_sync: es is NULL");
	return es->pool ? es->pool->operations->sync(es->pool) : 0;
}

int estate_members(struct estate *es, struct estate_member *members, unsigned int max)
{
	if (!es || (!members && max))
		return error_set(-EINVAL, "estate_members: %s is NULL", es ? "members" : "es");
	return group_members(es->group, members, max);
}

static struct estate_table *find_own(const struct estate *es, const char *name)
{
	for (unsigned int i = 0; i < es->table_count; i++)
		if (!strcmp(es->tables[i]->name, name))
			return es->tables[i];
	return NULL;
}

static int find_in_group(struct estate *es, const char *name, struct geometry *geometry)
{
	struct roster *roster;
	uint64_t generation;
	int error;

	group_renew(es->group);
	roster = group_roster(es->group, &generation);
	error = tables_find(roster, name, geometry);
	roster_release(roster);
	return error ? error_set(error,
				 "no member that can be read has a table %s: give its attributes, "
				 "or wait for one that has it",
				 name)
		     : 0;
}

int store_table(struct estate *es, const char *name, const struct geometry *geometry,
		struct estate_table **result)
{
	struct geometry ours = *geometry;
	struct estate_table *table;
	int error = 0;

	pthread_mutex_lock(&es->lock);
	table = find_own(es, name);
	if (!es->pool)
		ours.durability = ESTATE_DURABILITY_NONE;
	if (!table)
		error = make_table(es, name, &ours, NULL, &table);
	else if (!geometry_same(&table->geometry, geometry))
		error = error_set(-EPROTO,
				  "table %s is open on this instance with another geometry", name);
	pthread_mutex_unlock(&es->lock);
	if (!error)
		*result = table;
	return error;
}

int estate_table_open(struct estate *es, const char *name, const struct estate_table_attr *attr,
		      struct estate_table **result)
{
	struct geometry geometry;
	struct estate_table *table;
	int error = 0;

	if (!es || !name || !result)
		return error_set(-EINVAL, "estate_table_open: %s is NULL",
				 !es	 ? "es"
				 : !name ? "name"
					 : "table");
	if (!region_name_valid(name))
		return error_set(
			-EINVAL,
			"table \"%s\": the name must be 1 to 63 characters of A-Z a-z 0-9 . _ - "
			"with no dot in front",
			name);
	if (attr)
		error = geometry_init(&geometry, attr);
	if (!error && attr && attr->merge == ESTATE_MERGE_CUSTOM && !attr->custom)
		error = error_set(-EINVAL, "table %s: the merge rule is custom, and custom is NULL",
				  name);
	if (error)
		return error;

	pthread_mutex_lock(&es->lock);
	table = find_own(es, name);
	if (table && attr && !geometry_same(&table->geometry, &geometry)) {
		error = error_set(-EEXIST,
				  "table %s is open on this instance with another geometry%s", name,
				  table->mirror ? ", or came back so from its pool" : "");
	} else if (table && attr && table->buckets &&
		   table->geometry.durability != geometry.durability) {
		error = error_set(-EEXIST,
				  "table %s is open on this instance with durability %d%s, not %d",
				  name, (int)table->geometry.durability,
				  table->mirror ? ", or came back so from its pool" : "",
				  (int)geometry.durability);
	} else if (!table) {
		if (!attr)
			error = find_in_group(es, name, &geometry);
		/* Others' pools are theirs. */
		if (!attr && !es->pool)
			geometry.durability = ESTATE_DURABILITY_NONE;
		if (!error)
			error = make_table(es, name, &geometry, NULL, &table);
	}
	if (!error && attr && attr->custom) {
		table->custom = attr->custom;
		table->custom_arg = attr->custom_arg;
	}
	pthread_mutex_unlock(&es->lock);
	if (!error)
		*result = table;
	return error;
}
