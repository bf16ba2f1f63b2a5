/* SPDX-License-Identifier: MIT */
/* IPv4 fragments: put together within bounds of memory and time, and cut. */
#ifndef INET_IP_IP4_FRAGMENT_H
#define INET_IP_IP4_FRAGMENT_H

#include "inet/ip/ip4.h"

#define FRAGMENTS_MAX          128u /* of one packet; a packet of 65535 bytes over a link of 576 has 119 */
#define FRAGMENT_TIMEOUT_NS    (30 * NS_PER_S)
#define FRAGMENTED_PACKETS_MAX 4096u

/* 0, -ENOMEM. */
int fragments_init(struct inet *s);
void fragments_fini(struct inet *s);

/* Takes in a fragment, p->at being its payload; delivers the packet when it is whole. */
void ip4_reassemble(struct inet *s, struct packet *p, const struct ip4_header *h);

/* Adds `bytes` bytes from `at` on of the packet in o (headers and payload as one run) to an empty `piece`. */
void ip4_slice(const struct out *o, uint32_t at, uint32_t bytes, struct out *piece);

#endif
