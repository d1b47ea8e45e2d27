// SPDX-License-Identifier: BSD-3-Clause
/*
 * The elastic invariant: a group grows from one instance to all and shrinks to one again, by
 * hand-overs, and its durable instances are killed at random, leavers and adopters as well, and
 * come back from their pools, some only to be adopted; while writers write and readers read all
 * the time. Every sum that a reader gets while nobody is dead lies between what had been added
 * when the read began and when it ended; and the last one is exact.
 */
#include "group.h"
#include "scratch.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INSTANCES_MAX 16
#define READERS 2
#define KEYS 50
#define REGION ((size_t)4 << 20)
#define PATIENCE_MS 60000
#define CHURN_MS 15000 /* on a slow machine less happens */
#define NOTHING UINT64_MAX

enum order {
	WRITE,
	LEAVE,
};

enum state {
	GONE,
	STARTING,
	THERE, /* in the group */
};

/* One instance: what it is told, and what it says. */
struct actor {
	pid_t pid;
	int order;
	int state;
	int adding; /* in the midst of an addition, or about to see that it is to pause */
	pid_t self; /* as it says */
	pid_t seen[READERS]; /* as which process a reader last saw it */
};

/* Between all processes. */
static struct {
	struct actor actors[INSTANCES_MAX];
	uint64_t begun[KEYS]; /* additions of 1 */
	uint64_t made[KEYS];
	uint64_t deaths; /* odd while somebody is dead */
	uint64_t reads[READERS];
	uint64_t skipped[READERS];
	int paused; /* nobody is to add */
	uint64_t question; /* a key, for the first reader to read while all pause; or NOTHING */
	uint64_t sum; /* its answer */
	int stop;
} * shared;

static char *folder;
static unsigned int seed; /* of what comes next */
static int instances;
static int kills;

static void nap(unsigned int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

static void name_of(int number, char *name)
{
	snprintf(name, 16, "i%d", number);
}

static int seen_by_all(const struct actor *actor)
{
	for (int r = 0; r < READERS; r++)
		if (__atomic_load_n(&actor->seen[r], __ATOMIC_SEQ_CST) != actor->self)
			return 0;
	return 1;
}

static struct estate *open_instance(int number, unsigned int flags)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	char registry[128];
	char pool[128];
	char name[16];
	struct estate *es;
	int error;

	snprintf(registry, sizeof(registry), "dir:%s", folder);
	snprintf(pool, sizeof(pool), "%s/pool%d", folder, number);
	name_of(number, name);
	attr.group = "test";
	attr.name = name;
	attr.registry = registry;
	attr.region_size = REGION;
	attr.flags = flags;
	attr.pool = pool;
	/* The same over another transport, on a machine that has an RDMA device. */
	attr.listen = getenv("ESTATE_TEST_LISTEN");
	for (int tries = 0; (error = estate_open(&attr, &es)) == -EEXIST || error == -EBUSY;
	     tries++) {
		/* Its last life may not be quite gone. */
		if (tries == 1000)
			break;
		nap(5);
	}
	if (error == -EINPROGRESS)
		return open_instance(number, ESTATE_RESUME_LEAVE);
	if (error)
		errx(1, "%s: %s", name, estate_errormsg());
	return es;
}

static struct estate_table *open_table(struct estate *es, enum estate_durability durability)
{
	struct estate_table_attr attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_table *table;

	attr.key_size = 8;
	attr.value_type = ESTATE_U64;
	attr.value_count = 1;
	attr.merge = ESTATE_MERGE_SUM;
	attr.capacity = KEYS * 4;
	attr.durability = durability;
	if (estate_table_open(es, "t", &attr, &table))
		errx(1, "%s", estate_errormsg());
	return table;
}

static void leave(struct estate *es)
{
	struct estate_leave_attr attr = ESTATE_LEAVE_ATTR_INIT;
	int error;

	attr.deadline_ms = 1000;
	/* Others come and go: whoever can take over may be there next time. */
	while ((error = estate_leave(es, &attr)))
		if (error != -ETIMEDOUT && error != -ENOENT && error != -EBUSY &&
		    error != -EHOSTDOWN && error != -ECONNREFUSED)
			errx(1, "leaving: %s", estate_errormsg());
}

/* 0: not now. */
static int begin_addition(struct actor *actor)
{
	__atomic_store_n(&actor->adding, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&shared->paused, __ATOMIC_SEQ_CST))
		return 1;
	__atomic_store_n(&actor->adding, 0, __ATOMIC_SEQ_CST);
	return 0;
}

