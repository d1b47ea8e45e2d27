/* SPDX-License-Identifier: BSD-3-Clause */
/* The estate command: what its subcommands share. */
#ifndef COMMAND_H
#define COMMAND_H

#include <estate/estate.h>

struct options {
	const char *group;
	const char *registry;
	int json;
	/* of get, dump and top */
	uint32_t deadline_us; /* 0: the command's own */
	/* of top */
	unsigned int rows;
	unsigned int field;
	double interval;
	int once;
	/* of pool recover */
	size_t size;
	const char *name;
	/* of leave */
	const char *to;
	unsigned int timeout; /* seconds */
	const char *dead; /* who will not come back */
};

/* Each returns the command's exit status: 0, 1 for an answer that is partial or empty. */
int command_members(struct estate *es, const struct options *options, int argc, char **argv);
int command_tables(struct estate *es, const struct options *options, int argc, char **argv);
int command_get(struct estate *es, const struct options *options, int argc, char **argv);
int command_dump(struct estate *es, const struct options *options, int argc, char **argv);
int command_top(struct estate *es, const struct options *options, int argc, char **argv);
int command_leave(struct estate *es, const struct options *options, int argc, char **argv);
/* These join no group: @es is NULL. */
int command_doctor(struct estate *es, const struct options *options, int argc, char **argv);
int command_pool(struct estate *es, const struct options *options, int argc, char **argv);

/* The table called @name, as the group has it, or the end of the program. */
struct estate_table *command_table(struct estate *es, const char *name,
				   struct estate_table_info *info);

/* Say on standard error who did not answer; 1 if somebody did not. */
int command_missing(const struct estate_answer *answer);

#endif
