/* SPDX-License-Identifier: BSD-3-Clause */
/* An instance of a network function, as a member of its group. */
#ifndef ESTATE_INSTANCE_H
#define ESTATE_INSTANCE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <estate/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Longest name of a group, an instance or a table, with its final zero. */
#define ESTATE_NAME_MAX 64

/* Join to read only: no region, no name, nothing that others would read. */
#define ESTATE_OBSERVER 0x1u

/*
 * The pool is of an instance that ended while it handed over: open it only for
 * estate_leave() to bring that to its end. Nothing may be written.
 */
#define ESTATE_RESUME_LEAVE 0x2u

/** An instance (or observer) of a group; see estate_open(). */
struct estate;

/**
 * struct estate_attr - how to join a group
 * @size: sizeof(struct estate_attr); ESTATE_ATTR_INIT sets it, so that fields
 *	can be added without breaking programs that are already built
 * @group: the group to join. Names of groups, instances and tables are 1 to 63
 *	of the characters A-Z a-z 0-9 . _ - and do not begin with a dot
 * @name: this instance's name, unique within the group; an observer may leave
 *	it NULL
 * @registry: where members find each other.
 *	"dir:PATH": members on this host, one folder PATH/GROUP; made with mode
 *	0700 if it is not there. Where the folder exists already, its own group
 *	permission decides whether members of its Unix group may join.
 *	"dir:" or NULL: PATH is $ESTATE_DIR, else $XDG_RUNTIME_DIR/estate, else
 *	/run/estate for root and /tmp/estate-UID for others.
 *	"static:ADDRESS[,ADDRESS...]": a fixed list of the members' addresses,
 *	on this host and others; needs @listen, except for an observer. All may be
 *	given the same list. An address that does not answer is a member that is
 *	missing
 * @listen: this instance's own address; NULL with "dir:", which chooses one.
 *	"unix:PATH": a Unix socket, for members on this host.
 *	"HOST:PORT": an address of an RDMA device of this host: members on other
 *	hosts read this instance by RDMA, those on this host by shared memory.
 *	HOST is an IPv4 address, an IPv6 address in brackets, a name, or the
 *	name of an RDMA device ("mlx5_0"), for its first address.
 *	"verbs:HOST:PORT": the same, but members on this host use RDMA, too.
 *	With "dir:" PORT may be 0, for any that is free
 * @region_size: bytes of the region, 0 for 64 MiB. estate_table_bytes() tells
 *	what a table needs. Memory is taken when a table is opened, not before; but
 *	for RDMA all of the region is registered, and so taken and locked, at once
 * @flags: 0, ESTATE_OBSERVER or ESTATE_RESUME_LEAVE
 * @pool: where this instance keeps its durable tables: a file, on a file system
 *	with DAX or any other, or a DAX device (/dev/daxX.Y); NULL for nowhere.
 *	Made with mode 0600 if it is not there. One that is there makes this
 *	instance go on as the one that it was: with its UUID, the next epoch, and
 *	all tables of the pool, open; estate_recovery() tells what came back
 * @pool_size: bytes of a new pool file, 0 for 1.6 times the region's. A durable table
 *	takes 0.9 to 1.6 times as much of the pool as of the region, as entries are on cache
 *	lines of their own there: of all that fits into the region nothing is too large then
 */
struct estate_attr {
	size_t size;
	const char *group;
	const char *name;
	const char *registry;
	const char *listen;
	size_t region_size;
	unsigned int flags;
	const char *pool;
	size_t pool_size;
};

#define ESTATE_ATTR_INIT                           \
	{                                          \
		.size = sizeof(struct estate_attr) \
	}

