// SPDX-License-Identifier: BSD-3-Clause
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>

void findings_add(struct findings *findings, enum finding_level level, const char *check,
		  const char *mend, const char *format, ...)
{
	static const char *const levels[] = { "ok", "warn", "FAIL" };
	static const char *const words[] = { "ok", "warning", "failure" };
	char says[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(says, sizeof(says), format, arguments);
	va_end(arguments);
	findings->failures += level == FOUND_FAILURE;
	if (findings->all) {
		json_array_append_new(findings->all,
				      json_pack("{s:s, s:s, s:s, s:s?}", "check", check, "level",
						words[level], "found", says, "mend", mend));
		return;
	}
	printf("%-5s %-10s %s\n", levels[level], check, says);
	if (mend)
		printf("%-5s %-10s -> %s\n", "", "", mend);
	fflush(stdout);
}
