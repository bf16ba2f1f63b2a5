/* SPDX-License-Identifier: MIT */
/* Shared by the programs over the library: start, stop by a signal, error messages, sockets. */
#ifndef APPS_PROGRAM_H
#define APPS_PROGRAM_H

#include "net.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Pins the thread to the processor `cpu` (CPU_ANY of net.h: not) and starts the library; from then on SIGINT and
 * SIGTERM end waits with EINTR. False: failed, with the reason on stderr.
 */
bool program_start(int argc, char *argv[], uint64_t cpu);

/* The same for a further thread, after program_start; one thread at a time. */
#define PROGRAM_THREADS_MAX 64
bool program_thread_start(int argc, char *argv[], uint64_t cpu);

/*
 * Ends this thread's runtime with its queues and starts another one: retries every `seconds` until it succeeds. False:
 * the program was stopped meanwhile.
 */
bool program_restart(int argc, char *argv[], uint64_t seconds);

/* Whether a signal has arrived or program_stop was called. */
bool program_stopped(void);
/* Ends the waits of all threads. May be called on any thread and in signal handlers. */
void program_stop(void);

/* Prints on stderr that `what` failed with this errno. Returns -1. */
int program_fail(const char *what, int error);
/* The same for a socket's address, with a remedy. */
int program_fail_address(const struct address *a, int error);

/* The address that servers listen on unless the user chooses one. */
#define PROGRAM_ADDRESS "127.0.0.1"

/*
 * Binds a socket of this network (as program_socket) to `a`. If the user has not chosen the address and the network
 * does not have it, binds to the network's first address and stores it in `a`, or to the wildcard if that address is
 * unknown. 0, or -1 with the reason on stderr.
 */
int program_bind(int qd, const char *network, struct address *a, bool chosen);

/* dmtr_socket_on, or dmtr_socket if network is NULL. */
int program_socket(int *qd, const char *network, int family, int type);

#endif
