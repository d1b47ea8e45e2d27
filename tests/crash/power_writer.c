// SPDX-License-Identifier: BSD-3-Clause
/*
 * What tests/crash/power runs on a node until its power is cut.
 *
 * usage: crash-power-writer ACKNOWLEDGED POOL...
 *
 * Checks what the pools have against ACKNOWLEDGED, a file that outlives the node;
 * says so; and then writes, by two threads for each pool, consecutive numbers to
 * one key each, and to ACKNOWLEDGED each whose call has returned.
 */
#include <estate/estate.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 2 /* for each pool: one with small values, one with large ones */
#define POOLS_MAX 2
#define WORDS_MAX 60

static const size_t words[THREADS] = { 2, WORDS_MAX };

struct writer {
	struct estate_table *table;
	size_t words;
	off_t place; /* in the file */
	uint64_t number;
};

static int acknowledged;

static void fill(uint64_t *value, size_t count, uint64_t number)
{
	for (size_t i = 0; i < count; i++)
		value[i] = number * (i + 1);
}

static void *write_on(void *arg)
{
	struct writer *writer = arg;
	const uint64_t key = 1;

	for (;;) {
		uint64_t value[WORDS_MAX];

		fill(value, writer->words, ++writer->number);
		if (estate_put(writer->table, &key, 8, value, writer->words * 8))
			errx(1, "put: %s", estate_errormsg());
		if (pwrite(acknowledged, &writer->number, 8, writer->place) != 8)
			err(1, "write");
	}
	return NULL;
}

/* All of what was acknowledged, or one more: the call that power was cut in. */
static void check(struct writer *writer, const char *pool)
{
	const uint64_t key = 1;
	uint64_t value[WORDS_MAX] = { 0 };
	uint64_t last = 0;
	int error = estate_get(writer->table, &key, 8, value, sizeof(value), NULL);

	if (error && error != -ENOENT)
		errx(1, "%s: get: %s", pool, estate_errormsg());
	if (pread(acknowledged, &last, 8, writer->place) < 0)
		err(1, "read");
	if (value[0] != last && value[0] != last + 1)
		errx(1, "%s: %llu is there, %llu was acknowledged", pool,
		     (unsigned long long)value[0], (unsigned long long)last);
	for (size_t i = 0; i < writer->words; i++)
		if (value[i] != value[0] * (i + 1))
			errx(1, "%s: not a whole value", pool);
	writer->number = value[0];
	printf("%s: %llu is there, %llu was acknowledged\n", pool, (unsigned long long)value[0],
	       (unsigned long long)last);
}

static struct estate *begin(const char *pool, int number)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char name[16];
	struct estate *es;

	snprintf(name, sizeof(name), "node-%d", number);
	attr.group = "power";
	attr.name = name;
	attr.region_size = 1 << 20;
	attr.pool = pool;
	if (estate_open(&attr, &es))
		errx(1, "%s", estate_errormsg());
	return es;
}

static struct estate_table *open_table(struct estate *es, unsigned int number)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = words[number];
	attr.capacity = 10;
	attr.durability = ESTATE_DURABILITY_BEFORE_RETURN;
	if (estate_table_open(es, number ? "large" : "small", &attr, &table))
		errx(1, "%s", estate_errormsg());
	return table;
}

int main(int argc, char **argv)
{
	struct writer writers[POOLS_MAX * THREADS];
	unsigned int count = 0;

	if (argc < 3 || argc > 2 + POOLS_MAX)
		errx(2, "usage: crash-power-writer ACKNOWLEDGED POOL...");
	acknowledged = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (acknowledged < 0)
		err(1, "%s", argv[1]);
	for (int i = 2; i < argc; i++) {
		struct estate *es = begin(argv[i], i);

		for (unsigned int j = 0; j < THREADS; j++) {
			writers[count] = (struct writer){ .table = open_table(es, j),
							  .words = words[j],
							  .place = (off_t)count * 8 };
			check(&writers[count++], argv[i]);
		}
	}
	puts("checked");
	fflush(stdout);
	for (unsigned int i = 0; i < count; i++) {
		pthread_t thread;
		int error = pthread_create(&thread, NULL, write_on, &writers[i]);

		if (error)
			errx(1, "pthread_create: %d", error);
	}
	for (;;)
		pause();
}
