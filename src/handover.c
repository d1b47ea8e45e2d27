// SPDX-License-Identifier: BSD-3-Clause
#include "handover.h"

#include <string.h>

#define ALL_TAKEN (UINT64_MAX - 3)

/* An instance's memory; NULL if it is not mapped here. */
static const void *memory_of(const struct roster_entry *entry, const struct estate_table *table)
{
	if (entry->self)
		return table->es->region.memory;
	return entry->peer && !entry->peer->far ? entry->peer->memory : NULL;
}

/* The memory of the instance that a sealed region names, if it is in the roster, and readable. */
static const void *adopter_of(const struct lineup *lineup, const struct estate_table *table,
			      const struct layout_header *leaver)
{
	const uint64_t *words = (const uint64_t *)(const void *)leaver->adopter;
	uint64_t uuid[2] = { shared_load(words), shared_load(words + 1) };

	for (unsigned int i = 0; i < lineup->roster->count; i++) {
		const struct roster_entry *entry = &lineup->roster->entries[i];

		if (!memcmp(entry->uuid, uuid, sizeof(uuid)))
			return memory_of(entry, table);
	}
	return NULL;
}

/*
 * Of an instance that has left: all that it handed over is in its adopter. Whom we
 * may not know yet, and then it is nowhere for us.
 */
static struct handover after_leaving(const struct lineup *lineup, const struct estate_table *table,
				     const struct layout_header *leaver)
{
	return (struct handover){ .state = LAYOUT_LEFT,
				  .cursor = ALL_TAKEN,
				  .unsure = shared_load(&leaver->adopter_epoch) &&
					    !adopter_of(lineup, table, leaver) };
}

#define NOT_KNOWN UINT64_MAX

/* How much of a sealed region's table has been taken; NOT_KNOWN. */
static uint64_t taken(const struct lineup *lineup, const struct estate_table *table,
		      const struct roster_entry *entry, const struct layout_header *leaver)
{
	const void *adopter = adopter_of(lineup, table, leaver);
	const struct layout_adoption *adoption;
	unsigned int number;
	uint32_t state;

	/* Whoever took a part of it does not count for us either. */
	if (!adopter)
		return 0;
	adoption = region_adoption(adopter, entry->uuid, entry->epoch);
	if (!adoption)
		return 0;
	state = __atomic_load_n(&adoption->state, __ATOMIC_ACQUIRE);
	if (state == LAYOUT_ADOPTION_DONE || state == LAYOUT_ADOPTION_ENDED)
		return ALL_TAKEN;
	if (state == LAYOUT_ADOPTION_RESUMING)
		return NOT_KNOWN;
	number = region_table_number(leaver, entry->peer->size, table->name);
	if (state != LAYOUT_ADOPTION_RUNNING || number == ESTATE_TABLES_MAX)
		return 0;
	return __atomic_load_n(&adoption->cursor[number], __ATOMIC_ACQUIRE);
}

void handover_look(const struct lineup *lineup, const struct estate_table *table,
		   struct handover *now)
{
	for (unsigned int i = 0; i < lineup->roster->count; i++) {
		const struct roster_entry *entry = &lineup->roster->entries[i];
		const struct layout_header *header = memory_of(entry, table);

		now[i] = (struct handover){ .state = LAYOUT_JOINED };
		if (!header || entry->self)
			continue;
		now[i].state = region_state(header);
		if (now[i].state == LAYOUT_LEFT)
			now[i] = after_leaving(lineup, table, header);
		else if (now[i].state == LAYOUT_SEALED)
			now[i].cursor = taken(lineup, table, entry, header);
		now[i].unsure |= now[i].cursor == NOT_KNOWN;
	}
	/* What is read after this was looked for after it. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

int handover_steady(const struct lineup *lineup, const struct handover *before,
		    const struct handover *after, uint64_t home)
{
	for (unsigned int i = 0; i < lineup->roster->count; i++) {
		enum handover_finding was = handover_judge(&before[i], home);

		if (was == HANDOVER_UNSURE ||
		    (was == HANDOVER_COUNTS && handover_judge(&after[i], home) != HANDOVER_COUNTS))
			return 0;
	}
	return 1;
}
