/* SPDX-License-Identifier: MIT */
/* UDP from the side of IP. */
#ifndef INET_UDP_INPUT_H
#define INET_UDP_INPUT_H

#include "inet/stack.h"

/* 0, -ENOMEM. */
int udp_init(struct inet *s);
/* Closes the sockets that are still bound. */
void udp_fini(struct inet *s);

void udp_input(struct inet *s, struct packet *p);

/* An ICMP error names a flow of ours: `error` is a negative errno. Whether there is such a flow. */
bool udp_error(struct inet *s, const struct inet_flow *flow, int error);

/* A datagram for an open socket that is found at once, with nothing wrong; its block is then taken over. Else false. */
bool udp_input_expected(struct inet *s, uint8_t *t, uint32_t bytes, const struct inet_flow *flow, bool checked);

#endif
