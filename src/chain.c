// SPDX-License-Identifier: BSD-3-Clause
#include "chain.h"

/*
 * The slot of an overflow chain, from the link at @place; NO_SLOT at its end.
 * In its owner's memory a link that does not verify is one that another chain
 * has already: also an end, which the reader's look at the generation mends.
 */
static uint32_t follow(const struct estate_table *table, const uint64_t *link, uint64_t place)
{
	uint64_t word = __atomic_load_n(link, __ATOMIC_ACQUIRE);
	uint64_t target;

	if (word == LINK_NONE)
		return NO_SLOT;
	target = link_target(&table->geometry, table->salt, place, word);
	return target == LINK_BAD ? NO_SLOT : (uint32_t)target;
}

static uint64_t *link_of(const struct estate_table *table, uint32_t slot)
{
	return &table_bucket(table, slot / LAYOUT_SLOTS)->next[slot % LAYOUT_SLOTS];
}

uint32_t chain_first(const struct estate_table *table, uint64_t home)
{
	return follow(table, &table_bucket(table, home)->head, link_place_head(home));
}

uint32_t chain_next(const struct estate_table *table, uint32_t slot)
{
	return follow(table, &table_bucket(table, slot / LAYOUT_SLOTS)->next[slot % LAYOUT_SLOTS],
		      link_place_next(slot));
}

/*
 * Put a slot at the front of its home's chain. At the front, because a reader
 * elsewhere that comes to this slot by an old link then still sees all that the
 * chain had (doc/design.md, "Absence").
 */
void chain_push(struct estate_table *table, uint64_t home, uint32_t slot)
{
	uint64_t *head = &table_bucket(table, home)->head;
	uint32_t first = chain_first(table, home);

	__atomic_store_n(link_of(table, slot),
			 first == NO_SLOT ? LINK_NONE
					  : link_make(table->salt, link_place_next(slot), first),
			 __ATOMIC_RELEASE);
	__atomic_store_n(head, link_make(table->salt, link_place_head(home), slot),
			 __ATOMIC_RELEASE);
	__atomic_fetch_add(&table->overflowed, 1, __ATOMIC_RELAXED);
}

/* Take a slot out of its home's chain, if it is in it. Its own link stays, for readers on it. */
void chain_remove(struct estate_table *table, uint64_t home, uint32_t slot)
{
	uint64_t *link = &table_bucket(table, home)->head;
	uint64_t place = link_place_head(home);

	for (;;) {
		uint32_t at = follow(table, link, place);
		uint32_t after;

		if (at == NO_SLOT)
			return;
		if (at == slot) {
			after = chain_next(table, slot);
			__atomic_store_n(link,
					 after == NO_SLOT ? LINK_NONE
							  : link_make(table->salt, place, after),
					 __ATOMIC_RELEASE);
			__atomic_fetch_sub(&table->overflowed, 1, __ATOMIC_RELAXED);
			return;
		}
		link = link_of(table, at);
		place = link_place_next(at);
	}
}
