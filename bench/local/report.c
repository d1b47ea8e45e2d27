// SPDX-License-Identifier: BSD-3-Clause
#include "report.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

json_t *report_figure(struct figure figure)
{
	return json_pack("{s:f, s:f, s:f}", "median", figure.median, "min", figure.least, "max",
			 figure.most);
}

const char *report_text(struct figure figure, char text[64])
{
	int digits = figure.median < 100 ? 1 : 0;

	snprintf(text, 64, "%.*f (%.*f-%.*f)", digits, figure.median, digits, figure.least, digits,
		 figure.most);
	return text;
}

/* The first line of a file that begins with @start, without it; "" if there is none. */
static void line_of(const char *path, const char *start, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	char line[512];
	const char *rest;

	text[0] = 0;
	if (!file)
		return;
	while (!text[0] && fgets(line, sizeof(line), file)) {
		if (strncmp(line, start, strlen(start)) != 0)
			continue;
		rest = line + strlen(start);
		rest += strspn(rest, " \t:");
		snprintf(text, size, "%.*s", (int)strcspn(rest, "\n"), rest);
	}
	fclose(file);
}

static json_t *machine(void)
{
	char cpu[256], private_pages[256], shared_pages[256];
	struct utsname system;

	line_of("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
	line_of("/sys/kernel/mm/transparent_hugepage/enabled", "", private_pages,
		sizeof(private_pages));
	line_of("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "", shared_pages,
		sizeof(shared_pages));
	if (uname(&system))
		memset(&system, 0, sizeof(system));
	return json_pack("{s:s, s:I, s:s, s:s, s:s}", "cpu", cpu, "cores",
			 (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "kernel", system.release,
			 "huge pages, private", private_pages, "huge pages, shared", shared_pages);
}

int report_write(const char *path, const char *section, json_t *results)
{
	json_error_t error = { 0 };
	json_t *all;
	int failed;

	if (!path) {
		json_decref(results);
		return 0;
	}
	all = access(path, F_OK) ? json_object() : json_load_file(path, 0, &error);
	if (!all) {
		fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
		json_decref(results);
		return -1;
	}
	json_object_set_new(all, "machine", machine());
	json_object_set_new(all, section, results);
	failed = json_dump_file(all, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	json_decref(all);
	if (failed)
		perror(path);
	return failed ? -1 : 0;
}