static void add(struct actor *actor, struct estate_table *table, uint64_t key)
{
	if (!begin_addition(actor))
		return;
	__atomic_fetch_add(&shared->begun[key], 1, __ATOMIC_SEQ_CST);
	if (estate_add(table, &key, 8, &(uint64_t){ 1 }))
		errx(1, "%d: %s", (int)actor->self, estate_errormsg());
	__atomic_fetch_add(&shared->made[key], 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&actor->adding, 0, __ATOMIC_SEQ_CST);
}

static void run_instance(int number)
{
	struct actor *actor = &shared->actors[number];
	struct estate *es = open_instance(number, 0);
	struct estate_member member;
	struct estate_table *table;
	char name[16];
	unsigned int random = (unsigned int)getpid();

	name_of(number, name);
	__atomic_store_n(&actor->self, getpid(), __ATOMIC_SEQ_CST);
	__atomic_store_n(&actor->state, THERE, __ATOMIC_SEQ_CST);
	/* One that resumes its leave only has that to do. */
	if (group_find(es, name, &member) && member.state == ESTATE_MEMBER_SEALED)
		__atomic_store_n(&actor->order, LEAVE, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&actor->order, __ATOMIC_SEQ_CST) == WRITE) {
		table = open_table(es, ESTATE_DURABILITY_BEFORE_RETURN);
		/* Whom a reader does not know yet, it does not count. */
		while (!seen_by_all(actor))
			nap(1);
		while (__atomic_load_n(&actor->order, __ATOMIC_SEQ_CST) == WRITE) {
			/* All are to have their turn on two cores. */
			for (int n = rand_r(&random) % 64; n; n--)
				add(actor, table, (uint64_t)rand_r(&random) % KEYS);
			nap(1);
		}
	}
	leave(es);
	__atomic_store_n(&actor->state, GONE, __ATOMIC_SEQ_CST);
	exit(0);
}

static void report_seen(struct estate *observer, int reader)
{
	struct estate_member members[INSTANCES_MAX * 2];
	int count = estate_members(observer, members, INSTANCES_MAX * 2);

	for (int m = 0; m < count && m < INSTANCES_MAX * 2; m++) {
		int number;

		if (members[m].state == ESTATE_MEMBER_MISSING ||
		    sscanf(members[m].name, "i%d", &number) != 1)
			continue;
		__atomic_store_n(&shared->actors[number].seen[reader], members[m].pid,
				 __ATOMIC_SEQ_CST);
	}
}

/* Nobody adds, and nobody is dead: what is the sum? */
static void answer_question(struct estate_view *view, struct estate_table *table)
{
	uint64_t key = __atomic_load_n(&shared->question, __ATOMIC_SEQ_CST);
	struct estate_answer answer = { 0 };
	uint64_t sum = 0;
	int error;

	if (key == NOTHING)
		return;
	error = estate_get_global(view, table, &key, 8, &sum, 8, &answer);
	if ((error && error != -ENOENT) || answer.missing)
		return;
	shared->sum = sum;
	__atomic_store_n(&shared->question, NOTHING, __ATOMIC_SEQ_CST);
}

static void run_reader(int reader)
{
	struct estate *observer = group_open(folder, NULL, 0);
	struct estate_table *table = open_table(observer, ESTATE_DURABILITY_NONE);
	struct estate_view *view = group_view(observer);

	for (uint64_t n = 0; !__atomic_load_n(&shared->stop, __ATOMIC_RELAXED); n++) {
		struct estate_answer answer = { 0 };
		uint64_t deaths = __atomic_load_n(&shared->deaths, __ATOMIC_SEQ_CST);
		uint64_t key = n % KEYS;
		uint64_t least = __atomic_load_n(&shared->made[key], __ATOMIC_SEQ_CST);
		uint64_t sum = 0;
		uint64_t most;
		int error = estate_get_global(view, table, &key, 8, &sum, 8, &answer);

		if (n % 16 == 0)
			report_seen(observer, reader);
		if (n % 1024 == 0)
			nap(1);
		most = __atomic_load_n(&shared->begun[key], __ATOMIC_SEQ_CST);
		if (error && error != -ENOENT && error != -EHOSTDOWN)
			errx(1, "reader: %s", estate_errormsg());
		/* Of whom nobody knows, and of whom it is said that they are missing. */
		if (deaths % 2 || deaths != __atomic_load_n(&shared->deaths, __ATOMIC_SEQ_CST) ||
		    answer.missing) {
			shared->skipped[reader]++;
			continue;
		}
		if (sum < least || sum > most)
			errx(1, "reader: key %llu is %llu, not within %llu and %llu",
			     (unsigned long long)key, (unsigned long long)sum,
			     (unsigned long long)least, (unsigned long long)most);
		shared->reads[reader]++;
		if (!reader)
			answer_question(view, table);
	}
	estate_view_close(view);
	estate_close(observer);
	exit(0);
}

