// SPDX-License-Identifier: BSD-3-Clause
#include "entry.h"

/* The library's own code, inlined: a call would cost as much as hashing a short key. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t entry_hash(const struct geometry *geometry, const void *key, size_t length)
{
	return XXH3_64bits_withSeed(key, length, geometry->seed);
}

/* The last 1 to 7 bytes of a key, zeros above them. */
static uint64_t tail(const unsigned char *bytes, size_t length, size_t rest)
{
	uint64_t word = 0;

	if (length >= 8) {
		memcpy(&word, bytes + length - 8, 8);
		return word >> (8 * (8 - rest));
	}
	for (size_t i = 0; i < rest; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

void entry_key_init(struct entry_key *key, const struct geometry *geometry, uint32_t salt,
		    const void *bytes, size_t length)
{
	uint32_t room = geometry->key_room / 8;
	uint32_t whole = (uint32_t)length / 8;
	uint32_t i;

	key->hash = entry_hash(geometry, bytes, length);
	key->length = (uint32_t)length;
	for (i = 0; i < whole; i++)
		memcpy(key->words + i, (const unsigned char *)bytes + i * 8, 8);
	if (length % 8)
		key->words[i++] = tail(bytes, length, length % 8);
	for (; i < room; i++)
		key->words[i] = 0;
	entry_key_salt(key, geometry, salt);
}

void entry_key_salt(struct entry_key *key, const struct geometry *geometry, uint32_t salt)
{
	uint32_t crc = salt;

	for (uint32_t i = 0; i < geometry->key_room / 8; i++)
		crc = crc_word(crc, key->words[i]);
	key->crc = crc;
}

enum entry_state entry_load(const struct geometry *geometry, uint32_t salt, uint32_t slot,
			    const struct layout_copy *copy, struct entry_copy *out)
{
	const uint64_t *words = entry_words_const(copy);
	uint32_t key_words = geometry->key_room / 8;
	uint64_t check = entry_load_check(copy);
	uint32_t meta = (uint32_t)(check >> 32);
	uint64_t stamp = shared_load(&copy->stamp);
	uint32_t value_words = (META_INLINE_LENGTH(meta) + 7) / 8;
	uint32_t crc = salt;

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
	if (crc != (uint32_t)check)
		return ENTRY_TORN;
	out->stamp = stamp;
	out->meta = meta;
	return meta & META_LIVE ? ENTRY_LIVE : ENTRY_DELETED;
}
