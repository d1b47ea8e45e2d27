// SPDX-License-Identifier: BSD-3-Clause
/* Pools: what is back in the next life, what is refused, and what each durability promises. */
#include "check.h"
#include "format.h"
#include "scratch.h"
#include "slot.h"
#include "store.h"

#include <estate/estate.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGION ((size_t)16 << 20)

struct fixture {
	char *folder;
	char pool[128];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->folder = scratch_make();
	snprintf(f->pool, sizeof(f->pool), "%s/pool", f->folder);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	scratch_remove(f->folder);
	free(f);
	return 0;
}

static int try_open(const struct fixture *f, const char *name, struct estate **es)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char registry[160];

	snprintf(registry, sizeof(registry), "dir:%s/registry", f->folder);
	attr.group = "test";
	attr.name = name;
	attr.registry = registry;
	attr.region_size = REGION;
	attr.pool = f->pool;
	return estate_open(&attr, es);
}

static struct estate *begin(const struct fixture *f)
{
	struct estate *es;

	assert_ok(try_open(f, "one", &es));
	return es;
}

static struct estate_table_attr counters(enum estate_durability durability)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = 2;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = 1000;
	attr.durability = durability;
	return attr;
}

static struct estate_table *table_of(struct estate *es, const char *name,
				     enum estate_durability durability)
{
	struct estate_table_attr attr = counters(durability);
	struct estate_table *table;

	assert_ok(estate_table_open(es, name, &attr, &table));
	return table;
}

/* What a crash leaves: the life does not end, nothing is flushed that was not. */
static void crash(struct estate *es)
{
	adopter_stop(es->adopter);
	es->pool->operations->close(es->pool);
	es->pool = NULL;
	assert_ok(estate_close(es));
}

static void add(struct estate_table *table, uint64_t key, uint64_t count)
{
	assert_ok(estate_add(table, &key, 8, (uint64_t[]){ count, count * 10 }));
}

static void expect(const struct estate_table *table, uint64_t key, uint64_t count)
{
	uint64_t value[2];
	int error = estate_get(table, &key, 8, value, sizeof(value), NULL);

	if (!count) {
		assert_int_equal(error, -ENOENT);
		return;
	}
	assert_ok(error);
	assert_int_equal(value[0], count);
	assert_int_equal(value[1], count * 10);
}

static uint64_t entries(const struct estate_table *table)
{
	struct estate_table_stats stats;

	assert_ok(estate_table_stats(table, &stats));
	return stats.entries;
}

static void test_lives(void **state)
{
	struct fixture *f = *state;
	struct estate *es = begin(f);
	struct estate_recovery recovery;
	struct estate_member first;
	struct estate_member second;

	assert_ok(estate_recovery(es, &recovery));
	assert_int_equal(recovery.found, 0);
	assert_int_equal(estate_members(es, &first, 1), 1);
	for (uint64_t key = 0; key < 1000; key++)
		add(table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN), key, key + 1);
	add(table_of(es, "later", ESTATE_DURABILITY_ON_LEAVE), 7, 1);
	add(table_of(es, "never", ESTATE_DURABILITY_NONE), 7, 1);
	assert_ok(estate_close(es));

	for (int life = 0; life < 3; life++) {
		es = begin(f);
		assert_ok(estate_recovery(es, &recovery));
		assert_int_equal(recovery.found, 1);
		assert_int_equal(recovery.tables, 2);
		assert_int_equal(recovery.entries, 1001);
		assert_true(recovery.bytes > 0 && recovery.threads > 0);
		assert_int_equal(estate_members(es, &second, 1), 1);
		assert_memory_equal(first.uuid, second.uuid, sizeof(first.uuid));
		assert_true(second.epoch > first.epoch);
		first = second;
		for (uint64_t key = 0; key < 1000; key++)
			expect(table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN), key,
			       key + 1 + (unsigned int)life);
		expect(table_of(es, "later", ESTATE_DURABILITY_ON_LEAVE), 7, 1);
		expect(table_of(es, "never", ESTATE_DURABILITY_NONE), 7, 0);
		for (uint64_t key = 0; key < 1000; key++)
			add(table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN), key, 1);
		/* Full is full: in the pool, too. */
		assert_error(estate_add(table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN),
					&(uint64_t){ 5000 }, 8, (uint64_t[]){ 1, 1 }),
			     -ENOSPC, "full");
		if (life == 1)
			crash(es);
		else
			assert_ok(estate_close(es));
	}
}