static pid_t start(void (*run)(int), int number)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		exit(1);
	run(number);
	exit(0);
}

static void start_instance(int number)
{
	struct actor *actor = &shared->actors[number];

	actor->state = STARTING;
	actor->pid = start(run_instance, number);
}

/* Everybody who ended did so as told. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < instances; i++)
			if (shared->actors[i].pid == pid)
				shared->actors[i].pid = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			errx(1, "process %d ended with status 0x%x", (int)pid, status);
	}
}

/* Until the instance is seen by all readers, or has left. */
static void wait_settled(int number)
{
	struct actor *actor = &shared->actors[number];

	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		int state = __atomic_load_n(&actor->state, __ATOMIC_SEQ_CST);

		reap();
		if (state == GONE || (state == THERE && seen_by_all(actor)))
			return;
		nap(1);
	}
	errx(1, "instance %d: nobody sees it", number);
}

static uint64_t ask(uint64_t key)
{
	__atomic_store_n(&shared->question, key, __ATOMIC_SEQ_CST);
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (__atomic_load_n(&shared->question, __ATOMIC_SEQ_CST) == NOTHING)
			return shared->sum;
		reap();
		nap(1);
	}
	errx(1, "key %llu: nobody can read it", (unsigned long long)key);
}

/* An addition that somebody died in was made, or not; which one is known from here on. */
static void resolve(void)
{
	__atomic_store_n(&shared->paused, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < instances; i++) {
		while (__atomic_load_n(&shared->actors[i].adding, __ATOMIC_SEQ_CST)) {
			reap();
			nap(1);
		}
	}
	for (uint64_t key = 0; key < KEYS; key++) {
		uint64_t least = __atomic_load_n(&shared->made[key], __ATOMIC_SEQ_CST);
		uint64_t most = __atomic_load_n(&shared->begun[key], __ATOMIC_SEQ_CST);
		uint64_t sum;

		if (least == most)
			continue;
		sum = ask(key);
		if (sum < least || sum > most)
			errx(1, "key %llu is %llu, not within %llu and %llu",
			     (unsigned long long)key, (unsigned long long)sum,
			     (unsigned long long)least, (unsigned long long)most);
		/* In this order: a reader takes one before it reads, the other one after it. */
		__atomic_store_n(&shared->made[key], sum, __ATOMIC_SEQ_CST);
		__atomic_store_n(&shared->begun[key], sum, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&shared->paused, 0, __ATOMIC_SEQ_CST);
}

/* @order: for its next life. */
static void kill_and_restart(int number, enum order order)
{
	struct actor *actor = &shared->actors[number];

	__atomic_fetch_add(&shared->deaths, 1, __ATOMIC_SEQ_CST);
	kill(actor->pid, SIGKILL);
	waitpid(actor->pid, NULL, 0);
	kills++;
	actor->adding = 0;
	actor->order = order;
	/* It may have been gone, or just been going: its pool knows. */
	start_instance(number);
	wait_settled(number);
	__atomic_fetch_add(&shared->deaths, 1, __ATOMIC_SEQ_CST);
	resolve();
}

static int is_writer(int number)
{
	return shared->actors[number].pid && shared->actors[number].order == WRITE;
}

static int writers(void)
{
	int count = 0;

	for (int i = 0; i < instances; i++)
		count += is_writer(i);
	return count;
}

static void begin(int number)
{
	shared->actors[number].order = WRITE;
	start_instance(number);
	wait_settled(number);
}

static void tell_to_leave(int number)
{
	__atomic_store_n(&shared->actors[number].order, LEAVE, __ATOMIC_SEQ_CST);
}

/* Whoever dies: one that leaves, and whoever takes it over, as well. */
static void kill_somebody(void)
{
	int number = rand_r(&seed) % instances;
	const struct actor *actor = &shared->actors[number];
	enum order order = actor->order;

	if (!actor->pid)
		return;
	/* Some come back only to be adopted. */
	if (writers() > 1 && rand_r(&seed) % 4 == 0)
		order = LEAVE;
	kill_and_restart(number, order);
}

/* One thing happens to one instance. */
static void step(void)
{
	int number = rand_r(&seed) % instances;

	if (!shared->actors[number].pid)
		begin(number);
	else if (rand_r(&seed) % 2)
		kill_somebody();
	else if (is_writer(number) && writers() > 1)
		tell_to_leave(number);
	reap();
	nap((unsigned int)rand_r(&seed) % 20);
}

/* Until all are there at once; those who are leaving are gone first. */
static void grow(void)
{
	for (int ms = 0; writers() < instances; ms++) {
		reap();
		for (int i = 0; i < instances; i++) {
			if (shared->actors[i].pid)
				continue;
			begin(i);
			if (rand_r(&seed) % 4 == 0)
				kill_somebody();
		}
		if (ms == PATIENCE_MS)
			errx(1, "%d of %d instances are there", writers(), instances);
		nap(1);
	}
}

static int processes(void)
{
	int count = 0;

	for (int i = 0; i < instances; i++)
		count += shared->actors[i].pid != 0;
	return count;
}

/* To one, who is not told to leave. */
static void shrink(void)
{
	while (writers() > 1) {
		int number = rand_r(&seed) % instances;

		if (is_writer(number))
			tell_to_leave(number);
		if (rand_r(&seed) % 4 == 0)
			kill_somebody();
		reap();
		nap((unsigned int)rand_r(&seed) % 20);
	}
	for (int ms = 0; processes() > 1; ms++) {
		reap();
		if (ms == PATIENCE_MS)
			errx(1, "%d instances do not leave", processes() - 1);
		nap(1);
	}
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t sum_all(struct estate *es, uint64_t *least, uint64_t *most)
{
	struct estate_table *table = open_table(es, ESTATE_DURABILITY_NONE);
	uint64_t sum = 0;

	*least = 0;
	*most = 0;
	for (uint64_t key = 0; key < KEYS; key++) {
		uint64_t value = 0;

		estate_get(table, &key, 8, &value, 8, NULL);
		sum += value;
		*least += shared->made[key];
		*most += shared->begun[key];
	}
	return sum;
}

int main(void)
{
	const char *rounds = getenv("ESTATE_TEST_ROUNDS");
	int steps = rounds ? atoi(rounds) : 100;
	unsigned int first;
	pid_t readers[READERS];
	struct estate *last;
	uint64_t until;
	uint64_t least;
	uint64_t most;
	uint64_t sum;

	instances = INSTANCES_MAX;
	if (getenv("ESTATE_TEST_INSTANCES"))
		instances = atoi(getenv("ESTATE_TEST_INSTANCES"));
	if (instances < 2 || instances > INSTANCES_MAX)
		errx(2, "2 to %d instances", INSTANCES_MAX);
	folder = scratch_make();
	seed = getenv("ESTATE_TEST_SEED") ? (unsigned int)atoi(getenv("ESTATE_TEST_SEED"))
					  : (unsigned int)time(NULL);
	first = seed;
	printf("ESTATE_TEST_SEED=%u\n", first);
	fflush(stdout);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	shared->question = NOTHING;
	for (int r = 0; r < READERS; r++)
		readers[r] = start(run_reader, r);
	grow();
	until = now_ms() + CHURN_MS;
	for (int s = 0; s < steps && now_ms() < until; s++)
		step();
	grow();
	shrink();
	/* This process adopts the last one, and has it all. */
	last = group_open(folder, "last", REGION);
	open_table(last, ESTATE_DURABILITY_NONE);
	for (int i = 0; i < instances; i++)
		tell_to_leave(i);
	for (int i = 0; i < instances; i++)
		if (shared->actors[i].pid)
			waitpid(shared->actors[i].pid, NULL, 0);
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
	for (int r = 0; r < READERS; r++) {
		int status;

		waitpid(readers[r], &status, 0);
		if (status)
			errx(1, "a reader failed");
	}
	sum = sum_all(last, &least, &most);
	if (sum != least || sum != most)
		errx(1, "in the end: %llu, and %llu to %llu were added", (unsigned long long)sum,
		     (unsigned long long)least, (unsigned long long)most);
	printf("seed %u: %d instances, %d kills, %llu additions, %llu reads checked, %llu "
	       "skipped\n",
	       first, instances, kills, (unsigned long long)sum,
	       (unsigned long long)(shared->reads[0] + shared->reads[1]),
	       (unsigned long long)(shared->skipped[0] + shared->skipped[1]));
	if (!shared->reads[0] || !shared->reads[1])
		errx(1, "a reader read nothing");
	estate_close(last);
	scratch_remove(folder);
	return 0;
}
