/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools of persistent memory that no instance has open: to look at, and to save. */
#ifndef ESTATE_POOL_H
#define ESTATE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <estate/error.h>
#include <estate/instance.h>
#include <estate/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/** enum estate_pool_damage - what of a pool would not verify; bits of one number */
enum estate_pool_damage {
	ESTATE_POOL_HEADER = 1, /* whose it is; its tables may be whole */
	ESTATE_POOL_LIFE = 2, /* how its last life went */
	ESTATE_POOL_DIRECTORY = 4, /* what some of its tables are: those are lost */
	ESTATE_POOL_ENTRIES = 8, /* some entries, of tables that are known */
	ESTATE_POOL_SIZE = 16, /* it has not as many bytes as it was made with */
};

/**
 * struct estate_pool_info - what is known of a pool
 * @group: of the instance whose it is; "" if the header is damaged, as @name
 * @name: of this instance
 * @uuid: of this instance; zeros if the header is damaged
 * @epoch: of its last life; 0 if that is not known
 * @size: bytes that it was made with
 * @found: bytes that are there
 * @used: of @size: up to the end of the last table
 * @tables: tables that are known
 * @tables_lost: entries of the directory that would not verify
 * @live: entries of all tables that verify
 * @damaged: entries that do not
 * @closed: 1 if its last life ended in order, 0 if not, or if that is not known
 * @leaving: 1 if it ended while it handed over: a part of what is in here may be
 *	another instance's by now. estate_adopt() brings that to its end
 * @handed_over: 1 if another instance has all of it: nothing in here counts any more
 * @real: 1 if it is in persistent memory; 0: a file, which takes system calls to write
 * @damage: bits of enum estate_pool_damage; 0: all that there is verifies
 */
struct estate_pool_info {
	char group[ESTATE_NAME_MAX];
	char name[ESTATE_NAME_MAX];
	uint8_t uuid[16];
	uint64_t epoch;
	uint64_t size;
	uint64_t found;
	uint64_t used;
	unsigned int tables;
	unsigned int tables_lost;
	uint64_t live;
	uint64_t damaged;
	int closed;
	int leaving;
	int handed_over;
	int real;
	unsigned int damage;
};

/**
 * struct estate_pool_table - a table of a pool
 * @name: of the table
 * @attr: its geometry, rules and durability, without custom reducers
 * @live: entries that verify, their values included. A key that a crash left in two
 *	places counts twice; the instance drops the older one
 * @deleted: places whose last key was deleted
 * @damaged: entries that would not verify
 * @bytes: of the pool that the table has
 * @missing: of these, beyond the end of the pool: what was there is not counted above
 */
struct estate_pool_table {
	char name[ESTATE_NAME_MAX];
	struct estate_table_attr attr;
	uint64_t live;
	uint64_t deleted;
	uint64_t damaged;
	uint64_t bytes;
	uint64_t missing;
};

/**
 * estate_pool_visit_fn - is shown one table of a pool
 * @table: the table; valid during the call
 * @arg: as given
 *
 * Return: 0 to go on; anything else ends the call, which returns it.
 */
typedef int estate_pool_visit_fn(const struct estate_pool_table *table, void *arg);

/**
 * estate_pool_check - verify a pool
 * @path: a file or a DAX device
 * @visit: called for each table that is known, in the directory's order; may be NULL
 * @arg: its argument
 * @info: filled in if the return value is 0; may be NULL
 *
 * Reads all of the pool and writes nothing. Every entry and every value is
 * verified by the rules by which an instance recovers them. That something is damaged
 * is no error: it is in @info->damage, and in the tables' counts. Needs the permission to
 * write, too: of persistent memory only who might write it is told that it is.
 *
 * Thread safety: any thread.
 *
 * Return: 0, what @visit returned, or
 *	-EINVAL	@path is NULL
 *	-EBUSY	a process has the pool open
 *	-EBADMSG	it is no pool, or nothing is left of it
 *	-EPROTO	it was made by another version of the library
 *	-ENOTSUP	this build has no persistent memory, or the CPU lacks the CRC32C
 *		instruction
 *	-ENOMEM	no memory
 *	or what the failed system call said.
 *
 * Example:
 *	struct estate_pool_info info;
 *
 *	if (estate_pool_check("/mnt/pmem/ids-1", NULL, NULL, &info))
 *		errx(1, "%s", estate_errormsg());
 *	if (info.damage)
 *		printf("%ju entries are damaged\n", info.damaged);
 */
ESTATE_API int estate_pool_check(const char *path, estate_pool_visit_fn *visit, void *arg,
				 struct estate_pool_info *info);

