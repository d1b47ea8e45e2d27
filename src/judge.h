/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a slot proves that was read from somebody else's memory.
 *
 * A slot has two copies, and the owner overwrites the older one. So:
 *
 * - both verify: the one with the higher stamp was the newest at some moment of
 *   this read. (What was newest when the read began stays whole in its copy
 *   until the owner has published the next version in the other one.)
 * - one verifies: it is the newest, unless the owner published the other one and
 *   came round to this read's second copy meanwhile. If the same copy with the
 *   same stamp is seen again by a later attempt, with the other one still torn in
 *   between, it was the newest at that moment. Remote loads of one attempt come
 *   in no order, hence JUDGE_STEADY attempts: the middle one lies between the
 *   others. This is also how an entry is read whose owner died, or was stopped,
 *   while writing it.
 * - none verifies: look again.
 *
 * A key is absent if, in one attempt, every slot where it could be was seen to
 * hold something else: the two buckets, and the overflow chain to its end. A
 * chain's slot must hold, or have held last, a key with the same home; else it
 * left the chain under our feet, and the attempt is void. Slots join a chain at
 * its front only, so an old link into it still leads to all of its rest.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include "entry.h"
#include "geometry.h"

#include <string.h>

#define JUDGE_STEADY 3

/* So often is something read that will not verify before it is called damaged. */
#define JUDGE_ATTEMPTS 2000

/* More doubtful slots at a time than writers can leave behind in a key's reach. */
#define JUDGE_DOUBTS 16

/* What one attempt found out. */
enum finding {
	FOUND,
	ABSENT,
	UNSURE, /* torn or changing: look again */
	BROKEN, /* verified, and yet not what an owner writes: hostile, or a bug */
};

/* One copy verifies, the other is torn; the same again and again is an answer, see above. */
struct doubt {
	uint32_t slot;
	uint64_t stamp;
	unsigned int times;
	unsigned int attempt; /* the last one that saw it */
};

struct attempt {
	const struct geometry *geometry;
	uint32_t salt;
	const struct entry_key *key; /* what is looked for; NULL: all with @home */
	uint64_t home;
	unsigned int number;
	unsigned int doubts;
	struct doubt doubt[JUDGE_DOUBTS];
};

/* The array of doubts stays as it is: this is on the way of every read. */
static inline void judge_begin(struct attempt *attempt, const struct geometry *geometry,
			       uint32_t salt, const struct entry_key *key, uint64_t home)
{
	attempt->geometry = geometry;
	attempt->salt = salt;
	attempt->key = key;
	attempt->home = home;
	attempt->number = 1;
	attempt->doubts = 0;
}

/* One copy verifies, the other is torn: does that stand? */
static inline int judge_steady(struct attempt *attempt, uint32_t slot, uint64_t stamp)
{
	struct doubt *doubt = attempt->doubt;
	struct doubt *end = doubt + attempt->doubts;

	while (doubt < end && doubt->slot != slot)
		doubt++;
	if (doubt == end) {
		if (attempt->doubts == JUDGE_DOUBTS)
			return 0;
		attempt->doubts++;
		*doubt = (struct doubt){ .slot = slot };
	}
	if (doubt->attempt == attempt->number && doubt->stamp == stamp)
		return doubt->times >= JUDGE_STEADY;
	if (doubt->stamp != stamp || doubt->attempt != attempt->number - 1)
		doubt->times = 0;
	doubt->stamp = stamp;
	doubt->attempt = attempt->number;
	return ++doubt->times >= JUDGE_STEADY;
}

