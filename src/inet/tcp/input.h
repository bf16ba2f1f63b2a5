/* SPDX-License-Identifier: MIT */
/* TCP from the side of IP. */
#ifndef INET_TCP_INPUT_H
#define INET_TCP_INPUT_H

#include "inet/state.h"

/* Registers TCP with IP. 0, -ENOMEM. */
int tcp_init(struct inet *s);
/* Drops all connections and listeners without a word. */
void tcp_fini(struct inet *s);

/*
 * Fast path: a segment of `bytes` bytes, at least 8, behind an IPv4 header without options. checked: its checksum is
 * known to be right. False: nothing was done; else the block is taken over.
 */
bool tcp_input_expected(struct inet *s, uint8_t *t, uint32_t bytes, bool checked);

#endif
