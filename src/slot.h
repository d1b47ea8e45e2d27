/* SPDX-License-Identifier: BSD-3-Clause */
/* A slot in its owner's hands: what holders of a key's lock do with it. */
#ifndef SLOT_H
#define SLOT_H

#include "chain.h"
#include "table.h"

struct slot {
	uint16_t *tag;
	unsigned char *copies;
	uint32_t number;
	uint32_t current; /* which copy is the newer one */
};

static inline struct slot slot_at(const struct estate_table *table, uint32_t number)
{
	uint16_t *tag = table->tags + number;

	return (struct slot){ .tag = tag,
			      .copies = (unsigned char *)table_copy(table, number, 0),
			      .number = number,
			      .current = tag_load(tag) / TAG_CURRENT };
}

static inline struct layout_copy *slot_current(const struct estate_table *table,
					       const struct slot *slot)
{
	return (struct layout_copy *)(slot->copies + slot->current * table->geometry.copy_size);
}

static inline struct layout_copy *slot_older(const struct estate_table *table,
					     const struct slot *slot)
{
	return (struct layout_copy *)(slot->copies + !slot->current * table->geometry.copy_size);
}

static inline uint32_t slot_meta(const struct estate_table *table, const struct slot *slot)
{
	return (uint32_t)(entry_load_check(slot_current(table, slot)) >> 32);
}

/* Whether the current copy holds the key. The caller has the key's lock. */
ENTRY_INLINE int slot_holds(const struct estate_table *table, const struct slot *slot,
			    const struct entry_key *key, uint32_t key_words)
{
	uint32_t meta = slot_meta(table, slot);

	return (meta & META_LIVE) && META_KEY_LENGTH(meta) == key->length &&
	       entry_has_key(key, slot_current(table, slot), key_words);
}

/* Find a key's slot; 0 if there is none. The caller has the key's lock. */
ENTRY_INLINE int slot_find(const struct estate_table *table, const struct entry_key *key,
			   uint64_t home, struct slot *slot, uint32_t key_words)
{
	unsigned int match = sidecar_match(sidecar_load(table_tags(table, home)),
					   sidecar_fingerprint(key->hash));

	for (; match; match &= match - 1) {
		*slot = slot_at(table, (uint32_t)(home * LAYOUT_SLOTS) + sidecar_first(match));
		if (likely(slot_holds(table, slot, key, key_words)))
			return 1;
	}
	if (likely(!(__atomic_load_n(table->locks + home, __ATOMIC_RELAXED) & SIDECAR_CHAIN)))
		return 0;
	for (uint32_t number = chain_first(table, home); number != NO_SLOT;
	     number = chain_next(table, number)) {
		*slot = slot_at(table, number);
		if (slot_holds(table, slot, key, key_words))
			return 1;
	}
	return 0;
}

/* The larger part of an entry that a copy can be. */
#define SLOT_WORDS_MAX ((sizeof(struct layout_copy) + ESTATE_KEY_MAX + GEOMETRY_INLINE_MAX) / 8)

/* What was written to a slot is to reach persistent memory some day. */
static inline void slot_soil(const struct estate_table *table, uint32_t number)
{
	if (unlikely(table->dirty != NULL))
		__atomic_store_n(table->dirty + number, 1, __ATOMIC_RELEASE);
}

/* The version that @copy is, made aside, becomes the slot's next one. */
static inline void slot_show(const struct estate_table *table, const struct slot *slot,
			     const struct layout_copy *copy)
{
	size_t words = (sizeof(*copy) + table->geometry.key_room +
			(META_INLINE_LENGTH(copy->meta) + 7) / 8 * 8) /
		       8;
	uint64_t *to = (uint64_t *)slot_older(table, slot);

	for (size_t i = 0; i < words; i++)
		shared_store(to + i, ((const uint64_t *)copy)[i]);
	tag_store(slot->tag, tag_load(slot->tag) ^ TAG_CURRENT);
}

/* Persistent first, then shown: what somebody has read does not go back. */
static __attribute__((noinline)) int slot_persist(struct estate_table *table,
						  const struct slot *slot, const uint64_t *key,
						  uint32_t key_crc, uint64_t stamp, uint32_t meta,
						  const uint64_t *value)
{
	uint64_t words[SLOT_WORDS_MAX];
	struct layout_copy *copy = (struct layout_copy *)words;
	const struct layout_copy *const copies[] = { copy };
	int error;

	entry_store(copy, slot->number, key, key_crc, stamp, meta, value,
		    table->geometry.key_room / 8);
	error = table->persist(table, 1, &slot->number, copies);
	if (!error)
		slot_show(table, slot, copy);
	return error;
}

/*
 * Write the next version of a slot, into its older copy, and make it current; @stamp
 * is higher than the last one's.
 * Of a table with extents, @value is the descriptor. 0, or what persisting it says;
 * nothing was changed then.
 */
ENTRY_INLINE int slot_publish_at(struct estate_table *table, const struct slot *slot,
				 const uint64_t *key, uint32_t key_crc, uint64_t stamp,
				 uint32_t meta, const uint64_t *value, uint32_t key_words)
{
	if (unlikely(table->persist != NULL))
		return slot_persist(table, slot, key, key_crc, stamp, meta, value);
	entry_store(slot_older(table, slot), slot->number, key, key_crc, stamp, meta, value,
		    key_words);
	tag_store(slot->tag, tag_load(slot->tag) ^ TAG_CURRENT);
	slot_soil(table, slot->number);
	return 0;
}

/* The same, written now. */
ENTRY_INLINE int slot_publish(struct estate_table *table, const struct slot *slot,
			      const uint64_t *key, uint32_t key_crc, uint32_t meta,
			      const uint64_t *value, uint32_t key_words)
{
	uint64_t last = shared_load(&slot_current(table, slot)->stamp);

	return slot_publish_at(table, slot, key, key_crc, clock_stamp(table->clock, last), meta,
			       value, key_words);
}

/* The inline value of the current copy, zeros beyond it; returns its length. */
static inline size_t slot_load(const struct estate_table *table, const struct slot *slot,
			       uint64_t *value)
{
	size_t length = META_INLINE_LENGTH(slot_meta(table, slot));
	size_t words = (length + 7) / 8;

	shared_load_words(
		value, entry_words_const(slot_current(table, slot)) + table->geometry.key_room / 8,
		words);
	for (size_t i = words; i < table->geometry.value_room / 8; i++)
		value[i] = 0;
	return length;
}

static inline struct layout_extent slot_extent(const struct estate_table *table,
					       const struct slot *slot)
{
	uint64_t words[GEOMETRY_INLINE_MAX / 8];
	struct layout_extent extent;

	slot_load(table, slot, words);
	memcpy(&extent, words, sizeof(extent));
	return extent;
}

/* Zeros from @length to the end of its last word. */
static inline void slot_pad(uint64_t *value, size_t length)
{
	if (length % 8)
		memset((char *)value + length, 0, 8 - length % 8);
}

#endif
