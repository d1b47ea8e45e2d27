// SPDX-License-Identifier: BSD-3-Clause
#include "fetch.h"

#include "crc.h"
#include "shared.h"

#include <errno.h>

/*
 * The landing memory: the home bucket and the next one, as they lie in the
 * table; the bucket of a chain's slot; the value, an extent's or a copy of an
 * inline one.
 */
static size_t chain_place(const struct geometry *geometry)
{
	return (size_t)geometry->bucket_size * 2;
}

static size_t value_place(const struct geometry *geometry)
{
	return (size_t)geometry->bucket_size * 3;
}

size_t fetch_room(const struct geometry *geometry)
{
	return value_place(geometry) +
	       (geometry->blocks ? geometry->block_size : geometry->value_room);
}

static void want(struct fetch *fetch, enum fetch_stage stage, uint64_t offset, uint32_t length,
		 size_t place)
{
	fetch->stage = stage;
	fetch->offset = fetch->table + offset;
	fetch->length = length;
	fetch->to = fetch->landing + place;
}

static void want_home(struct fetch *fetch)
{
	const struct geometry *geometry = fetch->attempt.geometry;

	/* Not before: a key whose slot is known needs none. */
	fetch->attempt.home = geometry_home(geometry, fetch->attempt.key->hash);
	want(fetch, FETCH_HOME, geometry_bucket_offset(geometry, fetch->attempt.home),
	     geometry->bucket_size * 2, 0);
}

void fetch_begin_home(struct fetch *fetch)
{
	want_home(fetch);
}

/* The first of the two copies of @slot, among what was read. */
static const unsigned char *slot_at(const struct fetch *fetch, uint32_t slot, size_t place)
{
	const struct geometry *geometry = fetch->attempt.geometry;

	return fetch->landing + place + geometry_copy_offset(geometry, slot % LAYOUT_SLOTS, 0);
}

static const struct layout_bucket *bucket_at(const struct fetch *fetch, size_t place)
{
	return (const struct layout_bucket *)(fetch->landing + place);
}

/* The key is in @slot. FOUND, or an extent is to be read: FETCH_EXTENT is wanted. */
static enum finding take_value(struct fetch *fetch, uint32_t slot, const struct entry_copy *copy)
{
	const struct geometry *geometry = fetch->attempt.geometry;
	unsigned char *room = fetch->landing + value_place(geometry);

	fetch->slot = slot;
	fetch->value = room;
	fetch->stamp = copy->stamp;
	switch (judge_value(geometry, copy, &fetch->value_length, &fetch->extent)) {
	case FOUND:
		memcpy(room, copy->value, geometry->value_room);
		return FOUND;
	case ABSENT:
		want(fetch, FETCH_EXTENT, geometry_block_offset(geometry, fetch->extent.block),
		     fetch->extent.length, value_place(geometry));
		/* An empty value's CRC is that of nothing. */
		if (!fetch->extent.length)
			return fetch->extent.crc == fetch->attempt.salt ? FOUND : BROKEN;
		return ABSENT;
	default:
		return BROKEN;
	}
}

/* Results of the looks below, beside those of enum finding. */
#define WANTED 100

static int look_at_slot(struct fetch *fetch, uint32_t slot, const unsigned char *copies)
{
	struct entry_copy copy;
	enum entry_state state = judge_slot(&fetch->attempt, slot, copies, &copy);

	if (state == ENTRY_TORN)
		return UNSURE;
	if (state != ENTRY_LIVE || !judge_is_key(&fetch->attempt, &copy))
		return ABSENT;
	switch (take_value(fetch, slot, &copy)) {
	case FOUND:
		return FOUND;
	case ABSENT:
		return WANTED;
	default:
		return BROKEN;
	}
}

/* Follow the chain's link @word at @place, as far as it can be without another READ. */
static int follow(struct fetch *fetch, uint64_t word, uint64_t place)
{
	const struct geometry *geometry = fetch->attempt.geometry;
	enum finding finding = judge_link(&fetch->attempt, word, place, &fetch->slot);

	if (finding != FOUND)
		return (int)finding;
	/* A chain cannot have more slots than there are; a circle can be long, though. */
	if (fetch->steps++ >= geometry->slots)
		return BROKEN;
	want(fetch, FETCH_CHAIN, geometry_bucket_offset(geometry, fetch->slot / LAYOUT_SLOTS),
	     geometry->bucket_size, chain_place(geometry));
	return WANTED;
}