/**
 * estate_open - join a group
 * @attr: what to join and as whom; copied
 * @es: set to the new instance
 *
 * Makes the region that others read, starts the library's one background
 * thread (it keeps the clock, the heartbeat and the connections; it takes no
 * part in anybody's reads), enters the registry and connects to the members
 * that are there: when it returns, each of them is connected or known to be
 * missing. All signals are blocked in the background thread.
 *
 * After fork() the child must not use @es, nor close it.
 *
 * Thread safety: any thread; the calls for different instances are independent.
 *
 * Return: 0, or
 *	-EINVAL	@attr is NULL, or a field of it is not valid (the message names it)
 *	-EEXIST	a live instance of the group has this name
 *	-EACCES	the registry's folder may not be entered, or is not safe: it
 *		belongs to another user, or everybody may write to it
 *	-ENAMETOOLONG	the socket's path would not fit into a sockaddr_un
 *	-ENOTSUP	the CPU lacks the CRC32C instruction, or the registry's
 *		kind is unknown to this build, or it has no RDMA
 *	-ENODEV	no RDMA device has the address @listen
 *	-EBUSY	another process has the pool open
 *	-EBADMSG	the pool is damaged, or no pool: estate_pool_salvage() takes out
 *		what can be saved
 *	-EPROTO	the pool was made by another version of the library
 *	-EPERM	the pool is of another instance, or of another group
 *	-EINPROGRESS	the pool is of an instance that ended while it handed over:
 *		a part of it may be another one's. See ESTATE_RESUME_LEAVE
 *	-ENOSPC	no room for the pool, or the region is too small for its tables
 *	-ENOMEM	no memory for the region, or the process may not lock so much
 *		(RLIMIT_MEMLOCK)
 *	or what the failed system call said.
 *
 * Example:
 *	struct estate_attr attr = ESTATE_ATTR_INIT;
 *	struct estate *es;
 *
 *	attr.group = "ids";
 *	attr.name = "ids-1";
 *	if (estate_open(&attr, &es))
 *		errx(1, "%s", estate_errormsg());
 */
ESTATE_API int estate_open(const struct estate_attr *attr, struct estate **es);

/**
 * estate_close - leave the group
 * @es: the instance, or NULL
 *
 * Tells the group that this instance left, and frees all that belongs to it,
 * its tables included. Views must be closed first. Durable tables are in the pool
 * when it returns 0.
 *
 * Thread safety: no other thread may be in a call with @es or its tables.
 *
 * Return: 0, or
 *	-EBUSY	a view of @es is still open; nothing was done
 *	-EIO	the instance is closed, but the pool could not be written: what was
 *		persistent before still is
 */
ESTATE_API int estate_close(struct estate *es);

/**
 * struct estate_recovery - what came back from a pool
 * @found: 1 if there was a pool, 0 if it was made
 * @tables: how many tables
 * @entries: and entries in them, live ones
 * @bytes: that were read and checked
 * @microseconds: that it took
 * @threads: that did it
 */
struct estate_recovery {
	int found;
	unsigned int tables;
	uint64_t entries;
	uint64_t bytes;
	uint64_t microseconds;
	unsigned int threads;
};

/**
 * estate_recovery - what estate_open() brought back from the pool
 * @es: the instance
 * @recovery: set to what came back; zeros without a pool
 *
 * Thread safety: any thread.
 *
 * Return: 0, or
 *	-EINVAL	a NULL pointer
 */
ESTATE_API int estate_recovery(const struct estate *es, struct estate_recovery *recovery);

/**
 * estate_sync - make everything persistent that was written before
 * @es: the instance
 *
 * A barrier over all durable tables: what calls had written when this one began
 * is in the pool when it returns, whatever the tables' durability.
 *
 * Thread safety: any thread; writers need not stop.
 *
 * Return: 0, or
 *	-EINVAL	@es is NULL
 *	-EIO	the pool could not be written: nothing since the last success is
 *		known to be persistent
 */
ESTATE_API int estate_sync(struct estate *es);

/**
 * struct estate_leave_attr - how to leave with a hand-over
 * @size: sizeof(struct estate_leave_attr), set by ESTATE_LEAVE_ATTR_INIT
 * @to: the name of the instance that is to take over; NULL or "" for whichever can,
 *	chosen so that those who leave spread over those who stay
 * @deadline_ms: how long to wait for it, 0 for a minute
 * @dead: the name of an instance which is dead for certain, and stays so, with its pool
 *	if it has one; NULL or "" for none. Its UUID, if the leaver came back from its pool
 *	and has not seen it since: the message of -ETIMEDOUT has it. See estate_leave()
 */
struct estate_leave_attr {
	size_t size;
	const char *to;
	unsigned int deadline_ms;
	const char *dead;
};

#define ESTATE_LEAVE_ATTR_INIT                           \
	{                                                \
		.size = sizeof(struct estate_leave_attr) \
	}

