/* SPDX-License-Identifier: MIT */
/* The interface of UDP to the stack. */
#ifndef INET_UDP_INPUT_H
#define INET_UDP_INPUT_H

#include "inet/state.h"

/* Registers UDP with IP. 0, -ENOMEM. */
int udp_init(struct inet *s);
/* Closes the sockets that are still bound. */
void udp_fini(struct inet *s);

/*
 * Receive fast path of UDP: queues a correct datagram for an open socket, or drops it if the queue is full, and becomes
 * the owner of its block. False: nothing was done.
 */
bool udp_input_expected(struct inet *s, uint8_t *t, uint32_t bytes, const struct inet_flow *flow, bool checked);

#endif
