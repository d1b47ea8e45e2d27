/* SPDX-License-Identifier: BSD-3-Clause */
/* What bench-handover does meanwhile: a writer of the adopter, and a reader of the group. */
#ifndef HANDOVER_H
#define HANDOVER_H

#include <estate/estate.h>

#include <stddef.h>
#include <stdint.h>

struct handover_options {
	const char *listen; /* NULL: both are on this host */
	const char *registry;
	const char *json;
	size_t entries;
	unsigned int rounds;
};

/* How far a hand-over has come. */
enum phase {
	PHASE_BEFORE,
	PHASE_SEALED, /* the leaver has sealed, and the adopter has nothing of it */
	PHASE_TAKING,
	PHASES
};

#define BINS 40 /* powers of two of nanoseconds */

struct histogram {
	uint64_t bins[BINS];
	uint64_t count;
	uint64_t most;
	uint64_t partial; /* reads that had not all of the group in them */
};

/* Of one thread, by phase. */
struct histograms {
	struct histogram of[PHASES];
};

void histograms_add(struct histograms *all, const struct histograms *some);

struct load;

/* Join the group, @name: as whom, NULL: as an observer. Ends the program if that fails. */
struct estate *handover_join(const struct handover_options *options, const char *name,
			     struct estate_table **table);

struct handover_key {
	uint64_t words[2];
};

static inline struct handover_key handover_key(uint64_t number)
{
	return (struct handover_key){ { number * 0x9e3779b97f4a7c15ull, number } };
}

/*
 * The leaver's value of a key, to which the adopter adds the same number in all places, if it
 * has the key at all. So it shows in a sum of both how often the leaver counts in it.
 */
static inline int handover_is_once(const uint64_t value[4], uint64_t number)
{
	return value[1] - value[0] == 1 && value[2] - value[0] == 2 &&
	       value[3] - value[0] == number - 1;
}

/* The adopter has every second key, too. */
static inline int handover_is_own(uint64_t number)
{
	return number % 2 == 0;
}

/* Start both threads; add what they measure to the histograms at the end. */
struct load *load_start(const struct handover_options *options, struct estate_table *table);
void load_phase(struct load *load, enum phase phase);
void load_stop(struct load *load, struct histograms *writes, struct histograms *reads);

#endif
