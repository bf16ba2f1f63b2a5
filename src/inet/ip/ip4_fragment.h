/* SPDX-License-Identifier: MIT */
/* Reassembles IPv4 fragments within limits of memory and time. */
#ifndef INET_IP_IP4_FRAGMENT_H
#define INET_IP_IP4_FRAGMENT_H

#include "inet/state.h"
#include "inet/wire/ip4.h"

#define FRAGMENTS_MAX          128u /* of one packet; a packet of 65535 bytes over a link of 576 has 119 */
#define FRAGMENT_TIMEOUT_NS    (30 * NS_PER_S)
#define FRAGMENTED_PACKETS_MAX 4096u

/* 0, -ENOMEM. */
int fragments_init(struct inet *s);
void fragments_fini(struct inet *s);

/*
 * Takes a fragment; p->data is its payload. Returns true if the packet is complete: it is then in `whole`, in one
 * block, whose owner is the caller.
 */
bool ip4_reassemble(struct inet *s, struct rx_packet *p, const struct ip4_header *h, struct rx_packet *whole);

#endif
