/* SPDX-License-Identifier: MIT */
/* IPv4 packets to be sent: finds the route, fills in checksums, and fragments packets that are too large. */
#ifndef INET_IP_IP4_OUTPUT_H
#define INET_IP_IP4_OUTPUT_H

#include "inet/state.h"
#include "inet/wire/ip4.h"

/* Parameters of a packet to be sent. Addresses are in network order. */
struct ip4_send {
    uint32_t from; /* 0: the address of the route */
    uint32_t to;
    uint8_t protocol, tos, ttl;
    bool dont_fragment;
    bool has_checksum;        /* a TCP or UDP checksum is to be filled in */
    uint16_t checksum_offset; /* from the start of the transport header */
};

/*
 * 0: the packet is sent, waits for its neighbour, or was dropped as on the wire. -EAGAIN: the device, or for TCP the
 * queue of the neighbour, has no room; nothing was sent. -ENETUNREACH: no route; -EMSGSIZE: too large; -ENOMEM,
 * -ENOBUFS.
 */
int ip4_output(struct inet *s, struct tx_packet *o, const struct ip4_send *send);

#endif
