/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One copy of an entry: written by its owner, read and verified by anybody.
 *
 * The check is a CRC32C over key, slot number and meta, stamp, value, in this
 * order, starting from the table's salt. The key comes first so that its part
 * is computed once per look-up (or once per handle); slot number and salt are in
 * it so that a copy is valid in its own place only. Versions at the front and the
 * back would prove nothing: the lines of one READ arrive in any order
 * (Ziegler et al., "Design Guidelines for Correct, Efficient, and Scalable
 * Synchronization using One-Sided RDMA", SIGMOD 2023).
 */
#ifndef ENTRY_H
#define ENTRY_H

#include "crc.h"
#include "geometry.h"
#include "layout.h"
#include "shared.h"

#include <stdint.h>
#include <string.h>

/* The hash library's own code, inlined: a call costs as much as hashing a short key. */
#define XXH_INLINE_ALL
#include <xxhash.h>

/*
 * Loops over a key's words are the larger part of a look-up. Functions that take
 * @key_words are inlined, with a constant for the common keys of up to 8 and up
 * to 16 bytes: ENTRY_KEY_WORDS() makes the three variants of a call.
 */
#define ENTRY_INLINE static inline __attribute__((always_inline))
#define ENTRY_KEY_WORDS(geometry, function, ...)                \
	((geometry)->key_room == 16  ? function(__VA_ARGS__, 2) \
	 : (geometry)->key_room == 8 ? function(__VA_ARGS__, 1) \
				     : function(__VA_ARGS__, (geometry)->key_room / 8))

enum entry_state {
	ENTRY_TORN, /* would not verify: being written, or damaged */
	ENTRY_EMPTY, /* never written */
	ENTRY_OTHER, /* not the key that was looked for; unverified */
	ENTRY_DELETED,
	ENTRY_LIVE,
};

/* A key made ready for look-ups in one table: padded words, hash, CRC. */
struct entry_key {
	uint64_t words[ESTATE_KEY_MAX / 8];
	uint64_t hash;
	uint64_t crc; /* 32 bits: salt, then key */
	uint32_t length;
	uint64_t meta; /* what a live copy of it has that has an inline value of full length */
};

/* What verified, copied out of reach of the writer. */
struct entry_copy {
	uint64_t stamp;
	uint32_t meta;
	uint64_t key[ESTATE_KEY_MAX / 8];
	uint64_t value[GEOMETRY_INLINE_MAX / 8];
};

/* The hash: XXH3 over the key's bytes, seeded; part of the format. */
ENTRY_INLINE uint64_t entry_hash(const struct geometry *geometry, const void *key, size_t length)
{
	return XXH3_64bits_withSeed(key, length, geometry->seed);
}

/* A key's last word: @rest bytes, 1 to 7, zeros above them. */
static inline uint64_t entry_tail(const unsigned char *bytes, size_t length, size_t rest)
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

/* Continue @key's CRC for another salt: the same key in another instance's table. */
ENTRY_INLINE void entry_key_salt(struct entry_key *key, uint32_t salt, uint32_t key_words)
{
	uint64_t crc = salt;

	for (uint32_t i = 0; i < key_words; i++)
		crc = crc_word(crc, key->words[i]);
	key->crc = crc;
}

/* Make @key ready; its length was checked. */
ENTRY_INLINE void entry_key_init(struct entry_key *key, const struct geometry *geometry,
				 uint32_t salt, const void *bytes, size_t length,
				 uint32_t key_words)
{
	uint32_t whole = (uint32_t)length / 8;
	uint32_t i;

	/* A whole key of constant length: hashing it becomes a dozen instructions. */
	if (key_words <= 2 && length == key_words * 8) {
		key->hash = entry_hash(geometry, bytes, key_words * 8);
		key->length = key_words * 8;
		key->meta = geometry->whole_meta | key_words * 8;
		memcpy(key->words, bytes, key_words * 8);
		entry_key_salt(key, salt, key_words);
		return;
	}
	key->hash = entry_hash(geometry, bytes, length);
	key->length = (uint32_t)length;
	key->meta = geometry->whole_meta | length;
	for (i = 0; i < whole; i++)
		memcpy(key->words + i, (const unsigned char *)bytes + i * 8, 8);
	if (length % 8)
		key->words[i++] = entry_tail(bytes, length, length % 8);
	for (; i < key_words; i++)
		key->words[i] = 0;
	entry_key_salt(key, salt, key_words);
}

/*
 * Copy out and verify whatever is at @copy. Returns ENTRY_LIVE, ENTRY_DELETED,
 * ENTRY_EMPTY or ENTRY_TORN; @out is meaningful for the first two.
 */
enum entry_state entry_load(const struct geometry *geometry, uint32_t salt, uint32_t slot,
			    const struct layout_copy *copy, struct entry_copy *out);

static inline uint64_t *entry_words(struct layout_copy *copy)
{
	return (uint64_t *)(copy + 1);
}

static inline const uint64_t *entry_words_const(const struct layout_copy *copy)
{
	return (const uint64_t *)(copy + 1);
}

/* CRC and meta share a word, and are loaded and stored as one. */
static inline uint64_t entry_load_check(const struct layout_copy *copy)
{
	return shared_load((const uint64_t *)copy + 1);
}

static inline uint64_t entry_crc_header(uint64_t crc, uint32_t slot, uint32_t meta, uint64_t stamp)
{
	return crc_word(crc_word(crc, (uint64_t)slot << 32 | meta), stamp);
}

/*
 * Copy out and verify the inline value at @copy, whose key has the CRC @key_crc
 * (with the salt). Returns ENTRY_LIVE, ENTRY_DELETED or ENTRY_TORN.
 */
ENTRY_INLINE enum entry_state entry_load_value(const struct geometry *geometry, uint32_t key_crc,
					       uint32_t slot, const struct layout_copy *copy,
					       uint64_t *stamp, uint32_t *meta, uint64_t *value,
					       uint32_t key_words)
{
	const uint64_t *words = entry_words_const(copy) + key_words;
	uint64_t check = entry_load_check(copy);
	uint32_t m = (uint32_t)(check >> 32);
	uint64_t s = shared_load(&copy->stamp);
	uint32_t value_words = (META_INLINE_LENGTH(m) + 7) / 8;
	uint64_t crc = entry_crc_header(key_crc, slot, m, s);

	if (unlikely(value_words > geometry->value_room / 8))
		return ENTRY_TORN;
	for (uint32_t i = 0; i < value_words; i++) {
		value[i] = shared_load(words + i);
		crc = crc_word(crc, value[i]);
	}
	if (unlikely((uint32_t)crc != (uint32_t)check))
		return ENTRY_TORN;
	*stamp = s;
	*meta = m;
	return m & META_LIVE ? ENTRY_LIVE : ENTRY_DELETED;
}

/* Continue @crc over @count words, as @load loads them: eight at a time, and the rest by one jump. */
#define ENTRY_CRC_WORDS(crc, words, count, load)                \
	do {                                                    \
		for (; unlikely((count) > 8); (count)--)        \
			(crc) = crc_word(crc, load(words++));   \
		(words) += (count);                             \
		switch (count) {                                \
		case 8:                                         \
			(crc) = crc_word(crc, load(words - 8)); \
			__attribute__((fallthrough));           \
		case 7:                                         \
			(crc) = crc_word(crc, load(words - 7)); \
			__attribute__((fallthrough));           \
		case 6:                                         \
			(crc) = crc_word(crc, load(words - 6)); \
			__attribute__((fallthrough));           \
		case 5:                                         \
			(crc) = crc_word(crc, load(words - 5)); \
			__attribute__((fallthrough));           \
		case 4:                                         \
			(crc) = crc_word(crc, load(words - 4)); \
			__attribute__((fallthrough));           \
		case 3:                                         \
			(crc) = crc_word(crc, load(words - 3)); \
			__attribute__((fallthrough));           \
		case 2:                                         \
			(crc) = crc_word(crc, load(words - 2)); \
			__attribute__((fallthrough));           \
		case 1:                                         \
			(crc) = crc_word(crc, load(words - 1)); \
			__attribute__((fallthrough));           \
		default:                                        \
			break;                                  \
		}                                               \
	} while (0)

/* Of memory that is being written. */
ENTRY_INLINE uint64_t entry_crc_words(uint64_t crc, const uint64_t *words, uint32_t count)
{
	ENTRY_CRC_WORDS(crc, words, count, shared_load);
	return crc;
}

/* Of memory that nobody writes: the instruction takes a word from there. */
ENTRY_INLINE uint64_t entry_crc_own(uint64_t crc, const uint64_t *words, uint32_t count)
{
#define ENTRY_LOAD_OWN(word) (*(word))
	ENTRY_CRC_WORDS(crc, words, count, ENTRY_LOAD_OWN);
#undef ENTRY_LOAD_OWN
	return crc;
}

/* Whether the words of @key are at @copy now; its length is for the CRC to prove. */
ENTRY_INLINE int entry_has_key(const struct entry_key *key, const struct layout_copy *copy,
			       uint32_t key_words)
{
	const uint64_t *words = entry_words_const(copy);
	uint64_t difference = 0;

	for (uint32_t i = 0; i < key_words; i++)
		difference |= shared_load(words + i) ^ key->words[i];
	return !difference;
}

/*
 * Copy out and verify @copy if it holds @key. ENTRY_OTHER means that the key is
 * not there (now); nothing was verified.
 */
ENTRY_INLINE enum entry_state entry_match(const struct geometry *geometry,
					  const struct entry_key *key, uint32_t slot,
					  const struct layout_copy *copy, uint64_t *stamp,
					  uint32_t *meta, uint64_t *value, uint32_t key_words)
{
	enum entry_state state;

	if (!entry_has_key(key, copy, key_words))
		return ENTRY_OTHER;
	state = entry_load_value(geometry, key->crc, slot, copy, stamp, meta, value, key_words);
	/* The same words with another length are another key. */
	if (state != ENTRY_TORN && META_KEY_LENGTH(*meta) != key->length)
		return ENTRY_OTHER;
	return state;
}

/*
 * Write a copy: the older one of its slot. @key_crc is the CRC over salt and
 * key; @value has zeros beyond the length in @meta, up to a multiple of 8.
 * The order of these stores is of no importance to readers.
 */
ENTRY_INLINE void entry_store(struct layout_copy *copy, uint32_t slot, const uint64_t *key,
			      uint32_t key_crc, uint64_t stamp, uint32_t meta,
			      const uint64_t *value, uint32_t key_words)
{
	uint64_t *words = entry_words(copy);
	uint32_t value_words = (META_INLINE_LENGTH(meta) + 7) / 8;
	uint64_t crc = entry_crc_header(key_crc, slot, meta, stamp);

	shared_store(&copy->stamp, stamp);
	for (uint32_t i = 0; i < key_words; i++)
		shared_store(words + i, key[i]);
	words += key_words;
	for (uint32_t i = 0; i < value_words; i++) {
		shared_store(words + i, value[i]);
		crc = crc_word(crc, value[i]);
	}
	shared_store((uint64_t *)copy + 1, (uint64_t)meta << 32 | crc);
}

/*
 * Links of overflow chains verify themselves: 8 bytes, the slot's number plus
 * one, and a check over it, the table's salt and the link's own place. 0: none.
 */
#define LINK_NONE 0
#define LINK_BAD UINT64_MAX

/* The place of a bucket's head, and of the link that follows a slot. */
static inline uint64_t link_place_head(uint64_t bucket)
{
	return bucket * (LAYOUT_SLOTS + 1);
}

static inline uint64_t link_place_next(uint32_t slot)
{
	return (uint64_t)(slot / LAYOUT_SLOTS) * (LAYOUT_SLOTS + 1) + 1 + slot % LAYOUT_SLOTS;
}

static inline uint64_t link_make(uint32_t salt, uint64_t place, uint32_t slot)
{
	uint64_t target = (uint64_t)slot + 1;

	return target | crc_word(crc_word(salt, place), target) << 32;
}

/* The slot that a link leads to, LINK_BAD if the link does not verify. @link is not LINK_NONE. */
static inline uint64_t link_target(const struct geometry *geometry, uint32_t salt, uint64_t place,
				   uint64_t link)
{
	uint64_t slot = (link & UINT32_MAX) - 1;

	if (slot >= geometry->slots || link != link_make(salt, place, (uint32_t)slot))
		return LINK_BAD;
	return slot;
}

#endif
