// SPDX-License-Identifier: BSD-3-Clause
#include "format.h"

#include <ctype.h>
#include <err.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

size_t format_parse_key(const char *text, unsigned char key[ESTATE_KEY_MAX], size_t key_size)
{
	size_t length = strlen(text);

	if (!strncmp(text, "0x", 2)) {
		length = (length - 2) / 2;
		if (strlen(text) % 2 || length > ESTATE_KEY_MAX)
			errx(2, "key %s: must be pairs of hexadecimal digits", text);
		for (size_t i = 0; i < length; i++) {
			char pair[3] = { text[2 + i * 2], text[3 + i * 2], 0 };
			char *end;

			key[i] = (unsigned char)strtoul(pair, &end, 16);
			if (*end || !isxdigit((unsigned char)pair[0]))
				errx(2, "key %s: \"%s\" is not hexadecimal", text, pair);
		}
	} else if (length <= ESTATE_KEY_MAX) {
		memcpy(key, text, length); /* NOLINT(bugprone-not-null-terminated-result): bytes */
	}
	if (length < 1 || length > key_size)
		errx(2, "key %s: has %zu bytes, the table's keys have 1 to %zu", text, length,
		     key_size);
	return length;
}

static int printable(const unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] < ' ' || bytes[i] > '~')
			return 0;
	return length > 0;
}

void format_bytes(FILE *out, const void *bytes, size_t length)
{
	const unsigned char *c = bytes;

	if (printable(c, length)) {
		fwrite(bytes, 1, length, out);
		return;
	}
	fputs("0x", out);
	for (size_t i = 0; i < length; i++)
		fprintf(out, "%02x", c[i]);
}

json_t *format_bytes_json(const void *bytes, size_t length)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	json_t *string;

	if (!out)
		err(2, "open_memstream");
	format_bytes(out, bytes, length);
	fclose(out);
	string = json_string(text);
	free(text);
	return string;
}

static size_t element_size(enum estate_type type)
{
	switch (type) {
	case ESTATE_U16:
		return 2;
	case ESTATE_U32:
		return 4;
	case ESTATE_U64:
	case ESTATE_I64:
	case ESTATE_F64:
		return 8;
	default:
		return 1;
	}
}

union element {
	uint64_t natural;
	int64_t integer;
	double real;
};

/* Little-endian, as everything of estate's: a short number is the low bytes of a long one. */
static union element element_at(enum estate_type type, const void *value, size_t i)
{
	union element element = { 0 };
	size_t size = element_size(type);

	memcpy(&element, (const char *)value + i * size, size);
	return element;
}

static void format_one(FILE *out, enum estate_type type, union element element)
{
	if (type == ESTATE_F64)
		fprintf(out, "%.17g", element.real);
	else if (type == ESTATE_I64)
		fprintf(out, "%" PRId64, element.integer);
	else
		fprintf(out, "%" PRIu64, element.natural);
}

void format_value(FILE *out, enum estate_type type, const void *value, size_t length, size_t most)
{
	size_t count = length / element_size(type);

	if (type == ESTATE_OPAQUE) {
		format_bytes(out, value, length < most * 8 ? length : most * 8);
		fputs(length > most * 8 ? "..." : "", out);
		return;
	}
	for (size_t i = 0; i < count && i < most; i++) {
		fputs(i ? " " : "", out);
		format_one(out, type, element_at(type, value, i));
	}
	if (count > most)
		fprintf(out, " ... (%zu elements)", count);
}

json_t *format_value_json(enum estate_type type, const void *value, size_t length)
{
	json_t *array;

	if (type == ESTATE_OPAQUE)
		return format_bytes_json(value, length);
	array = json_array();
	for (size_t i = 0; i < length / element_size(type); i++) {
		union element element = element_at(type, value, i);

		if (type == ESTATE_F64)
			/* JSON has no word for what is not finite; it must not lose its place. */
			json_array_append_new(array, isfinite(element.real)
							     ? json_real(element.real)
							     : json_null());
		else if (type == ESTATE_I64 || element.natural <= INT64_MAX)
			json_array_append_new(array, json_integer(element.integer));
		else /* JSON's readers have no such integers: exact as a string */
			json_array_append_new(array, json_sprintf("%" PRIu64, element.natural));
	}
	return array;
}

double format_element(enum estate_type type, const void *value, size_t length, size_t i)
{
	union element element;

	if (i >= length / element_size(type))
		return 0;
	element = element_at(type, value, i);
	if (type == ESTATE_F64)
		return element.real;
	return type == ESTATE_I64 ? (double)element.integer : (double)element.natural;
}

void format_uuid(char text[37], const uint8_t uuid[16])
{
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		text += sprintf(text, "%02x", uuid[i]);
	}
}

void format_age(char *text, size_t size, uint64_t stamp)
{
	struct timespec now;
	double seconds;

	clock_gettime(CLOCK_REALTIME, &now);
	seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9 -
		  (double)estate_stamp_ns(stamp) / 1e9;
	if (seconds < 0)
		seconds = 0;
	if (seconds < 1)
		snprintf(text, size, "%.0f ms", seconds * 1000);
	else if (seconds < 120)
		snprintf(text, size, "%.1f s", seconds);
	else if (seconds < 7200)
		snprintf(text, size, "%.0f min", seconds / 60);
	else
		snprintf(text, size, "%.0f h", seconds / 3600);
}

const char *format_type(enum estate_type type)
{
	static const char *const names[] = { "opaque", "u8", "u16", "u32", "u64", "i64", "f64" };

	return names[type];
}

const char *format_merge(enum estate_merge merge)
{
	static const char *const names[] = { "latest", "sum", "min", "max", "or", "custom" };

	return names[merge];
}

const char *format_durability(enum estate_durability durability)
{
	static const char *const names[] = { "none", "on-leave", "periodic", "before-return" };

	return names[durability];
}

void format_print_json(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}
