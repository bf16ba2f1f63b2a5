/* SPDX-License-Identifier: MIT */
/* Routes: to this host, to all hosts or one host on the link, or to the gateway. Addresses are in network order. */
#ifndef INET_IP_ROUTE_H
#define INET_IP_ROUTE_H

#include "inet/state.h"

#include <endian.h>

enum route_kind { ROUTE_NONE, ROUTE_LOOPBACK, ROUTE_BROADCAST, ROUTE_NEIGHBOUR };

struct route {
    enum route_kind kind;
    uint32_t source;   /* source address, unless the sender has chosen one */
    uint32_t next_hop; /* with ROUTE_NEIGHBOUR */
};

struct route route_find(const struct inet *s, uint32_t to);

/* Our source address for packets to `to`: that of the longest matching prefix, or the first one. 0: we have none. */
uint32_t route_source(const struct inet *s, uint32_t to);

bool route_is_own(const struct inet *s, uint32_t ip);
bool route_is_on_link(const struct inet *s, uint32_t ip);
/* 255.255.255.255 or the broadcast address of one of our prefixes. */
bool route_is_broadcast(const struct inet *s, uint32_t ip);

static inline bool ip4_is_multicast(uint32_t ip) {
    return (ip & htobe32(0xf0000000)) == htobe32(0xe0000000);
}

static inline bool ip4_is_loopback(uint32_t ip) {
    return (ip & htobe32(0xff000000)) == htobe32(0x7f000000);
}

#endif
