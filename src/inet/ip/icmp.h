/* SPDX-License-Identifier: MIT */
/* ICMP: echo answered, errors sent at a bounded rate, errors received acted on only where they name a live flow. */
#ifndef INET_IP_ICMP_H
#define INET_IP_ICMP_H

#include "inet/stack.h"
#include "inet/wire/icmp.h"

void icmp_input(struct inet *s, struct packet *p);

/* Tells the sender of p what became of it, where RFC 1122 section 3.2.2 allows it. */
void icmp_error(struct inet *s, const struct packet *p, uint8_t type, uint8_t code);

/* An IP packet of ours could not be delivered to its neighbour: its flow hears of it as from a router. */
void icmp_local_unreachable(struct inet *s, const uint8_t *ip, uint32_t len);

#endif
