// SPDX-License-Identifier: BSD-3-Clause
/*
 * estate: looks at a group from outside. It joins as an observer, and writes nothing there; what
 * it asks for, the instances do themselves.
 */
#include "command.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: estate [OPTION...] COMMAND [ARGUMENT...]\n"
	"Look at the state of a group of network functions, read from their memory.\n"
	"\n"
	"Commands:\n"
	"  members           who is in the group, and how they are doing\n"
	"  tables            which tables there are, their geometry and entries\n"
	"  get TABLE KEY     one key: each instance's value, and all of them reduced\n"
	"  dump TABLE        all keys of a table, reduced over the group\n"
	"  top TABLE         the largest entries of a table, refreshed every second\n"
	"  leave NAME        ask an instance on this host to hand over what it has, and to leave\n"
	"  doctor [ADDRESS:PORT]\n"
	"                    what this host lacks for RDMA; and whether an instance can be read\n"
	"  pool info PATH    a pool that no instance has open: whose it is, and what is in it\n"
	"  pool verify PATH  whether all of it verifies\n"
	"  pool recover FROM TO\n"
	"                    make a new pool of what verifies in another one, or a larger one\n"
	"  pool adopt PATH   hand over what a dead instance left to a member of its group\n"
	"\n"
	"A KEY is text, or hexadecimal bytes after 0x.\n"
	"\n"
	"Options:\n"
	"  -g, --group=NAME       the group (default: $ESTATE_GROUP)\n"
	"  -r, --registry=SPEC    where it is registered: dir:PATH or static:ADDRESS,...\n"
	"                         (default: $ESTATE_REGISTRY, else dir:, this user's own)\n"
	"  -j, --json             print JSON; of top, one object per line and refresh\n"
	"  -d, --deadline=MS      how long a read may take (default: of get, 1000; of dump and "
	"top,\n"
	"                         as long as it takes)\n"
	"  -n, --rows=N           top: how many entries (default: 20)\n"
	"  -f, --field=N          top: by which element of the value, from 0 (default: 0)\n"
	"  -i, --interval=S       top: seconds between refreshes (default: 1)\n"
	"  -1, --once             top: print once and end\n"
	"  -s, --size=BYTES       pool recover: of the new pool; K, M, G, T may follow (default: "
	"as\n"
	"                         the old one)\n"
	"  -N, --name=NAME        pool recover: with --group, whose the pool is, if its header is\n"
	"                         damaged and does not tell; pool adopt: who is to take over\n"
	"  -t, --to=NAME          leave: who is to take over (default: whoever can)\n"
	"  -T, --timeout=S        leave, pool adopt: how many seconds to wait for it (default: "
	"60)\n"
	"  -D, --dead=NAME        leave, pool adopt: who was to take over, and is dead for "
	"certain,\n"
	"                         as its host or its pool will not come back: somebody else is\n"
	"                         asked; pool adopt: or its UUID, as the message says\n"
	"  -h, --help             print this\n"
	"  -V, --version          print the version\n"
	"\n"
	"Exit status: 0; 1 if nothing was found, an instance did not answer, the doctor found\n"
	"something that is needed missing, pool verify or recover something damaged, or the "
	"instance\n"
	"that was asked to leave has not left; 2 on errors.\n";

static const struct option long_options[] = {
	{ "group", required_argument, NULL, 'g' },    { "registry", required_argument, NULL, 'r' },
	{ "json", no_argument, NULL, 'j' },	      { "deadline", required_argument, NULL, 'd' },
	{ "rows", required_argument, NULL, 'n' },     { "field", required_argument, NULL, 'f' },
	{ "interval", required_argument, NULL, 'i' }, { "once", no_argument, NULL, '1' },
	{ "size", required_argument, NULL, 's' },     { "name", required_argument, NULL, 'N' },
	{ "to", required_argument, NULL, 't' },	      { "timeout", required_argument, NULL, 'T' },
	{ "dead", required_argument, NULL, 'D' },     { "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },	      { 0 },
};

static const struct {
	const char *name;
	int arguments;
	int optional; /* so many more */
	int alone; /* it joins no group */
	int (*run)(struct estate *es, const struct options *options, int argc, char **argv);
} commands[] = {
	{ "members", 0, 0, 0, command_members }, { "tables", 0, 0, 0, command_tables },
	{ "get", 2, 0, 0, command_get },	 { "dump", 1, 0, 0, command_dump },
	{ "top", 1, 0, 0, command_top },	 { "leave", 1, 0, 0, command_leave },
	{ "doctor", 0, 1, 1, command_doctor },	 { "pool", 2, 1, 1, command_pool },
};

static unsigned long number(const char *text, const char *what, unsigned long least,
			    unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || *text == '-' || value < least || value > most)
		errx(2, "%s \"%s\": must be a number from %lu to %lu", what, text, least, most);
	return value;
}

