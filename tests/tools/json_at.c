// SPDX-License-Identifier: BSD-3-Clause
/*
 * Prints what is at a path in the JSON on stdin: tools-json-at 0.members.name
 *
 * Steps are names, or numbers in arrays; "#" is the number of elements. Strings
 * come without quotes. No such place: exit status 1; no JSON: 2. All of stdin
 * must be one value.
 */
#include <err.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *step(json_t *at, const char *name)
{
	if (!strcmp(name, "#"))
		return json_integer((json_int_t)(json_is_array(at) ? json_array_size(at)
								   : json_object_size(at)));
	if (json_is_array(at))
		return json_array_get(at, strtoul(name, NULL, 10));
	return json_object_get(at, name);
}

int main(int argc, char **argv)
{
	json_error_t error;
	json_t *at = json_loadf(stdin, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

	if (argc != 2)
		errx(2, "usage: tools-json-at PATH");
	if (!at)
		errx(2, "line %d: %s", error.line, error.text);
	for (char *name = strtok(argv[1], "."); name; name = strtok(NULL, ".")) {
		at = step(at, name);
		if (!at)
			errx(1, "there is no %s", name);
	}
	if (json_is_string(at))
		printf("%s", json_string_value(at));
	else
		json_dumpf(at, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
	putchar('\n');
	/* What was passed on the way belongs to the whole, which ends with the process. */
	return 0;
}
