// SPDX-License-Identifier: BSD-3-Clause
#include "node_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define PAUSE_MS 10

/* In the child: NODE_PROGRAM with the pipes as stdin and stdout. */
static void execute(const int *commands, const int *answers, const char *ip, int port,
		    const char *peers)
{
	char port_text[16];

	snprintf(port_text, sizeof(port_text), "%d", port);
	dup2(commands[0], STDIN_FILENO);
	dup2(answers[1], STDOUT_FILENO);
	execl(NODE_PROGRAM, NODE_PROGRAM, ip, port_text, peers, (char *)NULL);
	_exit(127);
}

static int pipe_open(int *ends)
{
	/* Closed by exec: a node must not hold another node's pipe open. */
	return pipe2(ends, O_CLOEXEC);
}

int node_start(struct node *node, const char *ip, int port, const char *peers)
{
	int commands[2], answers[2];

	memset(node, 0, sizeof(*node));
	if (pipe_open(commands))
		return -1;
	if (pipe_open(answers))
		goto close_commands;
	node->pid = fork();
	if (node->pid < 0)
		goto close_answers;
	if (!node->pid)
		execute(commands, answers, ip, port, peers);
	close(commands[0]);
	close(answers[1]);
	node->commands = fdopen(commands[1], "w");
	node->answers = fdopen(answers[0], "r");
	if (!node->commands || !node->answers)
		return -1;
	return fgets(node->answer, sizeof(node->answer), node->answers) ? 0 : -1;

close_answers:
	close(answers[0]);
	close(answers[1]);
close_commands:
	close(commands[0]);
	close(commands[1]);
	return -1;
}

const char *node_ask(struct node *node, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(node->commands, format, arguments);
	va_end(arguments);
	fputc('\n', node->commands);
	if (fflush(node->commands))
		return NODE_ENDED;
	if (!fgets(node->answer, sizeof(node->answer), node->answers))
		return NODE_ENDED;
	node->answer[strcspn(node->answer, "\n")] = 0;
	return node->answer;
}

const char *node_ask_until(struct node *node, const char *expected, const char *command)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000l };
	const char *answer = "";

	for (int waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
		answer = node_ask(node, "%s", command);
		if (!strcmp(answer, expected) || !strcmp(answer, NODE_ENDED))
			break;
		nanosleep(&pause, NULL);
	}
	return answer;
}

static int node_wait(struct node *node)
{
	int status;

	if (node->commands)
		fclose(node->commands);
	if (node->answers)
		fclose(node->answers);
	node->commands = NULL;
	node->answers = NULL;
	if (waitpid(node->pid, &status, 0) != node->pid)
		return -1;
	node->pid = 0;
	return status;
}

int node_stop(struct node *node)
{
	return node_wait(node);
}

int node_kill(struct node *node)
{
	kill(node->pid, SIGKILL);
	return node_wait(node);
}
