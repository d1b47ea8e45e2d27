// SPDX-License-Identifier: BSD-3-Clause
#include "pool.h"
#include "survey.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>

static int survey_tables(struct survey *survey, estate_pool_visit_fn *visit, void *arg)
{
	int error = 0;

	for (unsigned int i = 0; i < survey->info.tables && !error; i++) {
		struct estate_pool_table table;

		error = survey_table(survey, i, NULL, NULL, &table);
		if (!error && visit)
			error = visit(&table, arg);
	}
	return error;
}

int pmem_pool_check(const char *path, estate_pool_visit_fn *visit, void *arg,
		    struct estate_pool_info *info)
{
	struct survey *survey = malloc(sizeof(*survey));
	struct medium medium;
	int error;

	if (!survey)
		return error_set(-ENOMEM, "pool %s: no memory", path);
	error = medium_open_to_read(&medium, path);
	if (error) {
		free(survey);
		return error;
	}
	error = survey_begin(survey, medium.memory, medium.size, path, 0);
	survey->info.real = medium.real;
	if (!error)
		error = survey_tables(survey, visit, arg);
	medium_close(&medium);
	if (!error && info)
		*info = survey->info;
	free(survey);
	return error;
}
