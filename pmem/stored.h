/* SPDX-License-Identifier: BSD-3-Clause */
/* What a slot of a pool has: the rules by which it is recovered, checked and salvaged. */
#ifndef STORED_H
#define STORED_H

#include "entry.h"
#include "format.h"

/* entry_load(), of memory that nobody writes: where it is. */
static inline enum entry_state stored_verify(const struct geometry *geometry, uint32_t salt,
					     uint32_t slot, const struct layout_copy *copy)
{
	const uint64_t *words = entry_words_const(copy);
	uint32_t key_words = geometry->key_room / 8;
	uint64_t check = entry_load_check(copy);
	uint32_t meta = (uint32_t)(check >> 32);
	uint32_t value_words = (META_INLINE_LENGTH(meta) + 7) / 8;
	uint64_t crc;

	if (!check && !copy->stamp)
		return ENTRY_EMPTY;
	if (META_KEY_LENGTH(meta) < 1 || META_KEY_LENGTH(meta) > geometry->key_size ||
	    value_words > geometry->value_room / 8)
		return ENTRY_TORN;
	crc = entry_crc_own(salt, words, key_words);
	crc = entry_crc_header(crc, slot, meta, copy->stamp);
	crc = entry_crc_own(crc, words + key_words, value_words);
	if ((uint32_t)crc != (uint32_t)check)
		return ENTRY_TORN;
	return meta & META_LIVE ? ENTRY_LIVE : ENTRY_DELETED;
}

/*
 * The newest version that a slot has, whose raw stamps may be torn: of two that
 * verify the higher stamp counts, so the first that does, from the higher one on.
 * @copies is the slot's first one; *@which is where the version is. ENTRY_TORN:
 * neither verifies, and one of them once did.
 */
static inline enum entry_state stored_newest(const struct geometry *geometry, uint32_t salt,
					     uint32_t slot, const struct layout_copy *copies,
					     unsigned int *which)
{
	const struct layout_copy *both[2] = {
		copies,
		(const struct layout_copy *)((const char *)copies + format_copy_size(geometry))
	};
	unsigned int first = both[1]->stamp > both[0]->stamp;
	enum entry_state state = stored_verify(geometry, salt, slot, both[first]);

	*which = first;
	if (state != ENTRY_TORN)
		return state;
	*which = !first;
	return stored_verify(geometry, salt, slot, both[!first]);
}

/* Bytes of a copy that count. */
static inline size_t stored_bytes(const struct geometry *geometry, uint32_t meta)
{
	return sizeof(struct layout_copy) + geometry->key_room +
	       (META_INLINE_LENGTH(meta) + 7) / 8 * 8;
}

/* The block's bit in @used, which is set from now on; whether it was: no two entries share one. */
static inline int stored_use_block(uint64_t *used, uint64_t block)
{
	uint64_t bit = 1ull << block % 64;

	return !!(__atomic_fetch_or(&used[block / 64], bit, __ATOMIC_RELAXED) & bit);
}

#endif
