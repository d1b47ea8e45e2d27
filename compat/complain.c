// SPDX-License-Identifier: BSD-3-Clause
#include "complain.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_LENGTH 600

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char last[LINE_MAX_LENGTH];

void complain(const char *call, const char *format, ...)
{
	char line[LINE_MAX_LENGTH];
	va_list arguments;
	int length;

	length = snprintf(line, sizeof(line), "estate-compat: %s: ", call);
	if (length < 0 || (size_t)length >= sizeof(line))
		return;
	va_start(arguments, format);
	vsnprintf(line + length, sizeof(line) - (size_t)length, format, arguments);
	va_end(arguments);

	/* A network function repeats its calls for every packet: do not repeat the line. */
	pthread_mutex_lock(&lock);
	if (strcmp(line, last) != 0) {
		memcpy(last, line, sizeof(last));
		fprintf(stderr, "%s\n", line);
	}
	pthread_mutex_unlock(&lock);
}
