/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One key while its instance hands over to another one on another host; see doc/design.md, section
 * 12. A leaver X, whose part is 1, an adopter A, whose own part is 2, and a reader R that has nothing
 * but READs, the words of one of which come in any order. R's every answer says 3, or that
 * somebody is missing. A may die at any moment. Time is a number that goes up when it likes.
 *
 *	spin -a handover.pml && gcc -O2 -DBITSTATE -DSAFETY -o pan pan.c && ./pan -m400000 -w34 -k3
 *
 * -DLEASE=..., -DRIPE=..., -DDEATH=..., -DEND=...: other times than these; -DONCE: R believes a record
 * that it sees for the first time. With -DRIPE=0 spin finds an answer that is wrong at once. The
 * whole of it has more states than were ever visited: it is a search, and no proof.
 */
#ifndef LEASE
#define LEASE 1
#endif
#ifndef RIPE
#define RIPE 2
#endif
#ifndef DEATH
#define DEATH 2
#endif
#ifndef END
#define END 6 /* of time */
#endif

#define JOINED 1
#define SEALED 3
#define RUNNING 2
#define DONE 3
#define ENDED 5

#define X 1
#define Y 2 /* whom A adopted before: its record is what X's is made of */

byte now = 1;

/* X's region */
byte state = JOINED;
bit finished = 0;
bit ripe = 0;
bit x_there = 1;

/* A's region */
byte who = Y;
byte said = ENDED;
byte cursor = 2; /* 0: not begun, 1: being taken, 2: taken */
byte value = 2;
bit a_there = 1;

/* R's background thread: when the READ began that showed X as a member */
byte joined = 0;

active proctype clock()
{
	do
	:: now < END -> now++
	:: now == END -> break
	od
}

active proctype leaver()
{
	byte when;

	if
	:: skip
	:: goto ends
	fi;
	state = SEALED;
	when = now;
	do
	:: !ripe && now >= when + RIPE -> ripe = 1
	:: a_there && who == X && said == DONE -> break
	:: !a_there -> goto died
	:: now == END -> goto ends
	od;
	finished = 1;
	do
	:: !a_there || said == ENDED || who != X -> break
	:: now == END -> goto ends
	od;
	x_there = 0;
	goto ends;
died:
	when = now;
	(now >= when + DEATH || now == END);
	if
	:: now < END -> d_step { ripe = 0; state = JOINED }
	:: else
	fi;
ends:
	skip
}

active proctype adopter()
{
	(state == SEALED && ripe) || now == END;
	if
	:: now == END -> goto over
	:: else
	fi;
	if
	:: goto die
	:: skip
	fi;
	who = 0;
	said = 0;
	cursor = 0;
	who = X;
	said = RUNNING;
	if
	:: goto die
	:: skip
	fi;
	cursor = 1;
	if
	:: goto die
	:: skip
	fi;
	value = 3;
	if
	:: goto die
	:: skip
	fi;
	cursor = 2;
	if
	:: goto die
	:: skip
	fi;
	said = DONE;
	finished || now == END;
	if
	:: finished -> said = ENDED; who = 0; said = 0; cursor = 0
	:: else
	fi;
	goto over;
die:
	a_there = 0;
over:
	skip
}

active proctype background()
{
	byte begun;

	do
	:: now < END && begun != now ->
		begun = now;
		if
		:: d_step { x_there && state == JOINED -> joined = begun }
		:: d_step { else -> joined = 0 }
		fi
	:: now == END -> break
	od
}

/* One look: a READ of either page, in whatever order. */
byte seen_state, seen_who, seen_said, seen_cursor;
bit seen_finished, seen_x, seen_a;
bit known; /* the look before this one showed X's record */

