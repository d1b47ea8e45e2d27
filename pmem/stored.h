/* SPDX-License-Identifier: BSD-3-Clause */
/* What a slot of a pool has: the rules by which it is recovered, checked and salvaged. */
#ifndef STORED_H
#define STORED_H

#include "entry.h"

/*
 * The newest version that a slot has, whose raw stamps may be torn: of two that
 * verify the higher stamp counts, so the first that does, from the higher one on.
 * @copies is the slot's first one; *@which is where the version is. ENTRY_TORN:
 * neither verifies, and one of them once did.
 */
static inline enum entry_state stored_newest(const struct geometry *geometry, uint32_t salt,
					     uint32_t slot, const struct layout_copy *copies,
					     struct entry_copy *copy, unsigned int *which)
{
	const struct layout_copy *both[2] = {
		copies, (const struct layout_copy *)((const char *)copies + geometry->copy_size)
	};
	unsigned int first = both[1]->stamp > both[0]->stamp;
	enum entry_state state = entry_load(geometry, salt, slot, both[first], copy);

	*which = first;
	if (state != ENTRY_TORN)
		return state;
	*which = !first;
	return entry_load(geometry, salt, slot, both[!first], copy);
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
