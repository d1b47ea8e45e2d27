// SPDX-License-Identifier: BSD-3-Clause
/* A dead instance's pool: the instance comes back for no more than to hand it over. */
#include "error.h"

#include <estate/pool.h>

#include <errno.h>

/* Beside its tables, a region has what a pool has beside them. */
static int open_as_it_was(const char *path, const struct estate_pool_info *info,
			  const char *registry, struct estate **es)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;

	attr.group = info->group;
	attr.name = info->name;
	attr.registry = registry;
	attr.region_size = info->used;
	attr.flags = info->leaving ? ESTATE_RESUME_LEAVE : 0;
	attr.pool = path;
	return estate_open(&attr, es);
}

int estate_adopt(const char *path, const struct estate_adopt_attr *attr)
{
	struct estate_leave_attr leave = ESTATE_LEAVE_ATTR_INIT;
	struct estate_pool_info info;
	struct estate *es;
	int error;

	if (!path)
		return error_set(-EINVAL, "estate_adopt: path is NULL");
	if (attr && attr->size != sizeof(*attr))
		return error_set(
			-EINVAL,
			"estate_adopt: attr's size is %zu, this library expects %zu: start "
			"from ESTATE_ADOPT_ATTR_INIT, built with the same headers",
			attr->size, sizeof(*attr));
	error = estate_pool_check(path, NULL, NULL, &info);
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
	error = open_as_it_was(path, &info, attr ? attr->registry : NULL, &es);
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
