// SPDX-License-Identifier: BSD-3-Clause
#include "instance.h"

#include "complain.h"
#include "estatepp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_NAME "compat"
#define DEFAULT_GROUP "compat"
#define DEFAULT_CAPACITY 8192
#define DEFAULT_VALUE_SIZE 4096
#define LARGEST_CAPACITY (1u << 31)

/* What a region needs besides its one table. */
#define REGION_SLACK (1u << 20)

/* Held for reading during each call, for writing while the instance comes or goes. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct instance *instance;

static const char *environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static int environment_number(const char *name, size_t otherwise, size_t most, size_t *number)
{
	const char *value = environment(name, NULL);
	unsigned long long parsed;
	char *end;

	if (!value) {
		*number = otherwise;
		return 0;
	}
	errno = 0;
	parsed = strtoull(value, &end, 10);
	if (errno || *end || *value == '-' || parsed < 1 || parsed > most) {
		complain("es_init", "%s is \"%s\", must be a number from 1 to %zu", name, value,
			 most);
		return -EINVAL;
	}
	*number = (size_t)parsed;
	return 0;
}

static int table_attr(struct estate_table_attr *attr)
{
	*attr = (struct estate_table_attr)ESTATE_TABLE_ATTR_INIT;
	attr->key_size = ESTATE_KEY_MAX;
	attr->value_type = ESTATE_OPAQUE;
	attr->merge = ESTATE_MERGE_LATEST;
	if (environment_number("ESTATE_COMPAT_VALUE_SIZE", DEFAULT_VALUE_SIZE, ESTATE_VALUE_MAX,
			       &attr->value_count))
		return -EINVAL;
	return environment_number("ESTATE_COMPAT_CAPACITY", DEFAULT_CAPACITY, LARGEST_CAPACITY,
				  &attr->capacity);
}

static int join(struct instance *new, const char *name)
{
	struct estate_table_attr table = ESTATE_TABLE_ATTR_INIT;
	struct estate_attr attr = ESTATE_ATTR_INIT;
	int error = table_attr(&table);

	if (error)
		return error;
	new->value_size = table.value_count;
	attr.group = environment("ESTATE_COMPAT_GROUP", DEFAULT_GROUP);
	attr.name = name;
	attr.region_size = estate_table_bytes(&table) + REGION_SLACK;
	error = estate_open(&attr, &new->estate);
	if (error)
		goto complain;
	error = estate_table_open(new->estate, TABLE_NAME, &table, &new->table);
	if (error)
		goto complain;
	error = estate_view_open(new->estate, NULL, &new->view);
	if (error)
		goto complain;
	return 0;
complain:
	complain("es_init", "%s", estate_errormsg());
	return error;
}

static void instance_free(struct instance *old)
{
	if (!old)
		return;
	estate_view_close(old->view);
	estate_close(old->estate);
	peers_free(&old->peers);
	pthread_mutex_destroy(&old->view_lock);
	free(old);
}

static struct instance *instance_new(const char *ip, int port, const char *peers)
{
	char address[ESTATE_NAME_MAX], name[ESTATE_NAME_MAX];
	struct instance *new;
	int length, error;

	length = snprintf(address, sizeof(address), "%s:%d", ip, port);
	if (length < 0 || (size_t)length >= sizeof(address) || peers_name(address, name)) {
		complain("es_init", "\"%s:%d\" is too long for a name", ip, port);
		return NULL;
	}
	new = calloc(1, sizeof(*new));
	if (!new) {
		complain("es_init", "no memory");
		return NULL;
	}
	pthread_mutex_init(&new->view_lock, NULL);
	error = peers_parse(&new->peers, peers, name);
	if (error) {
		complain("es_init", "peers \"%s\": %s", peers, strerror(-error));
		goto free;
	}
	if (join(new, name))
		goto free;
	return new;
free:
	instance_free(new);
	return NULL;
}

void es_init_with_peers(const char *ip, int port, const char *peers)
{
	if (!ip) {
		complain("es_init", "the IP address is NULL");
		return;
	}
	pthread_rwlock_wrlock(&lock);
	instance_free(instance);
	instance = instance_new(ip, port, peers);
	pthread_rwlock_unlock(&lock);
}

void es_init(const char *ip, int port)
{
	es_init_with_peers(ip, port, NULL);
}

void es_close(void)
{
	pthread_rwlock_wrlock(&lock);
	instance_free(instance);
	instance = NULL;
	pthread_rwlock_unlock(&lock);
}

struct instance *instance_enter(const char *call)
{
	pthread_rwlock_rdlock(&lock);
	if (instance)
		return instance;
	pthread_rwlock_unlock(&lock);
	complain(call, "not initialised: call es_init() first, and see what it said");
	return NULL;
}

void instance_leave(void)
{
	pthread_rwlock_unlock(&lock);
}

int instance_key(const char *call, const char *string, struct key *key)
{
	if (!string) {
		complain(call, "the key is NULL");
		return -1;
	}
	key->bytes = string;
	key->length = strlen(string);
	if (key->length > ESTATE_KEY_MAX) {
		complain(call, "the key has %zu bytes, more than %d", key->length, ESTATE_KEY_MAX);
		return -1;
	}
	if (!key->length)
		key->length = 1; /* its final zero */
	return 0;
}
