/* SPDX-License-Identifier: MIT */
/* The interface of UDP to the stack. */
#ifndef INET_UDP_INPUT_H
#define INET_UDP_INPUT_H

#include "inet/state.h"

/* Registers UDP with IP. 0, -ENOMEM. */
int udp_init(struct inet *s);
/* Closes the sockets that are still bound. */
void udp_fini(struct inet *s);

#endif
