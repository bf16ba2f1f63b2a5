/* SPDX-License-Identifier: MIT */
/*
 * ICMP: answers echo requests, sends errors at a limited rate, and passes received errors to the live flow they name.
 */
#ifndef INET_IP_ICMP_H
#define INET_IP_ICMP_H

#include "inet/state.h"
#include "inet/wire/icmp.h"

/* Registers ICMP with IP, and with the neighbour cache, whose failures it reports to the flows they concern. */
void icmp_init(struct inet *s);

/* Sends an error about p to its sender, where RFC 1122 section 3.2.2 allows it. */
void icmp_error(struct inet *s, const struct rx_packet *p, uint8_t type, uint8_t code);

#endif
