/* SPDX-License-Identifier: MIT */
/* ICMP: echo answered, errors sent at a bounded rate, errors received acted on only where they name a live flow. */
#ifndef INET_IP_ICMP_H
#define INET_IP_ICMP_H

#include "inet/state.h"
#include "inet/wire/icmp.h"

/* Registers ICMP with IP, and with the neighbour cache, whose failures it reports to the flows they concern. */
void icmp_init(struct inet *s);

/* Tells the sender of p what became of it, where RFC 1122 section 3.2.2 allows it. */
void icmp_error(struct inet *s, const struct rx_packet *p, uint8_t type, uint8_t code);

#endif
