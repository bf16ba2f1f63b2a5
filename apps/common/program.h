/* SPDX-License-Identifier: MIT */
/* What programs over the library share: starting, being stopped by a signal, saying what failed, making a socket. */
#ifndef APPS_PROGRAM_H
#define APPS_PROGRAM_H

#include "net.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Pins to the processor `cpu` (CPU_ANY of net.h: none), starts the library, and from then on SIGINT and SIGTERM end
 * waits with EINTR. False: it could not, and has said why.
 */
bool program_start(int argc, char *argv[], uint64_t cpu);

/* The same for a further thread, after program_start; one thread at a time. */
#define PROGRAM_THREADS_MAX 64
bool program_thread_start(int argc, char *argv[], uint64_t cpu);

/*
 * Ends this thread's runtime, whose queues are gone then, and starts another one: tries again every `seconds` until it
 * can. False: stopped meanwhile.
 */
bool program_restart(int argc, char *argv[], uint64_t seconds);

/* A signal has come, or program_stop was called. */
bool program_stopped(void);
/* Any thread, and signal handlers: ends the waits of all threads. */
void program_stop(void);

/* Says on stderr that `what` failed with this errno. -1, for a return. */
int program_fail(const char *what, int error);
/* The same of a socket's address, with what the user can do about it. */
int program_fail_address(const struct address *a, int error);

/* The address that servers listen on unless the user chooses one. */
#define PROGRAM_ADDRESS "127.0.0.1"

/*
 * Binds a socket of this network (as program_socket) to `a`. Where the user has not chosen the address and the network
 * does not have it, as the library's own stacks have no loopback interface: to the first address of the network, and
 * `a` says which; to all of them where it does not tell. 0, or -1 with the reason on stderr.
 */
int program_bind(int qd, const char *network, struct address *a, bool chosen);

/* dmtr_socket_on, or dmtr_socket where network is NULL. */
int program_socket(int *qd, const char *network, int family, int type);

#endif
