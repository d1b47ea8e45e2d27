// SPDX-License-Identifier: BSD-3-Clause
#include "write_whole.h"

#include "write.h"

/* Make @key ready, find and lock it; 0, with nothing locked, if it is not as in the common case. */
ENTRY_INLINE int lock_whole(struct estate_table *table, const void *bytes, struct entry_key *key,
			    struct whole_target *target, uint32_t key_words, uint32_t value_words,
			    int alone)
{
	const uint64_t *words;
	unsigned char *copies;
	uint64_t home;

	entry_key_init(key, &table->geometry, table->salt, bytes, key_words * 8, key_words);
	home = geometry_home(&table->geometry, key->hash);
	if (unlikely(!whole_find(table, key->hash, home, &target->slot)))
		return 0;
	copies = (unsigned char *)whole_copy(table, target->slot, 0, key_words, value_words);
	/* Before the lock, as in write.c's prefetch_match(). */
	__builtin_prefetch(copies, 1);
	__builtin_prefetch(copies + 2 * WHOLE_SIZE(key_words, value_words) - 1, 1);
	/* Those of multiples of 16 bytes are never in three lines. */
	if (WHOLE_SIZE(key_words, value_words) % 16)
		__builtin_prefetch(copies + WHOLE_SIZE(key_words, value_words), 1);
	target->tag = table->tags + target->slot;
	target->lock = table->locks + home;
	if (unlikely(!whole_lock(table, target, alone)))
		return 0;
	if (!whole_aim(target, copies, key_words, value_words))
		goto not_it;
	words = entry_words_const(target->from);
	/* Live in the current copy, under its lock: this is the key's slot, and will be. */
	if (likely(shared_load(words) == key->words[0]) &&
	    likely(key_words < 2 || shared_load(words + 1) == key->words[1]))
		return 1;
not_it:
	whole_unlock(target, alone);
	return 0;
}

/*
 * 0, or 1 if this is for another way to put; whose lengths are constants again, and so need no
 * registers to be kept in.
 */
ENTRY_INLINE int put(struct estate_table *table, const void *key, const void *value,
		     uint32_t key_words, uint32_t value_words, int alone)
{
	uint64_t words[WHOLE_VALUE_WORDS];
	struct whole_target target;
	struct entry_key ready;

	if (unlikely(!lock_whole(table, key, &ready, &target, key_words, value_words, alone)))
		return 1;
	memcpy(words, value, value_words * 8);
	shared_store_few(entry_words(target.to) + key_words, words, value_words);
	whole_publish(table, ready.crc, &target, words, key_words, value_words, alone);
	return 0;
}

#define PUT(name, key_words, value_words, alone, otherwise)                                    \
	static WRITE_APART int name(struct estate_table *table, const void *key,               \
				    size_t key_length, const void *value, size_t value_length) \
	{                                                                                      \
		if (unlikely(!key || key_length != (key_words)*8 || !value ||                  \
			     value_length != (value_words)*8))                                 \
			return write_put_any(table, key, key_length, value, value_length);     \
		if (likely(!put(table, key, value, key_words, value_words, alone)))            \
			return 0;                                                              \
		return otherwise(table, key, (key_words)*8, value, (value_words)*8);           \
	}
#define PUTS(key_words, value_words)                                                          \
	PUT(put_locked_##key_words##_##value_words, key_words, value_words, 0, write_put_any) \
	PUT(put_##key_words##_##value_words, key_words, value_words, 1,                       \
	    put_locked_##key_words##_##value_words)
WHOLE_SHAPES(PUTS)

/* The same, of 64-bit integers. */
ENTRY_INLINE int add(struct estate_table *table, const void *key, const void *deltas,
		     uint32_t key_words, uint32_t value_words, int alone)
{
	uint64_t words[WHOLE_VALUE_WORDS];
	struct whole_target target;
	struct entry_key ready;

	if (unlikely(!lock_whole(table, key, &ready, &target, key_words, value_words, alone)))
		return 1;
	whole_add(words, &target, deltas, key_words, value_words);
	whole_publish(table, ready.crc, &target, words, key_words, value_words, alone);
	return 0;
}

#define ADD(name, key_words, value_words, alone, otherwise)                          \
	static WRITE_APART int name(struct estate_table *table, const void *key,     \
				    size_t key_length, const void *deltas)           \
	{                                                                            \
		if (unlikely(!key || key_length != (key_words)*8 || !deltas))        \
			return write_add_any(table, key, key_length, deltas);        \
		if (likely(!add(table, key, deltas, key_words, value_words, alone))) \
			return 0;                                                    \
		return otherwise(table, key, (key_words)*8, deltas);                 \
	}
#define ADDS(key_words, value_words)                                                          \
	ADD(add_locked_##key_words##_##value_words, key_words, value_words, 0, write_add_any) \
	ADD(add_##key_words##_##value_words, key_words, value_words, 1,                       \
	    add_locked_##key_words##_##value_words)
WHOLE_SHAPES(ADDS)

void table_choose_writes(struct estate_table *table, int any)
{
	static table_put_fn *const puts[WHOLE_KEY_WORDS][WHOLE_VALUE_WORDS] = WHOLE_ARRAY(put);
	static table_add_fn *const adds[WHOLE_KEY_WORDS][WHOLE_VALUE_WORDS] = WHOLE_ARRAY(add);
	enum estate_type type = table->geometry.type;
	uint32_t key_words = table->geometry.key_size / 8;
	uint32_t value_words = table->geometry.value_size / 8;

	any |= table->persist != NULL;
	table->put = any ? write_put_any : puts[key_words - 1][value_words - 1];
	any |= type != ESTATE_U64 && type != ESTATE_I64;
	table->add = any ? write_add_any : adds[key_words - 1][value_words - 1];
	table->entry_add = handle_choose_add(table, any);
}
