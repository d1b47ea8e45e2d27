// SPDX-License-Identifier: BSD-3-Clause
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local const char *message = "";
static _Thread_local char buffer[512];

void error_format(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(buffer, sizeof(buffer), format, arguments);
	va_end(arguments);
	message = buffer;
}

int error_literal(int code, const char *sentence)
{
	message = sentence;
	return code;
}

const char *estate_errormsg(void)
{
	return message;
}

const char *estate_version(void)
{
	return ESTATE_VERSION;
}
