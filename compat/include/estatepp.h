/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The C interface of the E-State prototype (Peuster and Karl, NetSoft 2016), kept by estate.
 *
 * A process is one instance. All calls may be made by any number of threads. They return no
 * errors, so a call that fails has no effect, returns "ES_NONE" if it returns a string, and
 * writes one line to stderr that says why (once, however often it is repeated).
 *
 * Strings that are returned belong to the library: do not free them. Each stays as it is
 * until its thread has made ES_STRINGS_KEPT further calls that return a string, or ends;
 * es_close() does not touch them.
 */
#ifndef ESTATEPP_H
#define ESTATEPP_H

#ifdef __cplusplus
extern "C" {
#endif

#define ES_API __attribute__((visibility("default")))

/* How many of a thread's latest results are kept. */
#define ES_STRINGS_KEPT 64

/**
 * struct state_item_struct - one instance's value of a key, as a reduce function sees it
 * @timestamp: orders the values: the higher one was written later, also where the wall
 *	clocks of two instances disagree. Microseconds since 1970 times 4096, plus a counter
 * @node_identifier: the instance that wrote it, "IP:PORT" as it gave them to es_init()
 * @data: the value
 */
struct state_item_struct {
	unsigned long timestamp;
	const char *node_identifier;
	const char *data;
};
typedef struct state_item_struct state_item_t;

/**
 * es_init - become an instance of the group
 * @ip: with @port, this instance's name; nothing is bound to it
 * @port: the same
 *
 * The group is $ESTATE_COMPAT_GROUP, "compat" if that is not set: all processes of this host
 * that name the same group see each other, whenever they come or go. An instance that is
 * initialised a second time leaves and begins anew, without its values.
 */
ES_API void es_init(const char *ip, int port);

/**
 * es_init_with_peers - become an instance of the group, and read only some of its others
 * @ip: as for es_init()
 * @port: as for es_init()
 * @peers: "IP:PORT" of the instances that global reads ask, separated by spaces or
 *	semicolons; this instance is always one of them. NULL or "" asks the whole group
 */
ES_API void es_init_with_peers(const char *ip, int port, const char *peers);

/**
 * es_close - leave the group; the values of this instance go with it
 */
ES_API void es_close(void);

/**
 * es_set - write this instance's value of a key
 * @key: up to 256 bytes; may be ""
 * @value: up to $ESTATE_COMPAT_VALUE_SIZE bytes, 4096 if that is not set
 *
 * An instance takes $ESTATE_COMPAT_CAPACITY keys, 8192 if that is not set. All instances of a
 * group must have the same two numbers.
 */
ES_API void es_set(const char *key, const char *value);

/**
 * es_get - read this instance's value of a key
 * @key: the key
 *
 * Return: the value, or "ES_NONE".
 */
ES_API const char *es_get(const char *key);

/**
 * es_del - remove this instance's value of a key; other instances keep theirs
 * @key: the key
 */
ES_API void es_del(const char *key);

/**
 * es_get_global - reduce all instances' values of a key by the caller's function
 * @key: the key
 * @reduce: is given the values of the instances that have the key, at least one, and how many
 *	they are. It may call the library
 *
 * Return: exactly the pointer that @reduce returned, or "ES_NONE" if no instance has the key.
 * Where @reduce returned a string of one of its items, that is kept like a string of the
 * library; any other string stays the caller's own.
 */
ES_API const char *es_get_global(const char *key, char *(*reduce)(state_item_t *, int));

/**
 * es_get_global_predefined_reduce - reduce all instances' values of a key
 * @key: the key
 * @reduce_id: 1 for the sum, 2 for the average, anything else for the latest value
 *
 * Values that are whole numbers of up to 64 bits are added exactly. Any others are read as
 * atof() reads them, added with the precision of long double, and the result is rounded to
 * double once and written with as few digits as tell it from every other double.
 *
 * Return: the result, or "ES_NONE" if no instance has the key.
 */
ES_API const char *es_get_global_predefined_reduce(const char *key, int reduce_id);

/**
 * es_register_get_global_callback - accepted, and never called
 * @callback: was called by the prototype in an instance that answered a global read
 *
 * Nobody answers here: a reader takes the value from the other instance's memory, which
 * does not notice.
 */
ES_API void es_register_get_global_callback(void (*callback)(unsigned long id, const char *key));

/**
 * es_missing - how much of the last global read is missing
 *
 * The prototype has no such call.
 *
 * Return: how many of the instances that this thread's last global read asked gave no answer;
 * 0 if its result is whole, -1 if it failed or there was none.
 */
ES_API int es_missing(void);

/**
 * testpp - the prototype's own check that the library is linked
 *
 * Return: "abcd"
 */
ES_API const char *testpp(void);

#ifdef __cplusplus
}
#endif

#endif
