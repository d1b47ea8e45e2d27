/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The common case of the common tables: a whole key of one or two words with a
 * whole value of one to four, in the first slot that looks like the key's. Calls
 * are compiled for each such shape, and leave all else to those for any table.
 *
 * Random keys of a large table wait for memory, and what counts is how many calls
 * the CPU works on meanwhile: it runs out of registers to rename after some 200
 * instructions that write to one (of integers; of vectors it has more). So these
 * calls are short, and copy by vectors. doc/design.md, section 10, has figures.
 */
#ifndef WHOLE_H
#define WHOLE_H

#include "table.h"

#define WHOLE_KEY_WORDS 2
#define WHOLE_VALUE_WORDS 4

/* A copy of such a shape. */
struct whole {
	struct layout_copy copy;
	uint64_t words[WHOLE_KEY_WORDS + WHOLE_VALUE_WORDS];
};

#define WHOLE_SIZE(key_words, value_words) \
	(sizeof(struct layout_copy) + ((key_words) + (value_words)) * 8)
#define WHOLE_META(key_words, value_words) META((key_words)*8, (value_words)*8, META_LIVE)

/* @macro(key words, value words) for each shape; and an array of them, by each of both minus one. */
#define WHOLE_SHAPES(macro)                                                                 \
	macro(1, 1) macro(1, 2) macro(1, 3) macro(1, 4) macro(2, 1) macro(2, 2) macro(2, 3) \
		macro(2, 4)
#define WHOLE_ARRAY(prefix)                                                         \
	{                                                                           \
		{ prefix##_1_1, prefix##_1_2, prefix##_1_3, prefix##_1_4 },         \
			{ prefix##_2_1, prefix##_2_2, prefix##_2_3, prefix##_2_4 }, \
	}

static inline int whole_shaped(const struct geometry *geometry)
{
	return geometry->key_size % 8 == 0 && geometry->key_size / 8 <= WHOLE_KEY_WORDS &&
	       geometry->value_size % 8 == 0 && geometry->value_size / 8 <= WHOLE_VALUE_WORDS;
}

/* table_copy() with constants. */
ENTRY_INLINE struct layout_copy *whole_copy(const struct estate_table *table, uint32_t slot,
					    unsigned int copy, uint32_t key_words,
					    uint32_t value_words)
{
	size_t headers = (uint64_t)(slot / LAYOUT_SLOTS) * sizeof(struct layout_bucket);
	size_t copies = (2 * (uint64_t)slot + copy) * WHOLE_SIZE(key_words, value_words);

	return (struct layout_copy *)(table->copies + headers + copies);
}

/* The first slot that looks like the key's; 0 if none does. No proof of anything. */
ENTRY_INLINE int whole_find(const struct estate_table *table, uint64_t hash, uint64_t home,
			    uint32_t *slot)
{
	int first = sidecar_find(table_tags(table, home), hash);

	if (unlikely(first < 0))
		return 0;
	*slot = (uint32_t)(home * LAYOUT_SLOTS) + (uint32_t)first;
	return 1;
}

/* Continue @crc over a value. Spelt out: at -O2 compilers leave a loop of four as a loop. */
ENTRY_INLINE uint64_t whole_crc(uint64_t crc, const uint64_t *value, uint32_t value_words)
{
	crc = crc_word(crc, value[0]);
	if (value_words > 1)
		crc = crc_word(crc, value[1]);
	if (value_words > 2)
		crc = crc_word(crc, value[2]);
	if (value_words > 3)
		crc = crc_word(crc, value[3]);
	return crc;
}

#endif
