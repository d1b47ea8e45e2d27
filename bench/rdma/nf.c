// SPDX-License-Identifier: BSD-3-Clause
#include "nf.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 4

static struct nf_thread *threads[THREADS_MAX];
static unsigned int thread_count;
static struct nf_thread spinner;
static sem_t spinning;
static int spin;
static uint64_t turns;

static void *begin(void *arg)
{
	struct nf_thread *thread = arg;

	__atomic_store_n(&thread->number, gettid(), __ATOMIC_RELEASE);
	thread->run(thread->arg);
	return NULL;
}

int nf_start(struct nf_thread *thread, void (*run)(void *arg), void *arg)
{
	*thread = (struct nf_thread){ .run = run, .arg = arg };
	if (thread_count == THREADS_MAX || pthread_create(&thread->thread, NULL, begin, thread) ||
	    pthread_getcpuclockid(thread->thread, &thread->clock)) {
		fprintf(stderr, "cannot start a thread\n");
		return -1;
	}
	while (!__atomic_load_n(&thread->number, __ATOMIC_ACQUIRE))
		usleep(1000);
	threads[thread_count++] = thread;
	return 0;
}

static void run_spinner(void *arg)
{
	(void)arg;
	for (;;) {
		while (sem_wait(&spinning))
			;
		while (__atomic_load_n(&spin, __ATOMIC_RELAXED)) {
			for (unsigned int i = 0; i < 1000; i++)
				__asm__ volatile("" : : : "memory");
			__atomic_store_n(&turns, turns + 1, __ATOMIC_RELAXED);
		}
	}
}

int nf_spinner_start(void)
{
	sem_init(&spinning, 0, 0);
	return nf_start(&spinner, run_spinner, NULL);
}

void nf_spin(int on)
{
	int was = __atomic_exchange_n(&spin, on, __ATOMIC_RELAXED);

	if (on && !was)
		sem_post(&spinning);
}

/*
 * From the kernel's books. getrusage(RUSAGE_THREAD) says the same, but only to
 * the thread itself, which would have to wake up for it: one switch more.
 */
static int thread_switches(const struct nf_thread *thread, uint64_t *switches)
{
	unsigned long long number;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", thread->number);
	file = fopen(path, "r");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &number) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %llu", &number) == 1)
			*switches += number;
	fclose(file);
	return 0;
}

static int thread_times(const struct nf_thread *thread, uint64_t *user_us, uint64_t *kernel_us)
{
	unsigned long long user, kernel, tick_us = 1000000 / (unsigned long)sysconf(_SC_CLK_TCK);
	char path[64], text[1024];
	const char *rest;
	FILE *file;
	int found;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread->number);
	file = fopen(path, "r");
	if (!file)
		return -1;
	found = fgets(text, sizeof(text), file) != NULL;
	fclose(file);
	/* The name is in brackets, and may have anything in it; utime and stime are fields 14 and 15. */
	rest = found ? strrchr(text, ')') : NULL;
	if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
			    &user, &kernel) != 2)
		return -1;
	*user_us += user * tick_us;
	*kernel_us += kernel * tick_us;
	return 0;
}

int nf_usage(struct usage *usage)
{
	struct rusage process;

	*usage = (struct usage){ .nf_work = __atomic_load_n(&turns, __ATOMIC_RELAXED) };
	for (unsigned int i = 0; i < thread_count; i++) {
		struct timespec cpu;

		if (clock_gettime(threads[i]->clock, &cpu) ||
		    thread_switches(threads[i], &usage->nf_switches) ||
		    thread_times(threads[i], &usage->nf_user_us, &usage->nf_kernel_us))
			return -1;
		usage->nf_cpu_ns += (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	}
	if (getrusage(RUSAGE_SELF, &process))
		return -1;
	usage->user_us =
		(uint64_t)process.ru_utime.tv_sec * 1000000u + (uint64_t)process.ru_utime.tv_usec;
	usage->kernel_us =
		(uint64_t)process.ru_stime.tv_sec * 1000000u + (uint64_t)process.ru_stime.tv_usec;
	usage->switches = (uint64_t)process.ru_nvcsw + (uint64_t)process.ru_nivcsw;
	return 0;
}