/* Bytes, or K, M, G or T of them. */
static size_t bytes(const char *text)
{
	static const char units[] = "KMGT";
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	unsigned int shift = unit ? 10 * (unsigned int)(unit - units + 1) : 0;

	if (end == text || *text == '-' || (*end && (!unit || end[1])) || !value ||
	    value > SIZE_MAX >> shift)
		errx(2, "size \"%s\": must be bytes, or a number and K, M, G or T", text);
	return (size_t)value << shift;
}

static double seconds(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (!*text || *end || !(value >= 0.05 && value <= 86400))
		errx(2, "interval \"%s\": must be seconds, from 0.05 to 86400", text);
	return value;
}

static struct estate *join(const struct options *options)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate *es;

	if (!options->group)
		errx(2, "which group? Give --group=NAME, or set ESTATE_GROUP");
	attr.group = options->group;
	attr.registry = options->registry;
	attr.flags = ESTATE_OBSERVER;
	if (estate_open(&attr, &es))
		errx(2, "%s", estate_errormsg());
	return es;
}

struct estate_table *command_table(struct estate *es, const char *name,
				   struct estate_table_info *info)
{
	struct estate_table_info tables[ESTATE_TABLES_MAX * 4];
	struct estate_table *table;
	int count = estate_tables(es, tables, sizeof(tables) / sizeof(tables[0]));

	if (count < 0 || estate_table_open(es, name, NULL, &table))
		errx(2, "%s", estate_errormsg());
	for (int i = 0; i < count && i < (int)(sizeof(tables) / sizeof(tables[0])); i++) {
		if (!strcmp(tables[i].name, name)) {
			*info = tables[i];
			return table;
		}
	}
	errx(2, "table %s went away", name);
}

int command_missing(const struct estate_answer *answer)
{
	for (unsigned int i = 0; i < answer->missing; i++)
		warnx("%s did not answer: %s", answer->who[i].name, strerror(-answer->who[i].why));
	return answer->missing > 0;
}

int main(int argc, char **argv)
{
	struct options options = { .group = getenv("ESTATE_GROUP"),
				   .registry = getenv("ESTATE_REGISTRY"),
				   .rows = 20,
				   .interval = 1,
				   .timeout = 60 };
	int letter;

	while ((letter = getopt_long(argc, argv, "g:r:jd:n:f:i:1s:N:t:T:D:hV", long_options,
				     NULL)) != -1) {
		switch (letter) {
		case 'g':
			options.group = optarg;
			break;
		case 'r':
			options.registry = optarg;
			break;
		case 'j':
			options.json = 1;
			break;
		case 'd':
			options.deadline_us =
				(uint32_t)number(optarg, "deadline", 1, 1000000) * 1000;
			break;
		case 'n':
			options.rows = (unsigned int)number(optarg, "rows", 1, 100000);
			break;
		case 'f':
			options.field = (unsigned int)number(optarg, "field", 0, ESTATE_VALUE_MAX);
			break;
		case 'i':
			options.interval = seconds(optarg);
			break;
		case '1':
			options.once = 1;
			break;
		case 's':
			options.size = bytes(optarg);
			break;
		case 'N':
			options.name = optarg;
			break;
		case 't':
			options.to = optarg;
			break;
		case 'D':
			options.dead = optarg;
			break;
		case 'T':
			options.timeout = (unsigned int)number(optarg, "timeout", 1, 86400);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			printf("estate %s\n", estate_version());
			return 0;
		default:
			return 2;
		}
	}
	if (optind == argc)
		errx(2, "no command: try estate --help");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct estate *es = NULL;
		int status;

		if (strcmp(argv[optind], commands[i].name) != 0)
			continue;
		argc -= optind + 1;
		argv += optind + 1;
		if (argc < commands[i].arguments ||
		    argc > commands[i].arguments + commands[i].optional)
			errx(2, "%s takes %d arguments, not %d: try estate --help",
			     commands[i].name, commands[i].arguments + commands[i].optional, argc);
		if (!commands[i].alone)
			es = join(&options);
		status = commands[i].run(es, &options, argc, argv);
		estate_close(es);
		return status;
	}
	errx(2, "no command \"%s\": try estate --help", argv[optind]);
}
