// SPDX-License-Identifier: BSD-3-Clause
/*
 * How fast an instance has its entries back, beside a plain copy of the same
 * bytes, from a mapping of the same pool, by as many threads, into memory that is
 * taken from the kernel as a region is.
 */
#include "durable.h"
#include "instances.h"
#include "measure.h"
#include "options.h"
#include "report.h"

#include <fcntl.h>
#include <libpmem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS_MAX 64
#define TABLES_BEGIN 16384 /* in a pool: what is before it is no entries */
#define HUGE_PAGE ((size_t)2 << 20)

static void check(int failed, const char *what)
{
	if (!failed)
		return;
	perror(what);
	exit(1);
}

static struct estate *open_pool(const char *pool, size_t bytes)
{
	struct estate *es = bench_durable("recovery", pool, bytes);

	if (!es)
		exit(1);
	return es;
}

static void fill(const struct options *options, const char *pool,
		 const struct estate_table_attr *attr)
{
	struct estate *es = open_pool(pool, estate_table_bytes(attr));
	struct estate_table *table;

	if (estate_table_open(es, "entries", attr, &table)) {
		fprintf(stderr, "%s\n", estate_errormsg());
		exit(1);
	}
	if (durable_fill(table, options->entries, attr->value_count, 1) || estate_close(es))
		exit(1);
}

/*
 * Memory that has been free for a while may have to come from far: a hypervisor takes it
 * away, and gives it back one fault at a time, which takes longer than all that is measured here.
 */
static void warm_memory(size_t bytes)
{
	int fd = memfd_create("warm", MFD_CLOEXEC);
	void *memory;

	check(fd < 0 || ftruncate(fd, (off_t)bytes), "memfd_create");
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(memory == MAP_FAILED, "mmap");
	madvise(memory, bytes, MADV_HUGEPAGE);
	check(madvise(memory, bytes, MADV_POPULATE_WRITE), "madvise");
	munmap(memory, bytes);
	close(fd);
}

struct part {
	pthread_t thread;
	unsigned char *to;
	const unsigned char *from;
	size_t length;
	int take; /* the memory first */
};

static void *run_part(void *arg)
{
	const struct part *part = arg;
	/* Its own part, but for the pages that it shares with its neighbours. */
	unsigned char *begin = part->to + -(uintptr_t)part->to % HUGE_PAGE;
	unsigned char *end = part->to + part->length;

	end -= (uintptr_t)end % HUGE_PAGE;
	if (part->take && end > begin)
		check(madvise(begin, (size_t)(end - begin), MADV_POPULATE_WRITE), "madvise");
	memcpy(part->to, part->from, part->length);
	return NULL;
}

/* Seconds. */
static double run_parts(unsigned char *to, const unsigned char *from, size_t bytes,
			unsigned int threads, int take)
{
	struct part parts[THREADS_MAX];
	uint64_t begun = measure_now_ns();

	for (unsigned int i = 0; i < threads; i++) {
		size_t start = bytes / threads * i;

		parts[i] = (struct part){ .to = to + start,
					  .from = from + TABLES_BEGIN + start,
					  .length = bytes / threads,
					  .take = take };
		if (i)
			check(pthread_create(&parts[i].thread, NULL, run_part, &parts[i]),
			      "pthread_create");
	}
	run_part(&parts[0]);
	for (unsigned int i = 1; i < threads; i++)
		pthread_join(parts[i].thread, NULL);
	return (double)(measure_now_ns() - begun) / 1e9;
}

/* Seconds for all; for the copy alone, to memory that is there and from pages that are mapped, in *@copying. */
static double copy_plainly(const char *pool, const struct estate_recovery *recovery,
			   double *copying)
{
	int fd = memfd_create("region", MFD_CLOEXEC);
	size_t bytes = recovery->bytes;
	unsigned char *mapped;
	unsigned char *region;
	unsigned char *from;
	double all;
	size_t size;
	int real;

	check(fd < 0 || ftruncate(fd, (off_t)(bytes + HUGE_PAGE)), "memfd_create");
	mapped = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(mapped == MAP_FAILED, "mmap");
	from = pmem_map_file(pool, 0, 0, 0, &size, &real);
	check(!from || size < TABLES_BEGIN + bytes, pool);
	madvise(mapped, bytes + HUGE_PAGE, MADV_HUGEPAGE);
	region = mapped + -(uintptr_t)mapped % HUGE_PAGE;

	all = run_parts(region, from, bytes, recovery->threads, 1);
	*copying = run_parts(region, from, bytes, recovery->threads, 0);

	pmem_unmap(from, size);
	munmap(mapped, bytes + HUGE_PAGE);
	close(fd);
	return all;
}