/**
 * estate_leave - hand all state over to another instance, and leave the group
 * @es: the instance; it is gone when this returns 0, as after estate_close()
 * @attr: how; NULL for the defaults
 *
 * The instance seals its region, and the adopter reads it and makes every entry
 * a part of its own, by the table's merge rule; tables that it does not have it
 * makes. Global reads go on meanwhile and count each entry once: before, during and
 * after. A custom merge rule needs its function in the adopter, which opened the
 * table with it. An entry of a table with merge rule latest keeps its stamp.
 *
 * The adopter is refused, and another one tried, if it has no room for all entries,
 * another geometry, or no custom function. If it ends in the midst, what it had
 * taken counts as the leaver's again, and another one is tried; but one that has a
 * pool keeps what it took, and is waited for, as it goes on when it is started again.
 *
 * Leaver, adopter and readers may be on any hosts. If any of the group can be read from
 * another host, the hand-over begins a second after the seal, when nobody relies any more
 * on not having seen it. An adopter on another host to which the connection breaks is waited
 * for, until it is back, or it is certain that it is dead: see doc/rdma.md. If its host will
 * not come back, only somebody else can know that: say so by @dead, or by "estate leave
 * --dead", and another one is asked. If it is not true, what it had taken counts twice; so
 * it is not believed of one that has answered within a second.
 *
 * Thread safety: no other thread may be in a call with @es or its tables.
 *
 * Return: 0, or, with the instance as it was:
 *	-EINVAL	@es is NULL or an observer, or @attr is not valid
 *	-EBUSY	a view of @es is open, or it takes over another instance, which was not
 *		finished in time
 *	-ENOENT	there is nobody who could take over
 *	-ECONNREFUSED	all who could have refused; the message says why the last one did
 *	-EHOSTDOWN	the last one who could ended in the midst
 * or, with its region sealed, so that nothing may be written any more, and all
 * counted once: call again, or close it
 *	-ETIMEDOUT	the adopter was not ready in time, and goes on
 *	-EIO	the adopter gave up in the midst
 *
 * Example:
 *	while (estate_leave(es, NULL))
 *		warnx("%s", estate_errormsg());
 */
ESTATE_API int estate_leave(struct estate *es, const struct estate_leave_attr *attr);

/**
 * estate_leave_wanted - whether somebody asked this instance to leave
 * @es: the instance
 * @to: set to the name of the instance that is to take over, "" for whichever can, if
 *	it returns 1; room for ESTATE_NAME_MAX characters, or NULL
 *
 * An operator's "estate leave NAME", or estate_ask_leave(), makes a wish: it is for the
 * program to close its views and to call estate_leave(), or to leave in a way of its
 * own. Look at it now and then, in the loop that handles packets: it is one load, until
 * there is a wish.
 *
 * The wish stays, also when nobody waits any more, until an estate_leave() has failed and
 * left the instance as it was; who asked is told why, and may ask again. Who asks
 * later may name another one.
 *
 * Thread safety: any thread.
 *
 * Return: 1 if it is to leave, else 0, also if @es is NULL or an observer.
 *
 * Example:
 *	char to[ESTATE_NAME_MAX];
 *
 *	if (estate_leave_wanted(es, to)) {
 *		struct estate_leave_attr attr = ESTATE_LEAVE_ATTR_INIT;
 *
 *		attr.to = to;
 *		estate_view_close(view);
 *		if (!estate_leave(es, &attr))
 *			return 0;
 *		warnx("%s", estate_errormsg());
 *	}
 */
ESTATE_API int estate_leave_wanted(const struct estate *es, char *to);

/**
 * estate_ask_leave_fn - is told now and then that an instance has not left yet
 * @waited_ms: milliseconds since it was asked
 * @handing_over: 1 if it hands over just now, 0 if it goes on as before
 * @arg: as given
 */
typedef void estate_ask_leave_fn(unsigned int waited_ms, int handing_over, void *arg);

/**
 * struct estate_ask_leave_attr - how to ask an instance to leave
 * @size: sizeof(struct estate_ask_leave_attr), set by ESTATE_ASK_LEAVE_ATTR_INIT
 * @to: the name of the instance that is to take over; NULL or "" for whichever can
 * @deadline_ms: how long to wait until it has left, 0 for a minute
 * @dead: as in struct estate_leave_attr: the one that it has asked to take over, and
 *	waits for
 * @progress: called about twice a second meanwhile; NULL for nothing
 * @arg: for @progress
 */
