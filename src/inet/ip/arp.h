/* SPDX-License-Identifier: MIT */
/* ARP: answers for our addresses, asks for those of others, notices who else uses ours (RFC 826, RFC 5227). */
#ifndef INET_IP_ARP_H
#define INET_IP_ARP_H

#include "inet/stack.h"

/* Begins to announce our addresses, where the configuration says so. */
void arp_init(struct inet *s);

void arp_input(struct inet *s, struct packet *p);

/* Asks for ip (network order), of everybody or of the one at `to`. Lost where the device has no room. */
void arp_request(struct inet *s, uint32_t ip, const uint8_t *to);

#endif
