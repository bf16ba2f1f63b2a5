/* SPDX-License-Identifier: MIT */
/* One client of the epoll and spin servers: non-blocking receive and send, and the rest of a partial send. */
#ifndef BASELINE_PEER_H
#define BASELINE_PEER_H

#include <stdbool.h>
#include <stddef.h>

struct peer {
    int fd;
    char *rest; /* not yet sent; the server receives no more until it is */
    size_t rest_len, rest_done;
};

enum peer_state { PEER_IDLE, PEER_ACTIVE, PEER_FULL, PEER_GONE };

/* Accepts one connection; -1: none. */
int peer_accept(int listener);

/* Receives once and sends it back; buf is scratch of BUFFER_BYTES. */
enum peer_state peer_echo(struct peer *p, char *buf);

/* Sends the rest. */
enum peer_state peer_flush(struct peer *p);

/* Closes and frees what the peer holds, not p. */
void peer_close(struct peer *p);

/* Sends back one datagram; false: there was none. */
bool datagram_echo(int fd, char *buf);

#endif
