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
 * Fast path: a datagram in `bytes` bytes, at least 8, behind an IPv4 header without options. checked: its checksum is
 * known to be right. Queues it for its socket, or drops it if the queue is full, and takes the block over. False:
 * nothing was done.
 */
bool udp_input_expected(struct inet *s, uint8_t *t, uint32_t bytes, bool checked);

#endif
