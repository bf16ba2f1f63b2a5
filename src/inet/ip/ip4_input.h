/* SPDX-License-Identifier: MIT */
/* Received IPv4 packets: checks them, reassembles fragments, and delivers packets to the protocol they name. */
#ifndef INET_IP_IP4_INPUT_H
#define INET_IP_IP4_INPUT_H

#include "inet/state.h"

/* Registers IPv4 with the link. */
void ip4_init(struct inet *s);

/* p->data is the IP header. */
void ip4_input(struct inet *s, struct rx_packet *p);

#endif
