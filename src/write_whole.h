/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing whole values that are there already (whole.h). Each call is compiled for
 * each shape, and that twice: for the thread that a table is biased to, and
 * for several threads that take locks. The first leaves all else to the second, and
 * that to the calls for any table: by calls in tail position, so that on its own way it
 * has nothing to save. What is stored is a limit too: the CPU keeps some sixty stores
 * until the lines that they go to have come from memory.
 */
#ifndef WRITE_WHOLE_H
#define WRITE_WHOLE_H

#include "slot.h"
#include "whole.h"

/* Not a part of who calls it in tail position, whose registers it would use. */
#define WRITE_APART __attribute__((noinline))

struct whole_target {
	uint16_t *tag;
	uint32_t tagged;
	uint32_t slot;
	struct hold hold; /* of the lock, or of the table */
	uint32_t *lock;
	const struct layout_copy *from; /* the current copy */
	struct layout_copy *to; /* the older one */
};

/* Once. 0 if the table is not in that state, or somebody else has the lock. */
ENTRY_INLINE int whole_lock(const struct estate_table *table, struct whole_target *target,
			    int alone)
{
	if (!alone)
		return likely(bias_is_shared(table->bias)) &&
		       likely(sidecar_try_lock(target->lock, &target->hold.word));
	target->hold.busy = bias_try(table->bias);
	return likely(target->hold.busy != NULL);
}

/* The lock's word is as it was: who is alone need not even look at it. */
ENTRY_INLINE void whole_unlock(const struct whole_target *target, int alone)
{
	if (alone)
		bias_leave(target->hold.busy);
	else
		sidecar_unlock(target->lock, target->hold.word);
}

/* By the slot's tag, under its lock. 0 if this is not a live value of the shape. */
ENTRY_INLINE int whole_aim(struct whole_target *target, unsigned char *copies, uint32_t key_words,
			   uint32_t value_words)
{
	size_t current;

	target->tagged = tag_load(target->tag);
	current = tag_current(target->tagged) * WHOLE_SIZE(key_words, value_words);
	target->from = (struct layout_copy *)(copies + current);
	target->to = (struct layout_copy *)(copies + WHOLE_SIZE(key_words, value_words) - current);
	return likely(shared_load32(&target->from->meta) == WHOLE_META(key_words, value_words));
}

/* One word of what is there now, plus one of @deltas, to the next version. */
ENTRY_INLINE void whole_add_word(const struct whole_target *target, const void *deltas,
				 uint32_t index, uint32_t key_words, uint64_t *sum)
{
	memcpy(sum, (const char *)deltas + (size_t)index * 8, 8);
	*sum += shared_load(entry_words_const(target->from) + key_words + index);
	shared_store(entry_words(target->to) + key_words + index, *sum);
}

/* Two of them, by way of vector registers. */
ENTRY_INLINE void whole_add_pair(const struct whole_target *target, const void *deltas,
				 uint32_t index, uint32_t key_words, uint64_t *sums)
{
#ifdef SHARED_TSAN
	whole_add_word(target, deltas, index, key_words, sums);
	whole_add_word(target, deltas, index + 1, key_words, sums + 1);
#else
	shared_pair sum;

	memcpy(&sum, (const char *)deltas + (size_t)index * 8, sizeof(sum));
	sum += *(const shared_pair *)(entry_words_const(target->from) + key_words + index);
	SHARED_HELD(sum);
	*(shared_pair *)(entry_words(target->to) + key_words + index) = sum;
	sums[0] = sum[0];
	sums[1] = sum[1];
#endif
}

/* What is there now plus @deltas is the next version's value, and @words; of 64-bit integers. */
ENTRY_INLINE void whole_add(uint64_t *words, const struct whole_target *target, const void *deltas,
			    uint32_t key_words, uint32_t value_words)
{
	if (value_words > 1)
		whole_add_pair(target, deltas, 0, key_words, words);
	if (value_words > 3)
		whole_add_pair(target, deltas, 2, key_words, words + 2);
	if (value_words % 2)
		whole_add_word(target, deltas, value_words - 1, key_words, words + value_words - 1);
}

/* All of the next version but the value, which is there and is @value; then unlock. */
ENTRY_INLINE void whole_publish(struct estate_table *table, uint64_t key_crc,
				const struct whole_target *target, const uint64_t *value,
				uint32_t key_words, uint32_t value_words, int alone)
{
	const uint32_t meta = WHOLE_META(key_words, value_words);
	uint64_t stamp = clock_stamp(table->clock, shared_load(&target->from->stamp));
	uint64_t crc =
		whole_crc(entry_crc_header(key_crc, target->slot, meta, stamp), value, value_words);

	shared_store(&target->to->stamp, stamp);
	shared_store((uint64_t *)target->to + 1, (uint64_t)meta << 32 | crc);
	/* The key is the same in both, and stored by one instruction. */
	shared_store_few(entry_words(target->to), entry_words_const(target->from), key_words);
	tag_store(target->tag, (uint16_t)(target->tagged ^ TAG_CURRENT));
	slot_soil(table, target->slot);
	whole_unlock(target, alone);
}

#endif