/**
 * struct estate_salvage_attr - how the new pool is to be
 * @size: sizeof(struct estate_salvage_attr), set by ESTATE_SALVAGE_ATTR_INIT
 * @pool_size: bytes of the new pool; 0 for as many as the old one was made with, or more if
 *	its tables need more. A DAX device is taken as it is
 * @group: whose the pool is, if its header is damaged and does not say so; NULL otherwise, as @name
 * @name: the instance's name
 */
struct estate_salvage_attr {
	size_t size;
	size_t pool_size;
	const char *group;
	const char *name;
};

#define ESTATE_SALVAGE_ATTR_INIT                           \
	{                                                  \
		.size = sizeof(struct estate_salvage_attr) \
	}

/**
 * estate_pool_salvage - make a new pool of what verifies in another one
 * @from: a pool: damaged, cut off, or whole, to get a larger one. Only read
 * @to: the new one; there must be no such file, or it is a DAX device that begins with zeros
 * @attr: how it is to be, or NULL
 * @visit: called for each table of @from when it has been copied; may be NULL
 * @arg: its argument
 * @info: what was found in @from, if the return value is 0; may be NULL
 *
 * The new pool is the same instance's: it has its UUID, group, name and epoch (a
 * new UUID, if the old one is lost with the header), every table that is known, and of
 * it every entry whose newest version verifies. Of the others nothing is kept: an older version
 * might be there, but nobody could tell that it is older. If the call fails there is no new pool.
 *
 * Thread safety: any thread.
 *
 * Return: 0, what @visit returned, or
 *	-EINVAL	a NULL path, or a field of @attr is not valid
 *	-EBUSY	a process has @from open
 *	-EEXIST	@to is there
 *	-EBADMSG	@from is no pool; nothing is left of it; or its header is damaged and
 *		@attr does not say whose it is
 *	-EPERM	@attr says that it is another instance's than its header
 *	-EPROTO	@from was made by another version of the library
 *	-ENOSPC	the tables do not fit into @pool_size, or there is no room for it
 *	-ENOTSUP	as estate_pool_check()
 *	-EIO	@to could not be written
 *	-ENOMEM	no memory
 *	or what the failed system call said.
 *
 * Example:
 *	struct estate_salvage_attr attr = ESTATE_SALVAGE_ATTR_INIT;
 *
 *	attr.pool_size = (size_t)4 << 30;
 *	if (estate_pool_salvage("/mnt/pmem/ids-1", "/mnt/pmem/ids-1.new", &attr, NULL, NULL, &info))
 *		errx(1, "%s", estate_errormsg());
 */
ESTATE_API int estate_pool_salvage(const char *from, const char *to,
				   const struct estate_salvage_attr *attr,
				   estate_pool_visit_fn *visit, void *arg,
				   struct estate_pool_info *info);

/**
 * struct estate_adopt_attr - how a pool is to be adopted
 * @size: sizeof(struct estate_adopt_attr), set by ESTATE_ADOPT_ATTR_INIT
 * @registry: where its group's members are, as struct estate_attr's
 * @to: who is to take it over, as struct estate_leave_attr's
 * @deadline_ms: how long to wait for that, 0 for a minute
 * @dead: if it died while it handed over: the one that was to take it over, if that is
 *	dead for certain, too, as struct estate_leave_attr's
 */
struct estate_adopt_attr {
	size_t size;
	const char *registry;
	const char *to;
	unsigned int deadline_ms;
	const char *dead;
};

#define ESTATE_ADOPT_ATTR_INIT                           \
	{                                                \
		.size = sizeof(struct estate_adopt_attr) \
	}

/**
 * estate_adopt - hand what a dead instance left in its pool over to a member of its group
 * @path: the pool
 * @attr: how; NULL for the defaults
 *
 * Opens the pool as the instance that it was, which so is a member of its group
 * again, and leaves with a hand-over: see estate_leave(), whose hand-over is also
 * brought to its end in this way if the instance died in it. Nothing in the pool
 * counts after that; who opens it again begins with an empty one.
 *
 * Thread safety: any thread.
 *
 * Return: 0, or
 *	-EINVAL	@path is NULL, or @attr is not valid
 *	-ENOENT	nothing in the pool counts any more; or nobody could take it over
 *	or what estate_pool_check(), estate_open() and estate_leave() return. The pool
 *	is as it was then, or a hand-over has begun: call again.
 *
 * Example:
 *	if (estate_adopt("/mnt/pmem/ids-1", NULL))
 *		errx(1, "%s", estate_errormsg());
 */
ESTATE_API int estate_adopt(const char *path, const struct estate_adopt_attr *attr);

#ifdef __cplusplus
}
#endif

#endif
