/* SPDX-License-Identifier: BSD-3-Clause */
/* The global view: every instance's value of a key, reduced to one. */
#ifndef ESTATE_VIEW_H
#define ESTATE_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include <estate/error.h>
#include <estate/instance.h>
#include <estate/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One thread's handle for global reads; see estate_view_open(). */
struct estate_view;

/**
 * struct estate_view_attr - how a view reads
 * @size: sizeof(struct estate_view_attr), set by ESTATE_VIEW_ATTR_INIT
 * @deadline_us: how long a global read may take, in microseconds, if its query
 *	does not say; 0 for 10,000
 * @requests: how many requests of estate_query_start() may be under way at a
 *	time; 0 for 16
 */
struct estate_view_attr {
	size_t size;
	uint32_t deadline_us;
	uint32_t requests;
};

#define ESTATE_VIEW_ATTR_INIT                           \
	{                                               \
		.size = sizeof(struct estate_view_attr) \
	}

/**
 * estate_view_open - get a handle for global reads
 * @es: the instance or observer
 * @attr: how it reads, or NULL
 * @view: set to the view
 *
 * Thread safety: any thread may open views of one instance; a view itself is
 * for one thread at a time. Open one per thread.
 *
 * Return: 0, or
 *	-EINVAL	@es or @view is NULL, or @attr is not valid
 *	-ENOMEM	no memory
 */
ESTATE_API int estate_view_open(struct estate *es, const struct estate_view_attr *attr,
				struct estate_view **view);

/**
 * estate_view_close - give a view back
 * @view: the view, or NULL
 */
ESTATE_API void estate_view_close(struct estate_view *view);

/** enum estate_reduce - how the instances' values of a key become one */
enum estate_reduce {
	ESTATE_REDUCE_MERGE, /* by the table's merge rule */
	ESTATE_REDUCE_LATEST, /* the value with the highest stamp, ties by UUID */
	ESTATE_REDUCE_SUM, /* element by element, modulo 2^width: exact */
	ESTATE_REDUCE_MIN,
	ESTATE_REDUCE_MAX,
	ESTATE_REDUCE_AVERAGE, /* the result is one double per element */
	ESTATE_REDUCE_COUNT, /* the result is one uint64_t: how many instances have the key */
	ESTATE_REDUCE_OR, /* bitwise; unsigned types only */
	ESTATE_REDUCE_CALL, /* struct estate_query's @call */
};

/**
 * struct estate_query - what to ask the group
 * @size: sizeof(struct estate_query), set by ESTATE_QUERY_INIT
 * @reduce: how values become one
 * @call: the reducer of ESTATE_REDUCE_CALL: it sees each instance's value,
 *	stamp and identity, in the order of the instances' UUIDs
 * @arg: its argument
 * @deadline_us: how long it may take, in microseconds; 0 for the view's
 */
struct estate_query {
	size_t size;
	enum estate_reduce reduce;
	estate_reduce_fn *call;
	void *arg;
	uint32_t deadline_us;
};

#define ESTATE_QUERY_INIT                           \
	{                                           \
		.size = sizeof(struct estate_query) \
	}

/**
 * struct estate_missing - an instance that gave no answer
 * @name: of the instance
 * @uuid: who it is; zeros while that is not known
 * @why: a negative errno value:
 *	-ETIMEDOUT	the deadline passed first
 *	-EHOSTDOWN	it is not connected, or not any more; estate_members() says why
 *	-EPROTO	its table of this name has another geometry
 *	-EBADMSG	what it exposes would not verify, however often it was read
 *	-EIO	an RDMA device, its or ours, failed to read it
 *	-EAGAIN	it hands its state over just now, and the deadline passed before
 *		it was sure on which side this key is
 */
struct estate_missing {
	const char *name;
	const uint8_t *uuid;
	int why;
};

