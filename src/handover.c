// SPDX-License-Identifier: BSD-3-Clause
#include "handover.h"

#include <errno.h>
#include <string.h>

#define ALL_TAKEN (UINT64_MAX - 3)
#define NOT_KNOWN UINT64_MAX

/* One look: what is seen of whom. */
struct look {
	const struct lineup *lineup;
	const struct estate_table *table;
	const struct handover_page *pages;
};

/* The first page of an instance, and all of its region if it is not far; NULL if it cannot be read. */
static const void *memory_of(const struct look *look, unsigned int i)
{
	const struct roster_entry *entry = &look->lineup->roster->entries[i];

	if (entry->self)
		return look->table->es->region.memory;
	if (!entry->peer)
		return NULL;
	if (!entry->peer->far)
		return entry->peer->memory;
	return look->pages ? look->pages[i].memory : NULL;
}

/* The place in the roster of the instance that a sealed region names. */
static unsigned int adopter_of(const struct look *look, const struct layout_header *leaver)
{
	const struct roster *roster = look->lineup->roster;
	const uint64_t *words = (const uint64_t *)(const void *)leaver->adopter;
	uint64_t uuid[2] = { shared_load(words), shared_load(words + 1) };

	for (unsigned int i = 0; i < roster->count; i++)
		if (!memcmp(roster->entries[i].uuid, uuid, sizeof(uuid)))
			return i;
	return HANDOVER_NOBODY;
}

/*
 * Of an instance that has left, or only has to: all that it handed over is in its adopter. Whom we
 * may not know yet, and then it is nowhere for us.
 */
static struct handover after_leaving(const struct look *look, const struct layout_header *leaver)
{
	unsigned int by = adopter_of(look, leaver);

	return (struct handover){ .state = LAYOUT_LEFT,
				  .adopter = by,
				  .cursor = ALL_TAKEN,
				  .unsure = shared_load(&leaver->adopter_epoch) &&
					    (by == HANDOVER_NOBODY || !memory_of(look, by)) };
}

/*
 * The table's number in a leaver's directory, which cannot grow any more; ESTATE_TABLES_MAX if it
 * is not there. Of a far leaver that is known as soon as its table was looked for, NOT_KNOWN before.
 */
static uint64_t number_of(const struct look *look, unsigned int i,
			  const struct layout_header *leaver)
{
	const struct roster_entry *entry = &look->lineup->roster->entries[i];
	const struct view_place *place = &look->lineup->places[look->table->number][i];

	if (!lineup_is_far(entry))
		return region_table_number(leaver, entry->peer->size, look->table->name);
	if (!place->state)
		return place->number;
	return place->state != -EAGAIN && place->tables >= region_tables(leaver) ? ESTATE_TABLES_MAX
										 : NOT_KNOWN;
}

/*
 * How much of a sealed region's table has been taken; NOT_KNOWN. What is read by one READ comes
 * in no order: a record may still be another leaver's in all but its name. It is what it says
 * when the READ before this one has shown that name already.
 */
static uint64_t taken(const struct look *look, unsigned int i, const struct layout_header *leaver,
		      const struct handover *last, struct handover *now)
{
	const struct roster_entry *entry = &look->lineup->roster->entries[i];
	unsigned int by = adopter_of(look, leaver);
	const struct layout_adoption *adoption;
	uint64_t number;
	uint32_t state;

	now->adopter = by;
	/* Whoever took a part of it does not count for us either. */
	if (by == HANDOVER_NOBODY || !memory_of(look, by))
		return 0;
	adoption = region_adoption(memory_of(look, by), entry->uuid, entry->epoch);
	if (!adoption)
		return 0;
	now->recorded = 1;
	state = __atomic_load_n(&adoption->state, __ATOMIC_ACQUIRE);
	if (state != LAYOUT_ADOPTION_RUNNING && state != LAYOUT_ADOPTION_DONE &&
	    state != LAYOUT_ADOPTION_ENDED && state != LAYOUT_ADOPTION_RESUMING)
		return 0;
	if (state == LAYOUT_ADOPTION_RESUMING ||
	    (lineup_is_far(&look->lineup->roster->entries[by]) &&
	     (!last || !last->recorded || last->adopter != by)))
		return NOT_KNOWN;
	if (state != LAYOUT_ADOPTION_RUNNING)
		return ALL_TAKEN;
	number = number_of(look, i, leaver);
	if (number >= ESTATE_TABLES_MAX)
		return number == NOT_KNOWN ? NOT_KNOWN : 0;
	return __atomic_load_n(&adoption->cursor[number], __ATOMIC_ACQUIRE);
}

