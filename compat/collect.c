// SPDX-License-Identifier: BSD-3-Clause
#include "collect.h"

#include "complain.h"
#include "instance.h"
#include "keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct collection {
	const struct peers *peers;
	state_item_t *items;
	int count;
};

/* The reducer of the query: keeps all values, reduces nothing. */
static int collect_values(const struct estate_value *values, unsigned int count, void *out,
			  size_t out_size, size_t *out_length, void *arg)
{
	struct collection *collection = arg;
	size_t bytes = 0;
	char *place;

	(void)out;
	(void)out_size;
	*out_length = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (peers_include(collection->peers, values[i].name))
			bytes += sizeof(state_item_t) + ESTATE_NAME_MAX + values[i].length + 1;
	}
	if (!bytes)
		return 0;
	collection->items = malloc(bytes);
	if (!collection->items)
		return -ENOMEM;

	/* The items in front, which are aligned there; then all strings. */
	for (unsigned int i = 0; i < count; i++)
		collection->count += peers_include(collection->peers, values[i].name);
	place = (char *)(collection->items + collection->count);
	for (unsigned int i = 0, n = 0; i < count; i++) {
		state_item_t *item = collection->items + n;

		if (!peers_include(collection->peers, values[i].name))
			continue;
		item->timestamp = values[i].stamp;
		item->node_identifier = place;
		peers_address(values[i].name, place);
		place += ESTATE_NAME_MAX;
		item->data = place;
		memcpy(place, values[i].data, values[i].length);
		place[values[i].length] = 0;
		place += values[i].length + 1;
		n++;
	}
	return 0;
}

static int is_missing(const char *name, const struct estate_answer *answer)
{
	for (unsigned int i = 0; i < answer->missing; i++) {
		if (!strcmp(answer->who[i].name, name))
			return 1;
	}
	return 0;
}

static int gave_value(const char *name, const struct collection *collection)
{
	char address[ESTATE_NAME_MAX];

	peers_address(name, address);
	for (int i = 0; i < collection->count; i++) {
		if (!strcmp(collection->items[i].node_identifier, address))
			return 1;
	}
	return 0;
}

static int is_member(const char *name, const struct estate_member *members, int count)
{
	for (int i = 0; i < count; i++) {
		if (!strcmp(members[i].name, name))
			return 1;
	}
	return 0;
}

/* Of the peers that were named: those that the group lacks are missing, too. */
static int count_missing(struct instance *instance, const struct collection *collection,
			 const struct estate_answer *answer)
{
	const struct peers *peers = collection->peers;
	struct estate_member *members;
	int most, count, missing = 0;

	if (!peers->count)
		return (int)answer->missing;
	if (collection->count == (int)peers->count)
		return 0;

	most = estate_members(instance->estate, NULL, 0);
	members = most > 0 ? calloc((size_t)most, sizeof(*members)) : NULL;
	if (!members)
		return -1;
	count = estate_members(instance->estate, members, (unsigned int)most);
	if (count > most)
		count = most;
	for (unsigned int i = 0; i < peers->count; i++) {
		const char *name = peers->names[i];

		if (!gave_value(name, collection) &&
		    (is_missing(name, answer) || !is_member(name, members, count)))
			missing++;
	}
	free(members);
	return missing;
}

int collect(const char *call, const char *key, state_item_t **items)
{
	struct estate_query query = ESTATE_QUERY_INIT;
	struct collection collection = { 0 };
	struct estate_answer answer;
	struct instance *instance;
	struct key k;
	char unused;
	int error;

	*keep_missing() = -1;
	if (instance_key(call, key, &k))
		return 0;
	instance = instance_enter(call);
	if (!instance)
		return 0;
	collection.peers = &instance->peers;
	query.reduce = ESTATE_REDUCE_CALL;
	query.call = collect_values;
	query.arg = &collection;
	pthread_mutex_lock(&instance->view_lock);
	error = estate_query_global(instance->view, instance->table, k.bytes, k.length, &query,
				    &unused, sizeof(unused), &answer);
	if (!error || error == -ENOENT || error == -EHOSTDOWN)
		*keep_missing() = count_missing(instance, &collection, &answer);
	else
		complain(call, "%s", estate_errormsg());
	pthread_mutex_unlock(&instance->view_lock);
	instance_leave();
	*items = collection.items;
	return collection.count;
}
