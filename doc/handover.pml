/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One key while its instance hands over to another one on another host; see doc/design.md, section
 * 12. A leaver X, whose part is 1, an adopter A, whose own part is 2, and a reader R that has nothing
 * but READs, the words of one of which come in any order. R's every answer says 3, or that
 * somebody is missing. A may die at any moment. Time is a number that goes up when it likes.
 *
 *	spin -a handover.pml && gcc -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=18000 -o pan pan.c && ./pan -m2000000 -w27
 *
 * That visits all of its 127 million states, in 4 minutes and 6 GB: none is wrong. -DLEASE=..., -DRIPE=...,
 * -DDEATH=..., -DKEEP=..., -DEND=... (to spin -a): other times than these. -DONCE: R believes a record that it sees
 * for the first time. With -DRIPE=0, or -DKEEP=0 (an adopter makes another leaver's record of X's as soon as X has
 * finished), an answer is wrong.
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
#ifndef KEEP
#define KEEP 1
#endif
#ifndef END
#define END 4 /* of time */
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
	:: !ripe && now >= when + RIPE -> d_step { ripe = 1; when = 0 }
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
	when = 0
}

active proctype adopter()
{
	byte when;

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
	:: finished -> d_step { said = ENDED; when = now }
	:: else -> goto over
	fi;
	/* The record is somebody else's then. */
	now >= when + KEEP || now == END;
	if
	:: now >= when + KEEP -> who = 0; said = 0; cursor = 0
	:: else
	fi;
	when = 0;
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

/*
 * One look: a READ of either page, whose words are loaded in whatever order. Nobody but the reader sees
 * what it is about, so that is local, and what it makes of it is one step.
 */
inline look()
{
	d_step { seen_x = x_there; seen_a = a_there; loaded = 0 }
	do
	:: d_step { !(loaded & 1) -> seen_state = state; loaded = loaded | 1 }
	:: d_step { !(loaded & 2) -> seen_finished = finished; loaded = loaded | 2 }
	:: d_step { !(loaded & 4) -> seen_who = who; loaded = loaded | 4 }
	:: d_step { !(loaded & 8) -> seen_said = said; loaded = loaded | 8 }
	:: d_step { !(loaded & 16) -> seen_cursor = cursor; loaded = loaded | 16 }
	:: loaded == 31 -> break
	od;
	skip;
	/* A READ that a side does not live to complete is none. */
	d_step { seen_x = seen_x && x_there; seen_a = seen_a && a_there; loaded = 0 }
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
	d_step {
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
		known = seen_a && seen_who == X;
		state_was = seen_state;
		x_was = seen_x;
		a_was = seen_a;
		/* Dead from here on. */
		seen_state = 0; seen_finished = 0; seen_who = 0; seen_said = 0; seen_cursor = 0;
		seen_x = 0; seen_a = 0
	}
}

inline read_values()
{
	do
	:: d_step { !(loaded & 1) -> has_x = x_there; loaded = loaded | 1 }
	:: d_step { !(loaded & 2) -> has_a = a_there; got = (has_a -> value : 0); loaded = loaded | 2 }
	:: loaded == 3 -> loaded = 0; break
	od
}

/* What is counted, of those whose values were read. */
#define WRONG (has_x && has_a && got + 1 != 3)

active proctype reader()
{
	byte lease, begun, before, after, a_before, tries, last, state_before;
	byte seen_state, seen_who, seen_said, seen_cursor, state_was, got, loaded;
	bit seen_finished, seen_x, seen_a, has_x, has_a, x_was, a_was;
	bit known; /* the look before this one showed X's record */

	lease = (joined -> joined + LEASE : 0);
	read_values();
	if
	:: now < lease -> assert(!WRONG); goto over
	:: else
	fi;
	d_step { lease = 0; begun = now }
	look();
	judge(before);
	d_step { state_before = state_was; a_before = a_was }
	if
	:: x_was && state_was == JOINED -> goto values
	:: else
	fi;
	d_step {
		last = begun;
		begun = now;
		if
		:: now >= last + LEASE -> known = 0
		:: else
		fi;
		last = 0
	}
	look();
	judge(before);
	d_step { state_before = state_was; a_before = a_was }
values:
	skip;
	read_values();
	if
	:: before == COUNTS && state_before == JOINED ->
		assert(now >= begun + LEASE || !a_before || !WRONG);
		goto over
	:: else
	fi;
	d_step { last = begun; begun = now }
	look();
	judge(after);
	if
	:: now >= last + LEASE -> goto over
	:: else
	fi;
	if
	:: before == TAKEN -> assert(!has_a || got == 3)
	:: before == COUNTS && !a_before -> skip
	:: before == COUNTS && a_before && a_was && after == COUNTS -> assert(!WRONG)
	/* Once more, or X is missing. */
	:: before == COUNTS && a_before && !(a_was && after == COUNTS) ->
		d_step {
			before = after;
			state_before = state_was;
			a_before = a_was;
			tries++;
			last = 0
		}
		if
		:: tries < 2 -> goto values
		:: else
		fi
	:: before == UNSURE || before == MISSING -> skip
	fi;
over:
	skip;
	/* So that what it came by does not make states of its own. */
	d_step {
		lease = 0; begun = 0; before = 0; after = 0; a_before = 0; tries = 0; last = 0;
		state_before = 0; state_was = 0; got = 0; loaded = 0; has_x = 0; has_a = 0;
		x_was = 0; a_was = 0; known = 0
	}
}