static void test_what_a_crash_takes(void **state)
{
	struct fixture *f = *state;
	struct estate *es = begin(f);
	struct estate_table *leave = table_of(es, "leave", ESTATE_DURABILITY_ON_LEAVE);
	struct estate_table *before = table_of(es, "before", ESTATE_DURABILITY_BEFORE_RETURN);

	add(leave, 1, 5);
	add(before, 1, 5);
	assert_ok(estate_sync(es));
	add(leave, 1, 1);
	add(leave, 2, 1);
	add(before, 1, 1);
	assert_ok(estate_delete(before, &(uint64_t){ 1 }, 8));
	add(before, 2, 1);
	crash(es);

	es = begin(f);
	leave = table_of(es, "leave", ESTATE_DURABILITY_ON_LEAVE);
	before = table_of(es, "before", ESTATE_DURABILITY_BEFORE_RETURN);
	expect(leave, 1, 5);
	expect(leave, 2, 0);
	expect(before, 1, 0);
	expect(before, 2, 1);
	assert_int_equal(entries(before), 1);
	assert_ok(estate_close(es));
}

static void test_periodic(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = counters(ESTATE_DURABILITY_PERIODIC);
	struct estate *es = begin(f);
	struct estate_table *table;

	attr.flush_ms = 1;
	assert_ok(estate_table_open(es, "t", &attr, &table));
	for (uint64_t key = 0; key < 100; key++)
		add(table, key, 1);
	/* Nobody asks for it: the thread does it. */
	for (uint64_t slot = 0; slot < table->geometry.slots;) {
		if (__atomic_load_n(table->dirty + slot, __ATOMIC_ACQUIRE))
			usleep(1000);
		else
			slot++;
	}
	/* The last of these may be in the middle of it. */
	assert_ok(estate_sync(es));
	crash(es);
	es = begin(f);
	assert_ok(estate_table_open(es, "t", &attr, &table));
	assert_int_equal(entries(table), 100);
	assert_ok(estate_close(es));
}

/* Values in extents, of all lengths, rewritten many times more than there are spare blocks. */
static void test_large(void **state)
{
	static const enum estate_durability durabilities[] = { ESTATE_DURABILITY_ON_LEAVE,
							       ESTATE_DURABILITY_BEFORE_RETURN };
	struct fixture *f = *state;
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	static char value[5000];
	static char read[5000];

	attr.key_size = 40;
	attr.value_type = ESTATE_OPAQUE;
	attr.value_count = sizeof(value);
	attr.capacity = 20;
	for (size_t d = 0; d < 2; d++) {
		const char *name = d ? "before" : "leave";
		struct estate *es = begin(f);
		struct estate_table *table;
		size_t lengths[20] = { 0 };

		attr.durability = durabilities[d];
		assert_ok(estate_table_open(es, name, &attr, &table));
		srand(17);
		for (int i = 0; i < 2000; i++) {
			char key[16];
			int k = rand() % 20;

			snprintf(key, sizeof(key), "key %d", k);
			lengths[k] = (size_t)rand() % sizeof(value);
			memset(value, k + 1, lengths[k]);
			if (lengths[k] % 5)
				assert_ok(estate_put(table, key, strlen(key), value, lengths[k]));
			else
				estate_delete(table, key, strlen(key));
			if (rand() % 100 == 0)
				assert_ok(estate_sync(es));
			if (rand() % 200)
				continue;
			assert_ok(estate_sync(es));
			crash(es);
			es = begin(f);
			assert_ok(estate_table_open(es, name, &attr, &table));
			for (k = 0; k < 20; k++) {
				size_t length = 0;
				int error;

				snprintf(key, sizeof(key), "key %d", k);
				error = estate_get(table, key, strlen(key), read, sizeof(read),
						   &length);
				if (lengths[k] % 5 == 0) {
					assert_int_equal(error, -ENOENT);
					continue;
				}
				assert_ok(error);
				assert_int_equal(length, lengths[k]);
				memset(value, k + 1, length);
				assert_memory_equal(read, value, length);
			}
		}
		assert_ok(estate_close(es));
	}
}

