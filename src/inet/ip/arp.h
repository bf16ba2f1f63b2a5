/* SPDX-License-Identifier: MIT */
/*
 * ARP: answers requests for our addresses, asks for those of neighbours, and detects address conflicts (RFC 826, RFC
 * 5227).
 */
#ifndef INET_IP_ARP_H
#define INET_IP_ARP_H

#include "inet/state.h"

/* Registers ARP with the link and the neighbour cache; begins to announce our addresses if configured. */
void arp_init(struct inet *s);

#endif
