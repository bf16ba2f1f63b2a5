/* SPDX-License-Identifier: MIT */
/*
 * Baselines: echo servers and clients written directly on system calls, each in the best way for its interface. They
 * share options, statistics and clock with echo-server and echo-client, but nothing of the library's datapath.
 */
#ifndef BASELINE_BASELINE_H
#define BASELINE_BASELINE_H

#include "net.h"
#include "workload.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#define BUFFER_BYTES    65536 /* for one receive; any datagram fits */
#define MAX_CONNECTIONS 65536

enum mode { MODE_BLOCKING, MODE_EPOLL, MODE_SPIN, MODE_URING, MODE_URING_SPIN };

extern volatile sig_atomic_t stopped; /* the client got SIGINT or SIGTERM */

/* Prints what failed and errno's reason; returns -1. */
int baseline_fail(const char *what);

/* Serve until killed. fd is a listening or bound socket. They return only on failure: -1, with the reason on stderr. */
int serve_blocking(int fd, bool udp);
int serve_epoll(int fd, bool udp);
int serve_spin(int fd, bool udp);
int serve_uring(int fd, bool udp, bool spin);

/* A client's connection, with the requests that are not sent yet. */
struct connection {
    int fd;
    struct flow *flow;
    char *out;
    size_t out_len, out_done;
};

/* Run the workload over connected sockets. 0, or -1 with the reason on stderr. */
int work_sockets(struct workload *w, struct connection *conns, enum mode mode);
int work_uring(struct workload *w, struct connection *conns, bool spin);

/* Closed loop: appends the requests that may begin now. True: there is data to send. */
bool connection_fill(struct workload *w, struct connection *c, uint64_t now);

/* Open loop: appends the next due request to its connection, which it returns; NULL: none is due. */
struct connection *connection_due(struct workload *w, struct connection *conns, uint64_t now);

#endif