/* Far slots, chains: all keys of a small table that is full, deleted and put again. */
static void test_full_tables(void **state)
{
	struct fixture *f = *state;
	struct estate *es = begin(f);
	struct estate_table_stats stats;
	struct estate_table *table;
	int chained = 0;

	for (uint64_t round = 0; round < 20; round++) {
		table = table_of(es, "t", ESTATE_DURABILITY_ON_LEAVE);
		for (uint64_t key = round * 1000; key < (round + 1) * 1000; key++) {
			if (round)
				assert_ok(estate_delete(table, &(uint64_t){ key - 1000 }, 8));
			add(table, key, key + 1);
		}
		assert_ok(estate_table_stats(table, &stats));
		assert_int_equal(stats.entries, 1000);
		chained += stats.overflowed > 0;
		assert_ok(estate_close(es));
		es = begin(f);
		table = table_of(es, "t", ESTATE_DURABILITY_ON_LEAVE);
		assert_int_equal(entries(table), 1000);
		for (uint64_t key = round * 1000; key < (round + 1) * 1000; key++)
			expect(table, key, key + 1);
	}
	assert_true(chained);
	assert_ok(estate_close(es));
}

static void test_batches(void **state)
{
	struct fixture *f = *state;
	struct estate *es = begin(f);
	struct estate_table *table = table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	uint64_t keys[40];
	uint64_t values[40][2];
	const void *places[40];
	int status[40];

	for (uint64_t i = 0; i < 40; i++) {
		/* Some of them twice. */
		keys[i] = i % 30;
		places[i] = &keys[i];
		values[i][0] = i + 1;
		values[i][1] = (i + 1) * 10;
	}
	assert_int_equal(estate_put_batch(table, 40, places, 8, values, 16, status), 40);
	for (uint64_t i = 0; i < 30; i++)
		expect(table, i, i < 10 ? i + 31 : i + 1);
	crash(es);
	es = begin(f);
	table = table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	for (uint64_t i = 0; i < 30; i++)
		expect(table, i, i < 10 ? i + 31 : i + 1);
	/* The table fills up in mid-batch. */
	for (uint64_t i = 100; i < 1060; i++)
		add(table, i, 1);
	for (uint64_t i = 0; i < 40; i++)
		keys[i] = 10000 + i;
	assert_int_equal(estate_put_batch(table, 40, places, 8, values, 16, status), 10);
	assert_int_equal(status[9], 0);
	assert_int_equal(status[10], -ENOSPC);
	assert_ok(estate_close(es));
}

static void test_handles(void **state)
{
	struct fixture *f = *state;

	for (int d = ESTATE_DURABILITY_ON_LEAVE; d <= ESTATE_DURABILITY_BEFORE_RETURN; d++) {
		struct estate *es;
		struct estate_table *table;
		struct estate_entry entry;
		char name[16];

		snprintf(name, sizeof(name), "t%d", d);
		es = begin(f);
		table = table_of(es, name, (enum estate_durability)d);
		assert_ok(estate_entry_open(table, &(uint64_t){ 1 }, 8, &entry));
		for (int i = 0; i < 10; i++)
			assert_ok(estate_entry_add(&entry, (uint64_t[]){ 1, 10 }));
		assert_ok(estate_entry_open(table, &(uint64_t){ 2 }, 8, &entry));
		assert_ok(estate_entry_put(&entry, (uint64_t[]){ 3, 30 }, 16));
		if (d != ESTATE_DURABILITY_BEFORE_RETURN)
			assert_ok(estate_sync(es));
		crash(es);
		es = begin(f);
		table = table_of(es, name, (enum estate_durability)d);
		expect(table, 1, 10);
		expect(table, 2, 3);
		assert_ok(estate_close(es));
	}
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct estate_table_attr attr = counters(ESTATE_DURABILITY_BEFORE_RETURN);
	struct estate *es = begin(f);
	struct estate *other;
	struct estate_table *table;

	table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	assert_error(try_open(f, "two", &other), -EBUSY, "another process has it open");
	/* Another geometry, or another durability, than the pool has. */
	assert_ok(estate_close(es));
	es = begin(f);
	attr.capacity = 10;
	assert_error(estate_table_open(es, "t", &attr, &table), -EEXIST, "from its pool");
	attr = counters(ESTATE_DURABILITY_ON_LEAVE);
	assert_error(estate_table_open(es, "t", &attr, &table), -EEXIST, "durability 3");
	/* More than it holds. */
	attr = counters(ESTATE_DURABILITY_ON_LEAVE);
	attr.capacity = 1 << 18;
	assert_error(estate_table_open(es, "big", &attr, &table), -ENOSPC, "");
	assert_ok(estate_close(es));
	assert_error(try_open(f, "two", &other), -EPERM, "instance one of group test");
}