static int look_at_home(struct fetch *fetch)
{
	uint32_t first = (uint32_t)(fetch->attempt.home * LAYOUT_SLOTS);
	size_t bucket_size = fetch->attempt.geometry->bucket_size;
	unsigned int seems =
		ENTRY_KEY_WORDS(fetch->attempt.geometry, judge_seek, fetch->attempt.geometry,
				fetch->attempt.key, slot_at(fetch, 0, 0));

	if (likely(seems < 2 * LAYOUT_SLOTS) &&
	    fetch_glance(fetch, first + seems,
			 slot_at(fetch, seems, seems / LAYOUT_SLOTS * bucket_size)))
		return FOUND;
	for (int hinted = 1; hinted >= 0; hinted--) {
		/* At first where the key seems to be; to say that it is nowhere takes all slots. */
		for (uint32_t i = 0; i < 2 * LAYOUT_SLOTS; i++) {
			const unsigned char *copies =
				slot_at(fetch, first + i, i / LAYOUT_SLOTS * bucket_size);
			int found;

			if (hinted && !judge_hints(&fetch->attempt, copies))
				continue;
			found = look_at_slot(fetch, first + i, copies);
			if (found != ABSENT)
				return found;
		}
	}
	fetch->steps = 0;
	return follow(fetch, bucket_at(fetch, 0)->head, link_place_head(fetch->attempt.home));
}

static int look_at_chain(struct fetch *fetch)
{
	size_t place = chain_place(fetch->attempt.geometry);
	uint32_t slot = fetch->slot;
	struct entry_copy copy;
	enum entry_state state =
		judge_slot(&fetch->attempt, slot, slot_at(fetch, slot, place), &copy);

	if (state == ENTRY_TORN || state == ENTRY_EMPTY || !judge_in_chain(&fetch->attempt, &copy))
		return UNSURE;
	if (state == ENTRY_LIVE && judge_is_key(&fetch->attempt, &copy)) {
		enum finding finding = take_value(fetch, slot, &copy);

		return finding == ABSENT ? WANTED : (int)finding;
	}
	return follow(fetch, bucket_at(fetch, place)->next[slot % LAYOUT_SLOTS],
		      link_place_next(slot));
}

static int look(struct fetch *fetch)
{
	int found;

	switch (fetch->stage) {
	case FETCH_SLOT:
		found = look_at_slot(fetch, fetch->slot, fetch->landing);
		if (found != ABSENT)
			return found;
		/* Deleted, and perhaps somewhere else by now. */
		want_home(fetch);
		return WANTED;
	case FETCH_HOME:
		return look_at_home(fetch);
	case FETCH_CHAIN:
		return look_at_chain(fetch);
	case FETCH_EXTENT:
		/* Freed and written again meanwhile, if not: the slot says more now. */
		return crc_bytes(fetch->attempt.salt, fetch->value, fetch->extent.length) ==
				       fetch->extent.crc
			       ? FOUND
			       : UNSURE;
	}
	return BROKEN;
}

static __attribute__((noinline)) int step(struct fetch *fetch)
{
	switch (look(fetch)) {
	case FOUND:
		return 0;
	case WANTED:
		return FETCH_MORE;
	case ABSENT:
		return -ENOENT;
	case UNSURE:
		if (++fetch->attempt.number > JUDGE_ATTEMPTS)
			return -EBADMSG;
		/* A slot that is being written is read again as it was. */
		if (fetch->stage == FETCH_CHAIN || fetch->stage == FETCH_EXTENT)
			want_home(fetch);
		return FETCH_MORE;
	default:
		return -EBADMSG;
	}
}

int fetch_step(struct fetch *fetch)
{
	if (likely(fetch->stage == FETCH_SLOT) && fetch_glance(fetch, fetch->slot, fetch->landing))
		return 0;
	return step(fetch);
}