/* Whether readers need no record any more to know where it is. */
static int has_finished(const struct layout_header *header)
{
	enum layout_state state = region_state(header);

	return state == LAYOUT_LEFT ||
	       (state == LAYOUT_SEALED && (shared_load(&header->flags) & LAYOUT_FINISHED));
}

/* What is to be said of an instance that may be anything by now. */
static void look_at(const struct look *look, unsigned int i, const struct handover *last,
		    struct handover *now)
{
	const struct roster_entry *entry = &look->lineup->roster->entries[i];
	const struct layout_header *header = memory_of(look, i);
	struct region_identity identity;

	*now = (struct handover){ .state = LAYOUT_JOINED, .adopter = HANDOVER_NOBODY };
	if (entry->self)
		return;
	if (!header) {
		if (look->pages && lineup_is_far(entry))
			now->error = look->pages[i].error;
		return;
	}
	if (lineup_is_far(entry)) {
		if (region_check(header, entry->peer->size, &identity))
			now->error = -EBADMSG;
		else if (memcmp(identity.uuid, entry->uuid, sizeof(identity.uuid)) ||
			 identity.epoch != entry->epoch)
			now->error = -EHOSTDOWN;
		if (now->error)
			return;
	}
	now->state = region_state(header);
	if (has_finished(header)) {
		*now = after_leaving(look, header);
	} else if (now->state != LAYOUT_JOINED) {
		now->state = LAYOUT_SEALED;
		now->cursor = taken(look, i, header, last, now);
		/*
		 * That nothing is said of it may mean that it is over, and its record another one's by
		 * now. Then it had finished before, which is seen if it is mapped; if it is far, records
		 * stay for longer than a look is good for.
		 */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!now->cursor && has_finished(header))
			*now = after_leaving(look, header);
	}
	now->unsure |= now->cursor == NOT_KNOWN;
}

void handover_look(const struct lineup *lineup, const struct estate_table *table,
		   const struct handover_page *pages, const struct handover *last,
		   struct handover *now)
{
	const struct look look = { lineup, table, pages };

	for (unsigned int i = 0; i < lineup->roster->count; i++)
		look_at(&look, i, last ? &last[i] : NULL, &now[i]);
	/* What is read after this was looked for after it. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* What was counted of instance @i was nobody else's until @after. */
static int still_counts(const struct lineup *lineup, const struct handover *before,
			const struct handover *after, unsigned int i, uint64_t home)
{
	unsigned int by = after[i].adopter;

	/* A far member takes longer to be adopted than this took, see HANDOVER_RIPE_US. */
	if (before[i].state == LAYOUT_JOINED && lineup_is_far(&lineup->roster->entries[i]))
		return 1;
	if (after[i].error)
		return 0;
	/* Whose adopter does not count counts, whatever that has of it. */
	if (by != HANDOVER_NOBODY && before[by].error)
		return after[i].state != LAYOUT_LEFT;
	if (by != HANDOVER_NOBODY && after[by].error)
		return 0;
	return handover_judge(&after[i], home) == HANDOVER_COUNTS;
}

int handover_sure(const struct lineup *lineup, const struct handover *at, uint64_t home)
{
	for (unsigned int i = 0; i < lineup->roster->count; i++)
		if (handover_judge(&at[i], home) == HANDOVER_UNSURE)
			return 0;
	return 1;
}

int handover_held(const struct lineup *lineup, const struct handover *before,
		  const struct handover *after, uint64_t home)
{
	for (unsigned int i = 0; i < lineup->roster->count; i++)
		if (handover_judge(&before[i], home) == HANDOVER_COUNTS &&
		    !still_counts(lineup, before, after, i, home))
			return 0;
	return 1;
}

int handover_steady(const struct lineup *lineup, const struct handover *before,
		    const struct handover *after, uint64_t home)
{
	return handover_sure(lineup, before, home) && handover_held(lineup, before, after, home);
}

int handover_changed(const struct lineup *lineup, const struct handover *then)
{
	const struct roster *roster = lineup->roster;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	for (unsigned int i = 0; i < roster->count; i++) {
		const struct peer *peer = roster->entries[i].peer;

		if (peer && !peer->far && then[i].state == LAYOUT_JOINED &&
		    region_state(peer->memory) != LAYOUT_JOINED)
			return 1;
	}
	return 0;
}

int handover_none(const struct lineup *lineup, const struct handover *now)
{
	for (unsigned int i = 0; i < lineup->roster->count; i++)
		if (now[i].state != LAYOUT_JOINED)
			return 0;
	return 1;
}
