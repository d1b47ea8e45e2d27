/* SPDX-License-Identifier: BSD-3-Clause */
/* What holders of a key's lock do with its slot. */
#ifndef SLOT_H
#define SLOT_H

#include "chain.h"
#include "table.h"

/* Both buckets that a key may be in, as one word of eight tags. */
static inline uint64_t both_tags(const struct sidecar_group *group, uint32_t *lock)
{
	uint64_t home = sidecar_load(group);
	uint64_t next = sidecar_load(group + 1);

	*lock = SIDECAR_LOCK(home);
	return SIDECAR_TAGS(home) | SIDECAR_TAGS(next) << 32;
}

/* Whether the current copy of @slot holds the key. The caller has the key's lock. */
static inline int holds(const struct estate_table *table, const struct entry_key *key,
			uint32_t slot)
{
	const struct layout_copy *copy =
		table_copy(table, slot, !!(tag_load(table_tag(table, slot)) & TAG_CURRENT));
	const uint64_t *words = entry_words_const(copy);
	uint32_t meta = (uint32_t)(entry_load_check(copy) >> 32);

	if (!(meta & META_LIVE) || META_KEY_LENGTH(meta) != key->length)
		return 0;
	for (uint32_t i = 0; i < table->geometry.key_room / 8; i++)
		if (shared_load(words + i) != key->words[i])
			return 0;
	return 1;
}

/* The slot of a key, or NO_SLOT. The caller has the key's lock. */
static inline uint32_t find_locked(const struct estate_table *table, const struct entry_key *key,
				   uint64_t home)
{
	uint32_t lock;
	uint64_t match = sidecar_match(both_tags(table->sidecar + home, &lock),
				       sidecar_fingerprint(key->hash));

	for (; match; match &= match - 1) {
		uint32_t slot = (uint32_t)(home * LAYOUT_SLOTS) + sidecar_first(match);

		if (holds(table, key, slot))
			return slot;
	}
	if (likely(!(lock & SIDECAR_CHAIN)))
		return NO_SLOT;
	for (uint32_t slot = chain_first(table, home); slot != NO_SLOT;
	     slot = chain_next(table, slot))
		if (holds(table, key, slot))
			return slot;
	return NO_SLOT;
}

/*
 * Write the next version of @slot. @old is its current copy, or NULL if the key
 * is new. For extents, @value is the descriptor. The caller has the key's lock.
 */
static inline void publish(struct estate_table *table, uint32_t slot, const uint64_t *key_words,
			   uint32_t key_length, uint32_t key_crc, uint32_t flags,
			   size_t inline_length, const uint64_t *value)
{
	uint8_t *tag = table_tag(table, slot);
	uint8_t was = tag_load(tag);
	unsigned int current = !!(was & TAG_CURRENT);
	uint64_t last = shared_load(&table_copy(table, slot, current)->stamp);

	entry_store(&table->geometry, table_copy(table, slot, !current), slot, key_words, key_crc,
		    clock_stamp(table->clock, last), META(key_length, inline_length, flags), value);
	tag_store(tag, was ^ TAG_CURRENT);
}

/* The inline value of a slot's current copy, zeros beyond it; returns its length. */
static inline size_t load_current(const struct estate_table *table, uint32_t slot, uint64_t *value)
{
	const struct layout_copy *copy =
		table_copy(table, slot, !!(tag_load(table_tag(table, slot)) & TAG_CURRENT));
	size_t length = META_INLINE_LENGTH((uint32_t)(entry_load_check(copy) >> 32));
	size_t words = (length + 7) / 8;

	shared_load_words(value, entry_words_const(copy) + table->geometry.key_room / 8, words);
	for (size_t i = words; i < table->geometry.value_room / 8; i++)
		value[i] = 0;
	return length;
}

static inline void pad(uint64_t *value, size_t length)
{
	if (length % 8)
		memset((char *)value + length, 0, 8 - length % 8);
}

static inline struct layout_extent slot_extent(const struct estate_table *table, uint32_t slot)
{
	uint64_t words[GEOMETRY_INLINE_MAX / 8];
	struct layout_extent extent;

	load_current(table, slot, words);
	memcpy(&extent, words, sizeof(extent));
	return extent;
}

#endif
