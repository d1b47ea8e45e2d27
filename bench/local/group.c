// SPDX-License-Identifier: BSD-3-Clause
#include "group.h"

#include "owner.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static int start_one(struct group *group, unsigned int number)
{
	struct owner *owner = group->owners + number;
	int commands[2], answers[2];

	/* Closed by exec only; an owner closes those of the owners before it. */
	if (pipe(commands) || pipe(answers)) {
		perror("pipe");
		return -1;
	}
	owner->pid = fork();
	if (owner->pid < 0) {
		perror("fork");
		return -1;
	}
	if (!owner->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned int i = 0; i < number; i++) {
			close(group->owners[i].commands);
			close(group->owners[i].answers);
		}
		close(commands[1]);
		close(answers[0]);
		_exit(owner_run(number, group->entries, commands[0], answers[1]));
	}
	close(commands[0]);
	close(answers[1]);
	owner->commands = commands[1];
	owner->answers = answers[0];
	return 0;
}

int group_start(struct group *group)
{
	for (unsigned int i = 0; i < OWNERS; i++) {
		if (start_one(group, i))
			return -1;
	}
	for (unsigned int i = 0; i < OWNERS; i++) {
		struct owner *owner = group->owners + i;

		if (read(owner->answers, owner->endpoint, ENDPOINT_MAX) != ENDPOINT_MAX) {
			fprintf(stderr, "an owner did not start\n");
			return -1;
		}
	}
	return 0;
}

void group_stop(struct group *group)
{
	for (unsigned int i = 0; i < OWNERS; i++) {
		struct owner *owner = group->owners + i;

		if (owner->pid <= 0)
			continue;
		close(owner->commands);
		close(owner->answers);
		waitpid(owner->pid, NULL, 0);
	}
}

double group_local_ns(struct group *group, size_t keys)
{
	const struct owner_command command = { .keys = keys };
	const struct owner *owner = group->owners;
	double ns;

	if (write(owner->commands, &command, sizeof(command)) != sizeof(command) ||
	    read(owner->answers, &ns, sizeof(ns)) != sizeof(ns) || ns < 0) {
		fprintf(stderr, "local gets failed\n");
		return -1;
	}
	return ns;
}