struct figures {
	double seconds[ROUNDS_MAX];
	double rate[ROUNDS_MAX];
	double plain_rate[ROUNDS_MAX];
	double ratio[ROUNDS_MAX];
	double ratio_copy[ROUNDS_MAX];
};

static struct figures figures;

static struct estate_recovery run_round(const struct options *options, const char *pool,
					const struct estate_table_attr *attr, size_t round)
{
	const size_t bytes = estate_table_bytes(attr);
	struct estate_recovery recovery;
	struct estate *es;
	double copying;
	double plain;

	warm_memory(bytes * 2);
	es = open_pool(pool, bytes);
	estate_recovery(es, &recovery);
	estate_close(es);
	if (recovery.entries != options->entries || recovery.threads > THREADS_MAX) {
		fprintf(stderr, "%zu entries came back\n", (size_t)recovery.entries);
		exit(1);
	}
	warm_memory(bytes * 2);
	plain = copy_plainly(pool, &recovery, &copying);
	figures.seconds[round] = (double)recovery.microseconds / 1e6;
	figures.rate[round] = (double)recovery.bytes / figures.seconds[round] / 1e9;
	figures.plain_rate[round] = (double)recovery.bytes / plain / 1e9;
	figures.ratio[round] = plain / figures.seconds[round];
	figures.ratio_copy[round] = copying / figures.seconds[round];
	return recovery;
}

int main(int argc, char **argv)
{
	struct options options = { .entries = 1000000, .rounds = 9 };
	struct estate_recovery recovery = { 0 };
	struct estate_table_attr attr;
	struct figure all[5];
	char text[64];
	char section[64];
	char pool[256];

	options_parse(argc, argv, &options);
	if (bench_registry())
		return 1;
	snprintf(pool, sizeof(pool), "%s/pool", options.folder);
	unlink(pool);
	durable_attr(&attr, options.entries, 64, ESTATE_DURABILITY_ON_LEAVE);
	fill(&options, pool, &attr);
	for (size_t round = 0; round < options.rounds; round++)
		recovery = run_round(&options, pool, &attr, round);
	unlink(pool);

	all[0] = measure_figure(figures.seconds, options.rounds);
	all[1] = measure_figure(figures.rate, options.rounds);
	all[2] = measure_figure(figures.plain_rate, options.rounds);
	all[3] = measure_figure(figures.ratio, options.rounds);
	all[4] = measure_figure(figures.ratio_copy, options.rounds);
	printf("%zu entries, values of 64 bytes: %.0f MB read and checked, %u threads\n",
	       options.entries, (double)recovery.bytes / 1e6, recovery.threads);
	printf("  %-44s %22s\n", "recovery, s", durable_ratio(&all[0], text));
	printf("  %-44s %22s\n", "recovery, GB/s", durable_ratio(&all[1], text));
	printf("  %-44s %22s\n", "memory taken and memcpy(), GB/s", durable_ratio(&all[2], text));
	printf("  %-44s %22s\n", "recovery's rate of that", durable_ratio(&all[3], text));
	printf("  %-44s %22s\n", "recovery's rate of memcpy() alone", durable_ratio(&all[4], text));
	snprintf(section, sizeof(section), "recovery, %zu entries", options.entries);
	return report_write(
		       options.json, section,
		       json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "entries",
				 (json_int_t)options.entries, "rounds", (json_int_t)options.rounds,
				 "bytes", (json_int_t)recovery.bytes, "threads",
				 (json_int_t)recovery.threads, "seconds", report_figure(all[0]),
				 "GB/s", report_figure(all[1]), "memory and memcpy, GB/s",
				 report_figure(all[2]), "of memory and memcpy",
				 report_figure(all[3]), "of memcpy alone", report_figure(all[4])))
		       ? 1
		       : 0;
}
