/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums and averages of numbers that are written as strings. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stddef.h>

/* Room for any result: 128 bits are 40 characters with their sign. */
#define NUMBER_MAX 48

struct number_sum {
	__int128 whole; /* of the whole numbers */
	long double rest; /* of the others */
	unsigned int count;
	int exact; /* there are no others */
};

#define NUMBER_SUM_INIT    \
	{                  \
		.exact = 1 \
	}

/* The decimal point is a point in all of them, whatever the program's locale. */
void number_add(struct number_sum *sum, const char *string);
void number_print_sum(const struct number_sum *sum, char text[NUMBER_MAX]);
void number_print_average(const struct number_sum *sum, char text[NUMBER_MAX]);

#endif
