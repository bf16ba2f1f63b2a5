/* SPDX-License-Identifier: MIT */
/* UDP from the side of IP. */
#ifndef INET_UDP_INPUT_H
#define INET_UDP_INPUT_H

#include "inet/state.h"

/* Registers UDP with IP. 0, -ENOMEM. */
int udp_init(struct inet *s);
/* Closes the sockets that are still bound. */
void udp_fini(struct inet *s);

/* A datagram for an open socket that is found at once, with nothing wrong; its block is then taken over. Else false. */
bool udp_input_expected(struct inet *s, uint8_t *t, uint32_t bytes, const struct inet_flow *flow, bool checked);

#endif
