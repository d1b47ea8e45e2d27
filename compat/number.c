// SPDX-License-Identifier: BSD-3-Clause
#include "number.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t plain; /* stays for as long as the process; 0 if there was no memory */

static void plain_create(void)
{
	plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* Values travel between processes: a comma here and a point there would add up to nonsense. */
static locale_t enter_plain_locale(void)
{
	pthread_once(&once, plain_create);
	return plain ? uselocale(plain) : (locale_t)0;
}

static void leave_plain_locale(locale_t before)
{
	if (before)
		uselocale(before);
}

static int is_whole(const char *string, long long *value)
{
	char *end;

	errno = 0;
	*value = strtoll(string, &end, 10);
	if (errno || end == string)
		return 0;
	while (isspace((unsigned char)*end))
		end++;
	return !*end;
}

void number_add(struct number_sum *sum, const char *string)
{
	locale_t before = enter_plain_locale();
	long long whole;

	sum->count++;
	if (is_whole(string, &whole)) {
		sum->whole += whole;
	} else {
		sum->exact = 0;
		sum->rest += strtold(string, NULL);
	}
	leave_plain_locale(before);
}

static void print_whole(__int128 value, char text[NUMBER_MAX])
{
	unsigned __int128 digits = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
	char reversed[NUMBER_MAX];
	size_t length = 0, i = 0;

	do {
		reversed[length++] = (char)('0' + (int)(digits % 10));
		digits /= 10;
	} while (digits);
	if (value < 0)
		text[i++] = '-';
	while (length)
		text[i++] = reversed[--length];
	text[i] = 0;
}

/* As few digits as give the same double again. */
static void print_double(double value, char text[NUMBER_MAX])
{
	locale_t before = enter_plain_locale();

	for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
		snprintf(text, NUMBER_MAX, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	leave_plain_locale(before);
}

static long double total(const struct number_sum *sum)
{
	return (long double)sum->whole + sum->rest;
}

void number_print_sum(const struct number_sum *sum, char text[NUMBER_MAX])
{
	if (sum->exact)
		print_whole(sum->whole, text);
	else
		print_double((double)total(sum), text);
}

void number_print_average(const struct number_sum *sum, char text[NUMBER_MAX])
{
	if (sum->exact && sum->whole % sum->count == 0)
		print_whole(sum->whole / sum->count, text);
	else
		print_double((double)(total(sum) / sum->count), text);
}
