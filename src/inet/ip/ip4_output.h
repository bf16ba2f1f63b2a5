/* SPDX-License-Identifier: MIT */
/* IPv4 packets to be sent: finds the route, fills in checksums, and fragments packets that are too large. */
#ifndef INET_IP_IP4_OUTPUT_H
#define INET_IP_IP4_OUTPUT_H

#include "inet/state.h"
#include "inet/wire/ip4.h"

/* What the sender of a packet says of it. Addresses are in network order. */
struct ip4_send {
    uint32_t from; /* 0: chosen by the route */
    uint32_t to;
    uint8_t protocol, tos, ttl;
    bool dont_fragment;
    bool has_checksum;        /* a TCP or UDP checksum is to be filled in */
    uint16_t checksum_offset; /* from the start of the transport header */
};

/*
 * 0: sent, or waits for its neighbour, or is lost on the way. -EAGAIN: the device has no room, or, for TCP, no more may
 * wait for its neighbour; nothing was sent. -ENETUNREACH: no route; -EMSGSIZE: too large; -ENOMEM, -ENOBUFS.
 */
int ip4_output(struct inet *s, struct tx_packet *o, const struct ip4_send *send);

#endif