/* The newest version in @slot, of which the first copy is at @copies. ENTRY_TORN: unsure. */
static inline enum entry_state judge_slot(struct attempt *attempt, uint32_t slot,
					  const unsigned char *copies, struct entry_copy *out)
{
	const struct geometry *geometry = attempt->geometry;
	const struct layout_copy *a = (const struct layout_copy *)copies;
	const struct layout_copy *b = (const struct layout_copy *)(copies + geometry->copy_size);
	struct entry_copy other;
	enum entry_state first = entry_load(geometry, attempt->salt, slot, a, out);
	enum entry_state second;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	second = entry_load(geometry, attempt->salt, slot, b, &other);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (first == ENTRY_TORN && second == ENTRY_TORN)
		return ENTRY_TORN;
	if (second == ENTRY_TORN)
		return judge_steady(attempt, slot, first == ENTRY_EMPTY ? 0 : out->stamp)
			       ? first
			       : ENTRY_TORN;
	if (first == ENTRY_TORN) {
		if (!judge_steady(attempt, slot, second == ENTRY_EMPTY ? 0 : other.stamp))
			return ENTRY_TORN;
	} else if (second == ENTRY_EMPTY || (first != ENTRY_EMPTY && out->stamp > other.stamp)) {
		return first;
	}
	*out = other;
	return second;
}

/* Whether a verified copy holds the key that is looked for. */
static inline int judge_is_key(const struct attempt *attempt, const struct entry_copy *copy)
{
	return META_KEY_LENGTH(copy->meta) == attempt->key->length &&
	       !memcmp(copy->key, attempt->key->words, attempt->geometry->key_room);
}

/* Whether either copy at @copies has the key's words now: where to look first. */
static inline int judge_hints(const struct attempt *attempt, const unsigned char *copies)
{
	const struct geometry *geometry = attempt->geometry;

	return entry_has_key(attempt->key, (const struct layout_copy *)copies,
			     geometry->key_room / 8) ||
	       entry_has_key(attempt->key,
			     (const struct layout_copy *)(copies + geometry->copy_size),
			     geometry->key_room / 8);
}

/* The first of the eight slots from @copies on, the home's and the next one's, with a hint; 8: none. */
ENTRY_INLINE unsigned int judge_seek(const struct geometry *geometry, const struct entry_key *key,
				     const unsigned char *copies, uint32_t key_words)
{
	size_t copy_size = geometry->copy_size;

	for (unsigned int slot = 0; slot < 2 * LAYOUT_SLOTS; slot++, copies += 2 * copy_size) {
		if (slot == LAYOUT_SLOTS)
			copies += sizeof(struct layout_bucket);
		if (entry_has_key(key, (const struct layout_copy *)copies, key_words) ||
		    entry_has_key(key, (const struct layout_copy *)(copies + copy_size), key_words))
			return slot;
	}
	return 2 * LAYOUT_SLOTS;
}

/* A verified value that an owner of this library would not have written. */
static inline int judge_odd_length(const struct geometry *geometry, size_t length)
{
	return geometry->type == ESTATE_OPAQUE ? length > geometry->value_size
					       : length != geometry->value_size;
}

/* What a glance at a slot found. */
struct glance {
	const void *value;
	size_t length;
	uint64_t stamp;
};

/*
 * The common case of judge_slot(), judge_is_key() and judge_value() in one, and short: both
 * copies are of the key and verify, or only one was ever written, and its value is
 * inline. @to: where the value is copied to, from memory that is being written; NULL: nobody
 * writes it, and the value stays where it is. 0: something else, for these three
 * to find out, and *@glance is not written.
 */