/**
 * struct estate_answer - what a global read knows about its result
 * @asked: how many instances the group has, this one included
 * @answered: how many of them gave a value, or proved that they have none
 * @present: how many gave a value
 * @stale: how many of @answered have a heart that stopped beating: their value
 *	is the last that they wrote
 * @missing: asked - answered
 * @who: the @missing instances; valid until the view's next call
 * @oldest: the lowest stamp of the values, 0 if there is none
 * @newest: the highest
 * @length: bytes of the result
 */
struct estate_answer {
	unsigned int asked;
	unsigned int answered;
	unsigned int present;
	unsigned int stale;
	unsigned int missing;
	const struct estate_missing *who;
	uint64_t oldest;
	uint64_t newest;
	size_t length;
};

/**
 * estate_get_global - one key, over all instances, by the table's merge rule
 * @view: this thread's view
 * @table: the table, of the same instance
 * @key: @key_length bytes
 * @key_length: 1 to key_size
 * @out: room for @out_size bytes
 * @out_size: at least the length of the result
 * @answer: filled in if the return value is 0, -ENOENT or -EHOSTDOWN; may be
 *	NULL, but then a partial result looks like a whole one
 *
 * Every instance's memory is read with no work by that instance. The values
 * are each whole, and each was current at a moment between the call's
 * beginning and its end; they are not a snapshot of one moment.
 *
 * A result from some of the instances is a result: look at @answer->missing.
 *
 * Return: 0, or
 *	-ENOENT	no instance has the key: all were asked, and all proved it
 *	-EHOSTDOWN	those that answered do not have the key, and some did not
 *		answer: look at @answer
 *	-EINVAL	a NULL pointer, a key of length 0 or longer than key_size, a
 *		table of another instance
 *	-EMSGSIZE	@out_size is too small
 *	-ENOTSUP	the merge rule does not suit the type, or is custom and no
 *		function was given
 *	-ENOMEM	no memory for the view's buffers; taken at the first read of a
 *		table and when instances join
 *
 * Example:
 *	uint64_t total[2];
 *	struct estate_answer answer;
 *
 *	if (!estate_get_global(view, flows, key, 13, total, sizeof(total), &answer))
 *		printf("%ju packets seen by %u of %u\n", total[0], answer.present, answer.asked);
 */
ESTATE_API int estate_get_global(struct estate_view *view, struct estate_table *table,
				 const void *key, size_t key_length, void *out, size_t out_size,
				 struct estate_answer *answer);

/**
 * estate_query_global - the same, reduced as the caller says
 * @view: this thread's view
 * @table: the table
 * @key: @key_length bytes
 * @key_length: 1 to key_size
 * @query: how to reduce, and by when; NULL for estate_get_global()
 * @out: room for @out_size bytes
 * @out_size: at least the length of the result
 * @answer: as for estate_get_global()
 *
 * Return: as estate_get_global(), what the caller's reducer returned, or
 *	-EINVAL	@query is not valid
 *
 * Example:
 *	struct estate_query query = ESTATE_QUERY_INIT;
 *	double mean[2];
 *
 *	query.reduce = ESTATE_REDUCE_AVERAGE;
 *	error = estate_query_global(view, flows, key, 13, &query, mean, sizeof(mean), &answer);
 */
ESTATE_API int estate_query_global(struct estate_view *view, struct estate_table *table,
				   const void *key, size_t key_length,
				   const struct estate_query *query, void *out, size_t out_size,
				   struct estate_answer *answer);

/**
 * estate_query_batch - many keys over all instances in one call
 * @view: this thread's view
 * @table: the table
 * @count: how many keys
 * @keys: @count pointers to keys
 * @key_length: of each of them
 * @query: how to reduce, and by when all must be done; NULL for the merge rule
 * @out: @count results of @out_size bytes, one after the other
 * @out_size: room for each
 * @status: @count results: 0 or a negative errno value as from
 *	estate_query_global()
 * @answers: @count answers, or NULL. Their @who is valid until the view's next
 *	call
 *
 * Return: how many keys have status 0, or an error shared by all of them.
 */
