/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys, values and the like, as people and as scripts read them. */
#ifndef FORMAT_H
#define FORMAT_H

#include <estate/estate.h>

#include <jansson.h>
#include <stdio.h>

/* A key from the command line; ends the program if it is none. Returns its length. */
size_t format_parse_key(const char *text, unsigned char key[ESTATE_KEY_MAX], size_t key_size);

/* Text if all of it is printable, else 0x and hexadecimal. */
void format_bytes(FILE *out, const void *bytes, size_t length);
json_t *format_bytes_json(const void *bytes, size_t length);

/* The elements of a value, or its bytes; the first @most of them. */
void format_value(FILE *out, enum estate_type type, const void *value, size_t length, size_t most);
json_t *format_value_json(enum estate_type type, const void *value, size_t length);

/* Element @i as a double, for sorting only. */
double format_element(enum estate_type type, const void *value, size_t length, size_t i);

void format_uuid(char text[37], const uint8_t uuid[16]);

/* How long ago a stamp was, as "1.5 s", "3 min". */
void format_age(char *text, size_t size, uint64_t stamp);
const char *format_type(enum estate_type type);
const char *format_merge(enum estate_merge merge);
const char *format_durability(enum estate_durability durability);

/* Print @object on one line and release it. */
void format_print_json(json_t *object);

#endif
