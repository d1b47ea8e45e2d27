// SPDX-License-Identifier: BSD-3-Clause
#include "registry.h"

#include "error.h"

#include <errno.h>
#include <string.h>

int registry_open(const struct estate_attr *attr, struct registry **registry)
{
	const char *spec = attr->registry ? attr->registry : "dir:";

	if (!strncmp(spec, "dir:", 4))
		return registry_dir_open(attr, spec + 4, registry);
	if (!strncmp(spec, "static:", 7))
		return registry_static_open(attr, spec + 7, registry);
	return error_set(-ENOTSUP,
			 "registry \"%s\" is of no kind that this build knows: use dir:PATH or "
			 "static:ADDRESS[,ADDRESS...]",
			 spec);
}
