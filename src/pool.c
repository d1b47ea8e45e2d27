// SPDX-License-Identifier: BSD-3-Clause
#include "pool.h"

#include "crc.h"
#include "error.h"

#include <errno.h>

#ifndef ESTATE_PMEM
static int refuse(const char *path)
{
	return error_set(-ENOTSUP,
			 "pool %s: this build of the library has no persistent memory: build it "
			 "with -DESTATE_PMEM=ON",
			 path);
}
#endif

int pool_open(const struct pool_attr *attr, struct pool **pool)
{
#ifdef ESTATE_PMEM
	return pmem_pool_open(attr, pool);
#else
	(void)pool;
	return refuse(attr->path);
#endif
}

static int check_cpu(const char *path)
{
	if (crc_supported())
		return 0;
	return error_set(-ENOTSUP, "pool %s: this CPU has no CRC32C instruction (SSE 4.2)", path);
}

int estate_pool_check(const char *path, estate_pool_visit_fn *visit, void *arg,
		      struct estate_pool_info *info)
{
	int error;

	if (!path)
		return error_set(-EINVAL, "estate_pool_check: path is NULL");
	error = check_cpu(path);
	if (error)
		return error;
#ifdef ESTATE_PMEM
	return pmem_pool_check(path, visit, arg, info);
#else
	(void)visit;
	(void)arg;
	(void)info;
	return refuse(path);
#endif
}

static int check_name(const char *name, const char *what)
{
	if (!name || region_name_valid(name))
		return 0;
	return error_set(
		-EINVAL,
		"estate_pool_salvage: %s \"%s\": must be 1 to 63 characters of A-Z a-z 0-9 "
		". _ - with no dot in front",
		what, name);
}

static int check_salvage(const char *from, const char *to, const struct estate_salvage_attr *attr)
{
	int error;

	if (!from || !to)
		return error_set(-EINVAL, "estate_pool_salvage: %s is NULL", from ? "to" : "from");
	if (attr->size != sizeof(*attr))
		return error_set(-EINVAL,
				 "estate_pool_salvage: attr's size is %zu, this library expects "
				 "%zu: start from ESTATE_SALVAGE_ATTR_INIT, built with the same "
				 "headers",
				 attr->size, sizeof(*attr));
	error = check_name(attr->group, "group");
	if (!error)
		error = check_name(attr->name, "name");
	return error ? error : check_cpu(from);
}

int estate_pool_salvage(const char *from, const char *to, const struct estate_salvage_attr *attr,
			estate_pool_visit_fn *visit, void *arg, struct estate_pool_info *info)
{
	static const struct estate_salvage_attr plain = ESTATE_SALVAGE_ATTR_INIT;
	int error;

	if (!attr)
		attr = &plain;
	error = check_salvage(from, to, attr);
	if (error)
		return error;
#ifdef ESTATE_PMEM
	return pmem_pool_salvage(from, to, attr, visit, arg, info);
#else
	(void)visit;
	(void)arg;
	(void)info;
	return refuse(from);
#endif
}