/* Change bytes of the pool file while nobody has it open. */
static void poke(const struct fixture *f, off_t offset, const void *bytes, size_t length)
{
	int fd = open(f->pool, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, length, offset), length);
	close(fd);
}

static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct estate *es = begin(f);
	struct estate_table *table = table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	struct format_header header;
	unsigned char page[4096];
	unsigned char saved[4096];
	struct estate *other;
	int fd;

	for (uint64_t key = 0; key < 1000; key++)
		add(table, key, 1);
	assert_ok(estate_close(es));
	fd = open(f->pool, O_RDONLY);
	assert_int_equal(pread(fd, saved, sizeof(saved), 0), sizeof(saved));
	close(fd);
	memcpy(&header, saved, sizeof(header));

	header.version = 9;
	poke(f, 0, &header, sizeof(header));
	assert_error(try_open(f, "one", &other), -EPROTO, "version 9");
	header.version = FORMAT_VERSION;
	header.layout_version = 7;
	poke(f, 0, &header, sizeof(header));
	assert_error(try_open(f, "one", &other), -EPROTO, ".7");
	memcpy(&header, saved, sizeof(header));
	header.uuid[3] ^= 1;
	poke(f, 0, &header, sizeof(header));
	assert_error(try_open(f, "one", &other), -EBADMSG, "recover");
	memset(page, 'x', sizeof(page));
	poke(f, 0, page, sizeof(page));
	assert_error(try_open(f, "one", &other), -EBADMSG, "does not begin as a pool does");
	poke(f, 0, saved, sizeof(saved));

	/* Its last life, both copies; one of them alone does no harm. */
	poke(f, FORMAT_LIFE, page, 16);
	poke(f, FORMAT_LIFE + FORMAT_LIFE_STRIDE, page, 16);
	assert_error(try_open(f, "one", &other), -EBADMSG, "last life");
	poke(f, 0, saved, sizeof(saved));

	/* The directory, an entry, the end. */
	poke(f, LAYOUT_DIRECTORY + 70, "y", 1);
	assert_error(try_open(f, "one", &other), -EBADMSG, "table directory");
	fd = open(f->pool, O_RDWR);
	assert_int_equal(ftruncate(fd, REGION - 4096), 0);
	close(fd);
	assert_error(try_open(f, "one", &other), -EBADMSG, "was made with");
}

static void test_damaged_entry(void **state)
{
	struct fixture *f = *state;
	struct estate *es = begin(f);
	struct estate_table *table = table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	off_t place = LAYOUT_TABLES;
	struct estate *other;

	for (uint64_t key = 0; key < 1000; key++)
		add(table, key, 1);
	for (uint64_t key = 0; key < 1000; key++)
		add(table, key, 1);
	while (!(table->tags[place - LAYOUT_TABLES] & TAG_FINGERPRINT))
		place++;
	place = LAYOUT_TABLES +
		(off_t)format_copy_offset(&table->geometry, (uint64_t)(place - LAYOUT_TABLES), 0);
	assert_ok(estate_close(es));
	/* Both copies' first word of the value. */
	poke(f, place + 24, "damaged!", 8);
	poke(f, place + FORMAT_LINE + 24, "damaged!", 8);
	assert_error(try_open(f, "one", &other), -EBADMSG, "1 of its entries");
}

