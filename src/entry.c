// SPDX-License-Identifier: BSD-3-Clause
#include "entry.h"

enum entry_state entry_load(const struct geometry *geometry, uint32_t salt, uint32_t slot,
			    const struct layout_copy *copy, struct entry_copy *out)
{
	const uint64_t *words = entry_words_const(copy);
	uint32_t key_words = geometry->key_room / 8;
	uint64_t check = entry_load_check(copy);
	uint32_t meta = (uint32_t)(check >> 32);
	uint64_t stamp = shared_load(&copy->stamp);
	uint32_t value_words = (META_INLINE_LENGTH(meta) + 7) / 8;
	uint64_t crc = salt;

	if (!check && !stamp)
		return ENTRY_EMPTY;
	if (META_KEY_LENGTH(meta) < 1 || META_KEY_LENGTH(meta) > geometry->key_size ||
	    value_words > geometry->value_room / 8)
		return ENTRY_TORN;
	for (uint32_t i = 0; i < key_words; i++) {
		out->key[i] = shared_load(words + i);
		crc = crc_word(crc, out->key[i]);
	}
	words += key_words;
	crc = entry_crc_header(crc, slot, meta, stamp);
	for (uint32_t i = 0; i < value_words; i++) {
		out->value[i] = shared_load(words + i);
		crc = crc_word(crc, out->value[i]);
	}
	if ((uint32_t)crc != (uint32_t)check)
		return ENTRY_TORN;
	out->stamp = stamp;
	out->meta = meta;
	return meta & META_LIVE ? ENTRY_LIVE : ENTRY_DELETED;
}
