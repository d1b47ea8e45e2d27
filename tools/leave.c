// SPDX-License-Identifier: BSD-3-Clause
/* Ask an instance to leave, and see that it does. */
#include "command.h"
#include "format.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* On a terminal: one line, again and again. */
static void show_progress(unsigned int waited_ms, int handing_over, void *arg)
{
	const char *name = arg;

	fprintf(stderr, "\r\033[K%s %s, %u s", name,
		handing_over ? "hands over" : "was asked to leave", waited_ms / 1000);
}

/* It has been asked, and is still there: nobody made a mistake that would be an error. */
static int still_there(int error)
{
	return error == -ETIMEDOUT || error == -ECANCELED;
}

static void print_json(const char *name, int result)
{
	const char *reason = result < 0 ? estate_errormsg() : "";

	format_print_json(json_pack("{s:s, s:b, s:b, s:s}", "name", name, "left", result >= 0,
				    "handed_over", !result, "reason", reason));
}

int command_leave(struct estate *es, const struct options *options, int argc, char **argv)
{
	struct estate_ask_leave_attr attr = ESTATE_ASK_LEAVE_ATTR_INIT;
	char *name = argv[0];
	int result;

	(void)argc;
	attr.to = options->to;
	attr.dead = options->dead;
	attr.deadline_ms = options->timeout * 1000;
	if (isatty(STDERR_FILENO)) {
		attr.progress = show_progress;
		attr.arg = name;
	}
	result = estate_ask_leave(es, name, &attr);
	if (attr.progress)
		fputs("\r\033[K", stderr);
	if (result < 0 && !still_there(result))
		errx(2, "%s", estate_errormsg());
	if (options->json)
		print_json(name, result);
	else if (!result)
		printf("%s left: all that it had is another one's\n", name);
	else if (result == ESTATE_ASK_CLOSED)
		printf("%s left, without estate_leave(): if it hands over, in a way of its own\n",
		       name);
	if (result < 0)
		warnx("%s", estate_errormsg());
	return result < 0;
}