/* What a dead instance left becomes a part of a member, once. */
static void test_adopt(void **state)
{
	struct fixture *f = *state;
	struct estate_adopt_attr attr = ESTATE_ADOPT_ATTR_INIT;
	struct estate *es = begin(f);
	struct estate_table *table = table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	struct estate_table_attr dense = counters(ESTATE_DURABILITY_BEFORE_RETURN);
	struct estate_recovery recovery;
	char registry[160];
	char path[128];
	struct estate *two;

	for (uint64_t key = 0; key < 500; key++)
		add(table, key, key + 1);
	/* With copies of 64 bytes: it takes more of a region than of a pool. */
	dense.value_count = 5;
	dense.capacity = 5000;
	assert_ok(estate_table_open(es, "dense", &dense, &table));
	assert_ok(estate_add(table, &(uint64_t){ 1 }, 8, (uint64_t[5]){ 5 }));
	crash(es);
	strcpy(path, f->pool);
	strcat(f->pool, "2");
	assert_ok(try_open(f, "two", &two));
	table = table_of(two, "t", ESTATE_DURABILITY_ON_LEAVE);
	for (uint64_t key = 400; key < 600; key++)
		add(table, key, 1000);
	snprintf(registry, sizeof(registry), "dir:%s/registry", f->folder);
	attr.registry = registry;
	attr.to = "three";
	assert_error(estate_adopt(path, &attr), -ENOENT, "three");
	attr.to = NULL;
	assert_ok(estate_adopt(path, &attr));
	for (uint64_t key = 0; key < 600; key++)
		expect(table, key, (key < 500 ? key + 1 : 0) + (key >= 400 ? 1000 : 0));
	assert_error(estate_adopt(path, &attr), -ENOENT, "nothing to adopt");
	/* What was absorbed is in the adopter's pool without being asked for. */
	crash(two);
	assert_ok(try_open(f, "two", &two));
	table = table_of(two, "t", ESTATE_DURABILITY_ON_LEAVE);
	for (uint64_t key = 0; key < 500; key++)
		expect(table, key, key + 1 + (key >= 400 ? 1000 : 0));
	strcpy(f->pool, path);
	es = begin(f);
	assert_ok(estate_recovery(es, &recovery));
	assert_int_equal(recovery.entries, 0);
	assert_ok(estate_close(es));
	assert_ok(estate_close(two));
	assert_error(estate_adopt(NULL, NULL), -EINVAL, "path");
	assert_error(estate_adopt("/nonexistent", NULL), -ENOENT, "/nonexistent");
	attr.size = 1;
	assert_error(estate_adopt(path, &attr), -EINVAL, "ESTATE_ADOPT_ATTR_INIT");
}

/* As soon as there is anybody. */
static int leave_to_somebody(struct estate *es, const struct estate_leave_attr *attr)
{
	int error;

	for (int tries = 0; (error = estate_leave(es, attr)) == -ENOENT && tries < 15000; tries++)
		usleep(2000);
	return error;
}

/*
 * An adopter that does not begin, until it is killed. @ready: a byte when it is there. @begun: -1, or
 * a pipe by which it is told whom it is to have begun with; another byte then.
 */