ENTRY_INLINE int judge_glance(const struct geometry *geometry, uint32_t salt,
			      const struct entry_key *key, uint32_t slot,
			      const unsigned char *copies, uint64_t *to, struct glance *glance,
			      uint32_t key_words)
{
	const struct layout_copy *newer = (const struct layout_copy *)copies;
	const struct layout_copy *older =
		(const struct layout_copy *)(copies + geometry->copy_size);
	uint64_t stamp = shared_load(&newer->stamp);
	uint64_t last = shared_load(&older->stamp);
	uint64_t key_crc = salt;
	uint64_t check, crc;
	const uint64_t *value;
	uint32_t length = geometry->value_size;
	uint32_t words = geometry->value_room / 8;

	if (last > stamp) {
		const struct layout_copy *copy = newer;
		uint64_t swap = stamp;

		newer = older;
		older = copy;
		stamp = last;
		last = swap;
	}
	check = entry_load_check(newer);
	/* A shorter value, of a type that has such. */
	if (unlikely(check >> 32 != key->meta)) {
		length = META_INLINE_LENGTH(check >> 32);
		words = (length + 7) / 8;
		if (geometry->blocks ||
		    (key->meta ^ check >> 32) & (META_LIVE | META_KEY_LENGTH(UINT32_MAX)) ||
		    judge_odd_length(geometry, length))
			return 0;
	}
	if (unlikely(!entry_has_key(key, newer, key_words)))
		return 0;
	for (uint32_t i = 0; i < key_words; i++)
		key_crc = crc_word(key_crc, key->words[i]);
	crc = entry_crc_header(key_crc, slot, (uint32_t)(check >> 32), stamp);
	value = entry_words_const(newer) + key_words;
	if (to) {
		for (uint32_t i = 0; i < words; i++) {
			to[i] = shared_load(value + i);
			crc = crc_word(crc, to[i]);
		}
		value = to;
	} else {
		crc = entry_crc_own(crc, value, words);
	}
	if (unlikely((uint32_t)crc != (uint32_t)check))
		return 0;
	check = entry_load_check(older);
	if (check | last) {
		words = (META_INLINE_LENGTH(check >> 32) + 7) / 8;
		if (unlikely(META_KEY_LENGTH(check >> 32) != key->length ||
			     words > geometry->value_room / 8 ||
			     !entry_has_key(key, older, key_words)))
			return 0;
		crc = entry_crc_header(key_crc, slot, (uint32_t)(check >> 32), last);
		older = (const struct layout_copy *)(entry_words_const(older) + key_words);
		crc = to ? entry_crc_words(crc, (const uint64_t *)older, words)
			 : entry_crc_own(crc, (const uint64_t *)older, words);
		if (unlikely((uint32_t)crc != (uint32_t)check))
			return 0;
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	*glance = (struct glance){ value, length, stamp };
	return 1;
}

/* Whether a verified copy's key belongs to the home that is looked at. */
static inline int judge_in_chain(const struct attempt *attempt, const struct entry_copy *copy)
{
	uint64_t hash = entry_hash(attempt->geometry, copy->key, META_KEY_LENGTH(copy->meta));

	return geometry_home(attempt->geometry, hash) == attempt->home;
}

/*
 * What the value of a verified, live copy is. FOUND: inline, *@length bytes of
 * @copy->value. ABSENT: in *@extent, which is checked. BROKEN.
 */
static inline enum finding judge_value(const struct geometry *geometry,
				       const struct entry_copy *copy, size_t *length,
				       struct layout_extent *extent)
{
	*length = META_INLINE_LENGTH(copy->meta);
	if (!geometry->blocks)
		return judge_odd_length(geometry, *length) ? BROKEN : FOUND;
	if (*length != sizeof(*extent))
		return BROKEN;
	memcpy(extent, copy->value, sizeof(*extent));
	if (extent->block >= geometry->blocks || judge_odd_length(geometry, extent->length))
		return BROKEN;
	*length = extent->length;
	return ABSENT;
}

/*
 * The slot that a link of the home's chain, @word at @place, leads to. FOUND:
 * *@slot; ABSENT: the end. A link that would not verify is changing, or points
 * nowhere: unsure.
 */
static inline enum finding judge_link(const struct attempt *attempt, uint64_t word, uint64_t place,
				      uint32_t *slot)
{
	uint64_t target;

	if (word == LINK_NONE)
		return ABSENT;
	target = link_target(attempt->geometry, attempt->salt, place, word);
	if (target == LINK_BAD)
		return UNSURE;
	*slot = (uint32_t)target;
	return FOUND;
}

#endif
