// SPDX-License-Identifier: BSD-3-Clause
/* The local view: set, get, del. */
#include "complain.h"
#include "estatepp.h"
#include "instance.h"
#include "keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char none[] = "ES_NONE";

void es_set(const char *key, const char *value)
{
	struct instance *instance;
	struct key k;

	if (instance_key("es_set", key, &k))
		return;
	if (!value) {
		complain("es_set", "the value is NULL");
		return;
	}
	instance = instance_enter("es_set");
	if (!instance)
		return;
	if (estate_put(instance->table, k.bytes, k.length, value, strlen(value)))
		complain("es_set", "%s", estate_errormsg());
	instance_leave();
}

const char *es_get(const char *key)
{
	struct instance *instance;
	const char *result = none;
	size_t length;
	struct key k;
	char *value;
	int error;

	if (instance_key("es_get", key, &k))
		return none;
	instance = instance_enter("es_get");
	if (!instance)
		return none;
	value = malloc(instance->value_size + 1);
	if (!value) {
		complain("es_get", "no memory");
		goto leave;
	}
	error = estate_get(instance->table, k.bytes, k.length, value, instance->value_size,
			   &length);
	if (error) {
		free(value);
		if (error != -ENOENT)
			complain("es_get", "%s", estate_errormsg());
		goto leave;
	}
	value[length] = 0;
	if (!keep(value))
		result = value;
leave:
	instance_leave();
	return result;
}

void es_del(const char *key)
{
	struct instance *instance;
	struct key k;
	int error;

	if (instance_key("es_del", key, &k))
		return;
	instance = instance_enter("es_del");
	if (!instance)
		return;
	error = estate_delete(instance->table, k.bytes, k.length);
	if (error && error != -ENOENT)
		complain("es_del", "%s", estate_errormsg());
	instance_leave();
}
