/* SPDX-License-Identifier: BSD-3-Clause */
#include "patterns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int patterns_add(struct patterns *patterns, const char *string)
{
	const char **strings;

	if (!*string)
		return -EINVAL;
	strings = reallocarray(patterns->strings, patterns->count + 1, sizeof(*strings));
	if (!strings)
		return -ENOMEM;
	strings[patterns->count++] = string;
	patterns->strings = strings;
	return 0;
}

void patterns_free(struct patterns *patterns)
{
	free(patterns->strings);
	*patterns = (struct patterns){ .strings = NULL };
}

size_t patterns_found(const struct patterns *patterns, const void *payload, size_t length)
{
	size_t found = 0;

	for (size_t i = 0; i < patterns->count; i++)
		if (memmem(payload, length, patterns->strings[i], strlen(patterns->strings[i])))
			found++;
	return found;
}
