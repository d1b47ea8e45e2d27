/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner's network function: a thread that sleeps until somebody sends a
 * message (which nobody does to be read), and one that spins, if told to.
 */
#ifndef NF_H
#define NF_H

#include "usage.h"

#include <pthread.h>
#include <sys/types.h>

struct nf_thread {
	pthread_t thread;
	pid_t number; /* 0 until it runs */
	clockid_t clock;
	void (*run)(void *arg);
	void *arg;
};

/* 0, or -1 after a message. Returns when it runs. */
int nf_start(struct nf_thread *thread, void (*run)(void *arg), void *arg);

/* The one that spins. */
int nf_spinner_start(void);
void nf_spin(int on);

/* What all of them did so far. */
int nf_usage(struct usage *usage);

#endif
