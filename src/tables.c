// SPDX-License-Identifier: BSD-3-Clause
#include "tables.h"

#include "error.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many of a roster's peers have a table with this geometry. */
static unsigned int count_alike(const struct roster *roster, const struct region_table *table)
{
	unsigned int alike = 0;

	for (unsigned int i = 0; i < roster->count; i++) {
		const struct peer *peer = roster->entries[i].peer;
		struct region_table other;

		if (peer && !region_find_table(peer->memory, peer->size, table->name, &other))
			alike += (unsigned int)geometry_same(&other.geometry, &table->geometry);
	}
	return alike;
}

int tables_find(const struct roster *roster, const char *name, struct geometry *geometry)
{
	unsigned int most = 0;

	for (unsigned int i = 0; i < roster->count; i++) {
		const struct peer *peer = roster->entries[i].peer;
		struct region_table table;
		unsigned int alike;

		if (!peer || region_find_table(peer->memory, peer->size, name, &table))
			continue;
		alike = count_alike(roster, &table);
		if (alike > most) {
			most = alike;
			*geometry = table.geometry;
		}
	}
	return most ? 0 : -ENOENT;
}

/* Tables found so far, and room for one of each name of all members. */
struct collection {
	const struct roster *roster;
	struct estate_table_info *tables;
	unsigned int count;
	unsigned int room;
};

/* @own: the table is this instance's. */
static int collect_table(struct collection *all, const struct region_table *table, int own)
{
	struct estate_table_info *info = NULL;
	struct geometry geometry = table->geometry;

	for (unsigned int i = 0; i < all->count && !info; i++)
		if (!strcmp(all->tables[i].name, table->name))
			info = &all->tables[i];
	if (!info) {
		if (all->count == all->room) {
			unsigned int room = all->room ? all->room * 2 : 16;
			void *larger = realloc(all->tables, room * sizeof(*all->tables));

			if (!larger)
				return error_set(-ENOMEM, "estate_tables: no memory");
			all->tables = larger;
			all->room = room;
		}
		info = &all->tables[all->count++];
		*info = (struct estate_table_info){ 0 };
		strcpy(info->name, table->name);
		/* What estate_table_open() would open; ours before anybody's. */
		if (!own)
			tables_find(all->roster, table->name, &geometry);
		geometry_attr(&geometry, &info->attr);
	}
	/* Cannot fail: these attributes made a geometry before. */
	if (!geometry_init(&geometry, &info->attr) && geometry_same(&geometry, &table->geometry)) {
		info->members++;
		info->entries += table->entries;
	} else {
		info->odd++;
	}
	return 0;
}

static int collect_region(struct collection *all, const void *memory, size_t size, int own)
{
	for (unsigned int index = 0;;) {
		struct region_table table;
		int error = region_next_table(memory, size, &index, &table);

		if (error == -ENOENT)
			return 0;
		if (!error)
			error = collect_table(all, &table, own);
		if (error == -ENOMEM)
			return error;
	}
}

static int compare_tables(const void *a, const void *b)
{
	return strcmp(((const struct estate_table_info *)a)->name,
		      ((const struct estate_table_info *)b)->name);
}

int estate_tables(struct estate *es, struct estate_table_info *tables, unsigned int max)
{
	struct collection all = { 0 };
	struct roster *roster;
	uint64_t generation;
	int result = 0;

	if (!es || (!tables && max))
		return error_set(-EINVAL, "estate_tables: %s is NULL", es ? "tables" : "es");
	group_renew(es->group);
	roster = group_roster(es->group, &generation);
	all.roster = roster;
	if (es->region.memory)
		result = collect_region(&all, es->region.memory, es->region.size, 1);
	for (unsigned int i = 0; i < roster->count && !result; i++)
		if (roster->entries[i].peer)
			result = collect_region(&all, roster->entries[i].peer->memory,
						roster->entries[i].peer->size, 0);
	roster_release(roster);
	if (!result) {
		if (all.count)
			qsort(all.tables, all.count, sizeof(*all.tables), compare_tables);
		for (unsigned int i = 0; i < all.count && i < max; i++)
			tables[i] = all.tables[i];
		result = (int)all.count;
	}
	free(all.tables);
	return result;
}