static pid_t start_adopter(const struct fixture *f, int ready, int begun)
{
	struct pool_adoption adoption = { .table = "t" };
	pid_t pid = fork();
	struct estate *es;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (try_open(f, "two", &es))
		_exit(1);
	adopter_stop(es->adopter);
	table_of(es, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	if (write(ready, "", 1) != 1)
		_exit(1);
	if (begun >= 0 &&
	    (read(begun, &adoption.leaver, 16) != 16 || read(begun, &adoption.epoch, 8) != 8 ||
	     es->pool->operations->adopting(es->pool, &adoption) || write(ready, "", 1) != 1))
		_exit(1);
	for (;;)
		pause();
}

/* An adopter "two" that does not begin, as start_adopter() makes it, and "one", sealed for it. */
static pid_t seal_for_adopter(struct fixture *f, int begun, int ready[2], struct estate **one)
{
	struct estate_leave_attr leave = ESTATE_LEAVE_ATTR_INIT;
	char path[128];
	pid_t adopter;
	char byte;

	strcpy(path, f->pool);
	strcat(f->pool, "2");
	assert_int_equal(pipe(ready), 0);
	adopter = start_adopter(f, ready[1], begun);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	strcpy(f->pool, path);
	*one = begin(f);
	add(table_of(*one, "t", ESTATE_DURABILITY_BEFORE_RETURN), 1, 5);
	leave.deadline_ms = 50;
	assert_int_equal(leave_to_somebody(*one, &leave), -ETIMEDOUT);
	return adopter;
}

/* A leaver whose adopter will come back from its pool waits for it, however often it has to be told. */
static void test_wait_again(void **state)
{
	struct fixture *f = *state;
	struct estate_leave_attr leave = ESTATE_LEAVE_ATTR_INIT;
	struct estate *one;
	struct estate *two;
	int ready[2];
	pid_t adopter;

	adopter = seal_for_adopter(f, -1, ready, &one);
	assert_int_equal(region_state(one->region.memory), LAYOUT_SEALED);
	kill(adopter, SIGKILL);
	waitpid(adopter, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	/* Longer than an adopter is waited for that does not come back. */
	leave.deadline_ms = 1000;
	for (int times = 0; times < 2; times++) {
		assert_error(estate_leave(one, &leave), -ETIMEDOUT, "goes on when it is started");
		assert_int_equal(region_state(one->region.memory), LAYOUT_SEALED);
	}
	strcat(f->pool, "2");
	assert_ok(try_open(f, "two", &two));
	assert_ok(estate_leave(one, NULL));
	expect(table_of(two, "t", ESTATE_DURABILITY_BEFORE_RETURN), 1, 5);
	assert_ok(estate_close(two));
}

static void *ask(void *arg)
{
	struct estate_ask_leave_attr attr = ESTATE_ASK_LEAVE_ATTR_INIT;

	attr.dead = "two";
	assert_ok(estate_ask_leave(arg, "one", &attr));
	return NULL;
}

/* An adopter that would come back from its pool will not, as that burnt: who knows it says so. */
static void test_said_dead(void **state)
{
	struct fixture *f = *state;
	struct estate_leave_attr leave = ESTATE_LEAVE_ATTR_INIT;
	struct estate *one;
	struct estate *three;
	pthread_t thread;
	pid_t adopter;
	int ready[2];

	adopter = seal_for_adopter(f, -1, ready, &one);
	/* Too early: it answers. */
	leave.deadline_ms = 1500;
	leave.dead = "two";
	assert_int_equal(estate_leave(one, &leave), -ETIMEDOUT);
	kill(adopter, SIGKILL);
	waitpid(adopter, NULL, 0);
	strcat(f->pool, "3");
	assert_ok(try_open(f, "three", &three));
	leave.dead = NULL;
	leave.deadline_ms = 1000;
	assert_int_equal(estate_leave(one, &leave), -ETIMEDOUT);
	/* An operator's word, while it waits. */
	assert_int_equal(pthread_create(&thread, NULL, ask, three), 0);
	assert_ok(leave_to_somebody(one, NULL));
	assert_int_equal(pthread_join(thread, NULL), 0);
	expect(table_of(three, "t", ESTATE_DURABILITY_BEFORE_RETURN), 1, 5);
	assert_ok(estate_close(three));
	close(ready[0]);
	close(ready[1]);
}

/* The same when the leaver died, too, and no more is known of its adopter than its pool tells. */
static void test_said_dead_by_uuid(void **state)
{
	struct fixture *f = *state;
	struct estate_adopt_attr adopt = ESTATE_ADOPT_ATTR_INIT;
	struct estate *one;
	struct estate *three;
	char uuid[37];
	char *end = uuid;
	char registry[160];
	char path[128];
	pid_t adopter;
	int ready[2];

	adopter = seal_for_adopter(f, -1, ready, &one);
	for (int i = 0; i < 16; i++)
		end += sprintf(end, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
			       region_header(&one->region)->adopter[i]);
	crash(one);
	snprintf(registry, sizeof(registry), "dir:%s/registry", f->folder);
	adopt.registry = registry;
	/* Too early, though it is not connected yet: it answers. */
	strcpy(path, f->pool);
	adopt.deadline_ms = 1500;
	adopt.dead = uuid;
	assert_error(estate_adopt(path, &adopt), -ETIMEDOUT, "two has not taken");
	kill(adopter, SIGKILL);
	waitpid(adopter, NULL, 0);
	adopt.dead = NULL;
	assert_error(estate_adopt(path, &adopt), -ETIMEDOUT, uuid);
	strcat(f->pool, "3");
	assert_ok(try_open(f, "three", &three));
	adopt.deadline_ms = 0;
	adopt.dead = uuid;
	assert_ok(estate_adopt(path, &adopt));
	expect(table_of(three, "t", ESTATE_DURABILITY_BEFORE_RETURN), 1, 5);
	assert_ok(estate_close(three));
	close(ready[0]);
	close(ready[1]);
}

static void *leave_now(void *arg)
{
	assert_ok(estate_leave(arg, NULL));
	return NULL;
}

/* Who died in the midst of taking somebody over can be adopted: that one comes first. */
static void test_adopt_adopter(void **state)
{
	struct fixture *f = *state;
	struct estate_adopt_attr adopt = ESTATE_ADOPT_ATTR_INIT;
	struct estate *one;
	struct estate *three;
	pthread_t thread;
	char registry[160];
	char path[128];
	pid_t adopter;
	int ready[2];
	int begun[2];
	char byte;

	strcpy(path, f->pool);
	assert_int_equal(pipe(begun), 0);
	adopter = seal_for_adopter(f, begun[0], ready, &one);
	assert_int_equal(write(begun[1], one->identity.uuid, 16), 16);
	assert_int_equal(write(begun[1], &one->identity.epoch, 8), 8);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(adopter, SIGKILL);
	waitpid(adopter, NULL, 0);
	strcat(f->pool, "3");
	assert_ok(try_open(f, "three", &three));
	snprintf(registry, sizeof(registry), "dir:%s/registry", f->folder);
	adopt.registry = registry;
	adopt.to = "three";
	strcat(path, "2");
	assert_int_equal(pthread_create(&thread, NULL, leave_now, one), 0);
	assert_ok(estate_adopt(path, &adopt));
	assert_int_equal(pthread_join(thread, NULL), 0);
	expect(table_of(three, "t", ESTATE_DURABILITY_BEFORE_RETURN), 1, 5);
	assert_ok(estate_close(three));
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(begun[i]);
	}
}

/* What was intended, and not done before a crash, is done: whatever else became of its slot since. */
static void test_not_done(void **state)
{
	struct fixture *f = *state;
	struct estate *one = begin(f);
	struct estate_table *table = table_of(one, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	struct pool_adoption adoption = { .epoch = one->identity.epoch, .table = "t", .count = 1 };
	struct entry_key key;
	struct estate *two;
	struct slot slot;

	memcpy(adoption.leaver, one->identity.uuid, sizeof(adoption.leaver));
	add(table, 1, 5);
	strcat(f->pool, "2");
	assert_ok(try_open(f, "two", &two));
	table = table_of(two, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	table_key(table, &(uint64_t){ 1 }, 8, &key);
	adoption.home = geometry_home(&table->geometry, key.hash);
	adoption.intents[0] =
		(struct absorb_intent){ .slot = (uint32_t)adoption.home * LAYOUT_SLOTS,
					.stamp = clock_stamp(&two->clock, 0),
					.hash = key.hash };
	assert_ok(two->pool->operations->adopting(two->pool, &adoption));
	crash(two);
	/* It comes back before the leaver does, and writes. */
	assert_ok(try_open(f, "two", &two));
	table = table_of(two, "t", ESTATE_DURABILITY_BEFORE_RETURN);
	add(table, 1, 1);
	table_key(table, &(uint64_t){ 1 }, 8, &key);
	assert_true(slot_find(table, &key, adoption.home, &slot, 1));
	assert_int_equal(slot.number, adoption.intents[0].slot);
	crash(two);
	assert_ok(try_open(f, "two", &two));
	assert_ok(leave_to_somebody(one, NULL));
	expect(table_of(two, "t", ESTATE_DURABILITY_BEFORE_RETURN), 1, 6);
	assert_ok(estate_close(two));
}

/*
 * A leaver that was killed when its pool said that all is handed over, and before its adopter heard
 * that: a later life of it says as much, or the adopter would wait for it for ever.
 */
static void test_later_life(void **state)
{
	struct fixture *f = *state;
	struct estate_leave_attr leave = ESTATE_LEAVE_ATTR_INIT;
	struct pool_adoption adoption = { 0 };
	struct region_identity before;
	struct estate_recovery recovery;
	char path[128];
	struct estate *one = begin(f);
	struct estate *two;

	before = one->identity;
	assert_ok(one->pool->operations->handed_over(one->pool));
	crash(one);
	strcpy(path, f->pool);
	strcat(f->pool, "2");
	assert_ok(try_open(f, "two", &two));
	memcpy(adoption.leaver, before.uuid, sizeof(adoption.leaver));
	adoption.epoch = before.epoch;
	assert_ok(two->pool->operations->adopting(two->pool, &adoption));
	crash(two);
	assert_ok(try_open(f, "two", &two));
	leave.deadline_ms = 50;
	assert_error(estate_leave(two, &leave), -EBUSY, "has not finished");
	strcpy(f->pool, path);
	one = begin(f);
	assert_ok(estate_recovery(one, &recovery));
	assert_int_equal(recovery.found, 0);
	assert_memory_equal(one->identity.uuid, before.uuid, sizeof(before.uuid));
	assert_true(one->identity.epoch > before.epoch);
	assert_ok(leave_to_somebody(two, NULL));
	assert_ok(estate_close(one));
}

/* As many tables as fit into a region fit into a pool of the size that it has if nobody says another one. */
static void test_room(void **state)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct geometry geometry;

	(void)state;
	for (attr.key_size = 1; attr.key_size <= ESTATE_KEY_MAX; attr.key_size++)
		for (attr.value_count = 1; attr.value_count < 400; attr.value_count++)
			for (attr.capacity = 1; attr.capacity < 1000000; attr.capacity *= 7) {
				assert_ok(geometry_init(&geometry, &attr));
				assert_true(LAYOUT_TABLES +
						    ESTATE_TABLES_MAX * format_length(&geometry) <=
					    format_size(LAYOUT_TABLES +
							ESTATE_TABLES_MAX * geometry.length));
			}
}

static void test_no_pool(void **state)
{
	struct fixture *f = *state;
	struct estate *es;
	char path[160];

	strcpy(path, f->pool);
	strcpy(f->pool, "/nonexistent/pool");
	assert_error(try_open(f, "one", &es), -ENOENT, "/nonexistent/pool");
	strcpy(f->pool, f->folder);
	assert_error(try_open(f, "one", &es), -EISDIR, f->folder);
	strcpy(f->pool, "/dev/null");
	assert_error(try_open(f, "one", &es), -EINVAL, "/dev/null");
	strcpy(f->pool, path);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_lives),
		test(test_what_a_crash_takes),
		test(test_periodic),
		test(test_large),
		test(test_full_tables),
		test(test_batches),
		test(test_handles),
		test(test_refused),
		test(test_damaged),
		test(test_damaged_entry),
		test(test_adopt),
		test(test_wait_again),
		test(test_later_life),
		test(test_said_dead),
		test(test_adopt_adopter),
		test(test_not_done),
		test(test_no_pool),
		test(test_room),
		test(test_said_dead_by_uuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
