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

#endif