struct estate_ask_leave_attr {
	size_t size;
	const char *to;
	unsigned int deadline_ms;
	const char *dead;
	estate_ask_leave_fn *progress;
	void *arg;
};

#define ESTATE_ASK_LEAVE_ATTR_INIT                           \
	{                                                    \
		.size = sizeof(struct estate_ask_leave_attr) \
	}

/* What estate_ask_leave() returns of an instance that closed without estate_leave(). */
#define ESTATE_ASK_CLOSED 1

/**
 * estate_ask_leave - ask another instance on this host to leave with a hand-over
 * @es: an instance or observer of the same group
 * @name: the name of the one that is asked
 * @attr: how; NULL for the defaults
 *
 * Asks over the Unix socket by which members on this host connect: who may join the
 * group may ask. The one that is asked has to look at estate_leave_wanted().
 * Waits until it has left the group.
 *
 * Thread safety: any thread.
 *
 * Return: 0 when another instance has all that it had; ESTATE_ASK_CLOSED if it closed
 * without calling estate_leave(), as one does that hands over in a way of its own; or
 *	-EINVAL	@es or @name is NULL, @name is @es itself, or @attr is not valid
 *	-ENOENT	no member is called @name, or as @attr says who is to take over
 *	-ENOTSUP	it is on another host, or listens for RDMA only
 *	-EHOSTDOWN	it cannot be reached, or does not answer: it is stopped or hung
 *	-ESRCH	it is not the one any more that had this name
 *	-EPROTO	it is of another release
 *	-ECANCELED	its estate_leave() failed; the message says why. It goes on
 *	-ECONNRESET	it ended without a word
 *	-ETIMEDOUT	it has not left in time; the wish stays
 *	or what the failed system call said.
 */
ESTATE_API int estate_ask_leave(struct estate *es, const char *name,
				const struct estate_ask_leave_attr *attr);

/** enum estate_member_state - how a member is doing, seen from here */
enum estate_member_state {
	ESTATE_MEMBER_LIVE, /* connected, its heart beats */
	ESTATE_MEMBER_STALE, /* connected, no heartbeat: stopped or hung; its state can be read */
	ESTATE_MEMBER_MISSING, /* cannot be read: @reason says why */
	ESTATE_MEMBER_SEALED, /* it hands over: its state is read until another one has it */
};

/**
 * struct estate_member - a member of the group
 * @name: its name, "" while it is not known
 * @uuid: who it is: a new one at every start without a pool, and the pool's with one
 * @epoch: which life of it this is: grows at every restart
 * @pid: its process, 0 while it is not known
 * @self: 1 if it is this instance
 * @state: see enum estate_member_state
 * @heartbeat_us: microseconds since its heart was last seen beating
 * @address: where it listens
 * @reason: why it is missing, a sentence; or what last went wrong with a
 *	connection to it; "" if nothing did
 */
struct estate_member {
	char name[ESTATE_NAME_MAX];
	uint8_t uuid[16];
	uint64_t epoch;
	pid_t pid;
	int self;
	enum estate_member_state state;
	uint64_t heartbeat_us;
	char address[128];
	char reason[256];
};

/**
 * estate_members - who is in the group now
 * @es: the instance
 * @members: room for @max members; may be NULL if @max is 0
 * @max: how many there is room for
 *
 * This instance, if it is no observer, is one of them. They come sorted by name.
 *
 * Thread safety: any thread.
 *
 * Return: how many members there are, which may be more than @max, or
 *	-EINVAL	@es is NULL, or @members is NULL while @max is not 0
 */
ESTATE_API int estate_members(struct estate *es, struct estate_member *members, unsigned int max);

/**
 * estate_stamp_ns - the physical time in a stamp
 * @stamp: of an entry, or from struct estate_answer
 *
 * A stamp is a hybrid logical clock (Kulkarni et al., OPODIS 2014):
 * microseconds since 1970 in the upper 52 bits, a counter in the lower 12. The
 * physical part is read once a millisecond.
 *
 * Return: nanoseconds since 1970.
 */
static inline uint64_t estate_stamp_ns(uint64_t stamp)
{
	return (stamp >> 12) * 1000;
}

#ifdef __cplusplus
}
#endif

#endif
