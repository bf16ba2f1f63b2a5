/* SPDX-License-Identifier: MIT */
/* TCP from the side of IP. */
#ifndef INET_TCP_INPUT_H
#define INET_TCP_INPUT_H

#include "inet/state.h"

/* Registers TCP with IP. 0, -ENOMEM. */
int tcp_init(struct inet *s);
/* Drops all connections and listeners without a word. */
void tcp_fini(struct inet *s);
/* Sends for the connections that are marked; see flush.c. */
void tcp_flush(struct inet *s);

struct tcp_conn;

enum tcp_taken {
    TCP_NOT_EXPECTED, /* nothing was done */
    TCP_DONE,
    TCP_TAKEN, /* and the block that the segment lies in was taken over */
};

/* A segment of `bytes` bytes at t that belongs to c by addresses and ports; `checked`: its checksum is known to be
 * right. */
enum tcp_taken tcp_input_expected(struct tcp_conn *c, uint8_t *t, uint32_t bytes, bool checked);

#endif
