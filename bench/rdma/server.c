// SPDX-License-Identifier: BSD-3-Clause
#include "server.h"

#include "answer.h"
#include "control.h"
#include "nf.h"
#include "tables.h"

#include <estate/estate.h>

#include <stdio.h>

static struct estate *open_instance(const struct options *options)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char name[ESTATE_NAME_MAX], registry[160], listen[128];
	struct estate *es;

	snprintf(name, sizeof(name), "owner-%u", options->listen.port);
	snprintf(listen, sizeof(listen), "verbs:%s:%u", options->listen.host, options->listen.port);
	snprintf(registry, sizeof(registry), "static:%s", listen);
	attr.group = "bench";
	attr.name = name;
	attr.registry = registry;
	attr.listen = listen;
	attr.region_size = (size_t)1 << 20;
	for (unsigned int i = 0; i < options->size_count; i++) {
		struct estate_table_attr table;

		tables_attributes(&table, options->sizes[i], options->entries);
		attr.region_size += estate_table_bytes(&table) + 4096;
	}
	if (!estate_open(&attr, &es))
		return es;
	fprintf(stderr, "%s\n", estate_errormsg());
	return NULL;
}

int server_run(const struct options *options)
{
	struct estate *es = open_instance(options);
	struct answerer answerer = { .buffer_size = options->buffer };

	if (!es)
		return -1;
	for (unsigned int i = 0; i < options->size_count; i++) {
		answerer.tables[i] = tables_open(es, options->sizes[i], options->entries, 1);
		if (!answerer.tables[i])
			return -1;
	}
	answerer.table_count = options->size_count;
	if (nf_spinner_start() || control_serve(&options->listen))
		return -1;
	nf_spin(options->busy);
	printf("ready at %s:%u\n", options->listen.host, options->listen.port);
	fflush(stdout);
	return answer_run(&answerer, &options->listen);
}
