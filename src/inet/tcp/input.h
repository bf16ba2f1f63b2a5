/* SPDX-License-Identifier: MIT */
/* TCP from the side of IP. */
#ifndef INET_TCP_INPUT_H
#define INET_TCP_INPUT_H

#include "inet/stack.h"

/* 0, -ENOMEM. */
int tcp_init(struct inet *s);
/* Drops all connections and listeners without a word. */
void tcp_fini(struct inet *s);

void tcp_input(struct inet *s, struct packet *p);

struct tcp_conn;

enum tcp_taken {
    TCP_NOT_EXPECTED, /* nothing was done */
    TCP_DONE,
    TCP_TAKEN, /* and the block that the segment lies in was taken over */
};

/* A segment of `bytes` bytes at t that belongs to c by addresses and ports; `checked`: its checksum is known to be
 * right. */
enum tcp_taken tcp_input_expected(struct tcp_conn *c, uint8_t *t, uint32_t bytes, bool checked);

/* A router could not forward a packet of that many bytes; see path_learn. Whether it was of a live connection. */
bool tcp_too_big(struct inet *s, const struct inet_flow *flow, uint32_t seq, uint16_t mtu, uint16_t packet_bytes);
/* An ICMP error names a flow of ours, and a sequence number: `error` is a negative errno. Whether it was believed. */
bool tcp_icmp_error(struct inet *s, const struct inet_flow *flow, uint32_t seq, int error);

#endif
