/* SPDX-License-Identifier: MIT */
/*
 * The headers of a connection's next segment with data, from Ethernet to the timestamp option. They are written once;
 * each segment patches the fields that have changed, and the checksums by the difference.
 */
#ifndef INET_TCP_TEMPLATE_H
#define INET_TCP_TEMPLATE_H

#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"
#include "inet/wire/tcp.h"

#include <stdbool.h>

#define TCP_TEMPLATE_IP    ETH_HEADER_BYTES
#define TCP_TEMPLATE_TCP   (ETH_HEADER_BYTES + IP4_HEADER_BYTES)
#define TCP_TEMPLATE_BYTES (TCP_TEMPLATE_TCP + TCP_HEADER_BYTES + TCP_TIMESTAMP_BYTES)

struct neighbour;

struct tcp_template {
    uint32_t epoch;              /* the stack's dest_epoch when the headers were written; 0: they are not written */
    uint32_t payload;            /* bytes of payload that the lengths and checksums are for */
    uint16_t ip_sum;             /* of the IP header without its total length */
    uint16_t tcp_sum;            /* of the pseudo header without its length, and of all TCP fields that stay equal */
    uint8_t bytes;               /* of the headers */
    bool csum;                   /* the device completes the TCP checksum */
    struct neighbour *neighbour; /* of the next hop; valid while the epoch is */
    uint8_t headers[TCP_TEMPLATE_BYTES + 2];
};

#endif