ESTATE_API int estate_query_batch(struct estate_view *view, struct estate_table *table,
				  unsigned int count, const void *const *keys, size_t key_length,
				  const struct estate_query *query, void *out, size_t out_size,
				  int *status, struct estate_answer *answers);

/**
 * estate_query_start - begin to read keys over all instances, and do not wait
 * @view: this thread's view
 * @table: the table
 * @count: how many keys
 * @keys: @count pointers to keys; needed during this call only, like @query
 * @key_length: of each of them
 * @query: how to reduce, and by when; NULL for the merge rule
 * @out: @count results of @out_size bytes, one after the other. This, @status
 *	and @answers are written until estate_query_poll() tells @tag
 * @out_size: room for each
 * @status: @count results, as from estate_query_batch()
 * @answers: @count answers, or NULL. Their @who is valid until the view's next
 *	call after estate_query_poll() told @tag
 * @tag: what estate_query_poll() tells when this request is over
 *
 * For programs that may never sleep. The READs of instances on other hosts are
 * posted; those on this host are read when the others have come, or here.
 *
 * Return: 0, or an error as from estate_query_batch(), or
 *	-EAGAIN	as many requests are under way as the view may have
 *
 * Example:
 *	estate_query_start(view, flows, 1, &key, 13, NULL, total, sizeof(total), &status,
 *			   &answer, packet);
 *	...
 *	while (estate_query_poll(view, &tag, 1) == 1)
 *		release(tag);
 */
ESTATE_API int estate_query_start(struct estate_view *view, struct estate_table *table,
				  unsigned int count, const void *const *keys, size_t key_length,
				  const struct estate_query *query, void *out, size_t out_size,
				  int *status, struct estate_answer *answers, void *tag);

/**
 * estate_query_poll - which requests are over
 * @view: this thread's view
 * @tags: room for @max tags of estate_query_start()
 * @max: how many at most
 *
 * Moves all requests of the view forward, and never sleeps. A request whose
 * deadline has passed is over, with the instances that did not answer missing.
 *
 * Return: how many tags were told; 0 if no request is over, or there is none; or
 *	-EINVAL	@view is NULL, or @tags is NULL while @max is not 0
 */
ESTATE_API int estate_query_poll(struct estate_view *view, void **tags, unsigned int max);

/**
 * estate_scan_fn - is shown one key of the global view
 * @key: @key_length bytes, aligned to 8; valid during the call, as @value is
 * @key_length: of this key
 * @value: the reduced value, @value_length bytes, aligned to 16
 * @value_length: of this value
 * @present: how many instances have the key
 * @newest: the highest of their stamps
 * @arg: as given
 *
 * Return: 0 to go on; anything else ends the scan and is returned.
 */
typedef int estate_scan_fn(const void *key, size_t key_length, const void *value,
			   size_t value_length, unsigned int present, uint64_t newest, void *arg);

/**
 * estate_scan_global - visit every key of a table, merged over all instances
 * @view: this thread's view
 * @table: the table
 * @query: how to reduce; its deadline is for the whole scan, and 0 is none
 * @visit: called once for each key that any instance has, in no order
 * @arg: its argument
 * @answer: @asked, @answered, @missing and @who over the whole scan: an
 *	instance of which any part could not be read is missing. @present is the
 *	most instances that any key had. May be NULL
 *
 * A key that is there from the beginning to the end of the scan is visited
 * exactly once. The scan takes no memory that grows with the table.
 *
 * Return: 0, what @visit returned, or an error as from estate_query_global();
 * -ETIMEDOUT: the deadline passed before the end.
 */
ESTATE_API int estate_scan_global(struct estate_view *view, struct estate_table *table,
				  const struct estate_query *query, estate_scan_fn *visit,
				  void *arg, struct estate_answer *answer);

#ifdef __cplusplus
}
#endif

#endif
