/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Somebody's wish that this instance leaves: the background thread takes it from a
 * socket, the program looks for it, and whoever asked hears how it ended.
 */
#ifndef WISH_H
#define WISH_H

#include "ask.h"

#include <stdint.h>

struct group;
struct peer;
struct reader;

struct wish {
	int wanted; /* read without the lock */
	int untold; /* an attempt failed, and who asked does not know yet; read without the lock */
	/* Under the group's lock. */
	struct ask_wish what;
	int error; /* of the last attempt */
	char reason[256];
	int handed_over;
};

/* The background thread: a request waits on a reader's socket. As ask_take(). */
int wish_take(struct group *group, struct reader *reader);
/* And now and then: tell those who asked what came of it. */
void wish_tell(struct group *group);
/* The last word to them, when the instance has left and there is no background thread any more. */
void wish_end(struct group *group);

/* The program: 1 if there is a wish, and who is to take over, in @to if that is not NULL. */
int wish_wanted(struct group *group, char *to);
/*
 * Whether it says that the instance called @name, which may be its UUID, is dead: of one that @answers,
 * no more from now on.
 */
int wish_says_dead(struct group *group, const char *name, int answers);
/* An attempt failed with @error and the thread's last sentence, and is over; so is the wish. */
void wish_failed(struct group *group, int error);
/* All is handed over, and what follows is group_leave(). */
void wish_fulfilled(struct group *group);

/* Whom to ask, as the asker's group has it. */
struct wish_target {
	char address[128]; /* of its Unix socket */
	uint8_t uuid[16];
	uint64_t epoch;
	struct peer *peer; /* to be released */
};

/* 0, or a negative errno value with a sentence: it is not there, not here, or cannot be asked. */
int wish_find(struct group *group, const char *name, struct wish_target *target);

#endif
