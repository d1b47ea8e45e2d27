// SPDX-License-Identifier: BSD-3-Clause
/* A dead instance's pool: the instance comes back for no more than to hand it over. */
#include "error.h"
#include "layout.h"

#include <estate/pool.h>

#include <errno.h>

/* Of all tables, what they take in a region. */
static int add_bytes(const struct estate_pool_table *table, void *arg)
{
	size_t *bytes = arg;

	*bytes += estate_table_bytes(&table->attr);
	return 0;
}

static int open_as_it_was(const char *path, const struct estate_pool_info *info, size_t bytes,
			  const char *registry, struct estate **es)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;

	attr.group = info->group;
	attr.name = info->name;
	attr.registry = registry;
	/* Beside its tables, a region has what a pool has beside them. */
	attr.region_size = LAYOUT_TABLES + bytes;
	attr.flags = info->leaving ? ESTATE_RESUME_LEAVE : 0;
	attr.pool = path;
	return estate_open(&attr, es);
}

int estate_adopt(const char *path, const struct estate_adopt_attr *attr)
{
	struct estate_leave_attr leave = ESTATE_LEAVE_ATTR_INIT;
	struct estate_pool_info info;
	struct estate *es;
	size_t bytes = 0;
	int error;

	if (!path)
		return error_set(-EINVAL, "estate_adopt: path is NULL");
	if (attr && attr->size != sizeof(*attr))
		return error_set(
			-EINVAL,
			"estate_adopt: attr's size is %zu, this library expects %zu: start "
			"from ESTATE_ADOPT_ATTR_INIT, built with the same headers",
			attr->size, sizeof(*attr));
	error = estate_pool_check(path, add_bytes, &bytes, &info);
	if (error)
		return error;
	if (info.handed_over)
		return error_set(
			-ENOENT,
			"pool %s: another instance has all of it: there is nothing to adopt", path);
	if (info.damage)
		return error_set(
			-EBADMSG,
			"pool %s: it is damaged: \"estate pool recover\" makes one of what "
			"can be saved, which can be adopted",
			path);
	error = open_as_it_was(path, &info, bytes, attr ? attr->registry : NULL, &es);
	if (error)
		return error;
	leave.to = attr ? attr->to : NULL;
	leave.deadline_ms = attr ? attr->deadline_ms : 0;
	leave.dead = attr ? attr->dead : NULL;
	error = estate_leave(es, &leave);
	if (error)
		estate_close(es);
	return error;
}