inline look()
{
	bit t1 = 0; bit t2 = 0; bit t3 = 0; bit t4 = 0; bit t5 = 0;

	seen_x = x_there;
	seen_a = a_there;
	t1 = 0; t2 = 0; t3 = 0; t4 = 0; t5 = 0;
	do
	:: !t1 -> seen_state = state; t1 = 1
	:: !t2 -> seen_finished = finished; t2 = 1
	:: !t3 -> seen_who = who; t3 = 1
	:: !t4 -> seen_said = said; t4 = 1
	:: !t5 -> seen_cursor = cursor; t5 = 1
	:: t1 && t2 && t3 && t4 && t5 -> break
	od;
	/* A READ that a side does not live to complete is none. */
	seen_x = seen_x && x_there;
	seen_a = seen_a && a_there
}

#ifdef ONCE
#define KNOWN 1
#else
#define KNOWN known
#endif

#define COUNTS 0
#define TAKEN 1
#define UNSURE 2
#define MISSING 3

inline judge(out)
{
	if
	:: !seen_x -> out = MISSING
	:: seen_x && seen_state == JOINED -> out = COUNTS
	:: seen_x && seen_state == SEALED && seen_finished -> out = (seen_a -> TAKEN : UNSURE)
	:: seen_x && seen_state == SEALED && !seen_finished ->
		if
		:: !seen_a || seen_who != X || seen_said == 0 -> out = COUNTS
		:: seen_a && seen_who == X && seen_said != 0 && !(KNOWN) -> out = UNSURE
		:: seen_a && seen_who == X && seen_said != 0 && (KNOWN) ->
			if
			:: seen_said != RUNNING || seen_cursor == 2 -> out = TAKEN
			:: seen_said == RUNNING && seen_cursor == 1 -> out = UNSURE
			:: seen_said == RUNNING && seen_cursor == 0 -> out = COUNTS
			fi
		fi
	fi;
	known = seen_a && seen_who == X
}

byte got_x, got_a;
bit has_x, has_a;

inline read_values()
{
	bit v1 = 0; bit v2 = 0;

	v1 = 0; v2 = 0;
	do
	:: !v1 -> d_step { has_x = x_there; got_x = 1; v1 = 1 }
	:: !v2 -> d_step { has_a = a_there; got_a = value; v2 = 1 }
	:: v1 && v2 -> break
	od
}

active proctype reader()
{
	byte lease, begun, before, after, a_before, tries, last;
	byte state_before;

	tries = 0;
	lease = (joined -> joined + LEASE : 0);
	read_values();
	if
	:: now < lease ->
		assert(!has_x || !has_a || got_x + got_a == 3);
		goto over
	:: else
	fi;
	known = 0;
	begun = now;
	look();
	judge(before);
	state_before = seen_state;
	a_before = seen_a;
	if
	:: seen_x && seen_state == JOINED -> goto values
	:: else
	fi;
	last = begun;
	begun = now;
	if
	:: now >= last + LEASE -> known = 0
	:: else
	fi;
	look();
	judge(before);
	state_before = seen_state;
	a_before = seen_a;
values:
	read_values();
	if
	:: before == COUNTS && state_before == JOINED ->
		assert(now >= begun + LEASE || !has_x || !has_a || !a_before || got_x + got_a == 3);
		goto over
	:: else
	fi;
	last = begun;
	begun = now;
	look();
	judge(after);
	if
	:: now >= last + LEASE -> goto over
	:: else
	fi;
	if
	:: before == TAKEN -> assert(!has_a || got_a == 3)
	:: before == COUNTS && !a_before -> skip
	:: before == COUNTS && a_before && seen_a && after == COUNTS ->
		assert(!has_x || !has_a || got_x + got_a == 3)
	/* Once more, or X is missing. */
	:: before == COUNTS && a_before && !(seen_a && after == COUNTS) ->
		before = after;
		state_before = seen_state;
		a_before = seen_a;
		tries++;
		if
		:: tries < 2 -> goto values
		:: else
		fi
	:: before == UNSURE || before == MISSING -> skip
	fi;
over:
	skip
}
