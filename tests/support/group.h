/* SPDX-License-Identifier: BSD-3-Clause */
/* Instances for tests: opened with what most tests want, or the test fails. */
#ifndef GROUP_H
#define GROUP_H

#include <estate/estate.h>

/* dir:@folder, group "test". @name NULL: an observer. */
struct estate *group_open(const char *folder, const char *name, size_t region_size);

/* @es sees @live members that can be read and are not stale; fails after 30 s. */
void group_wait(struct estate *es, unsigned int live);

/* The member called @name, as @es sees it; 0 if there is none. */
int group_find(struct estate *es, const char *name, struct estate_member *member);

/* A table of @count u64 with merge rule sum. */
struct estate_table *group_counters(struct estate *es, const char *name, size_t key_size,
				    size_t count, size_t capacity);

/* Its reads wait as long as they have to: what a busy machine does not get done in time is no failure. */
struct estate_view *group_view(struct estate *es);

#endif
