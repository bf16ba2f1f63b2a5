/* SPDX-License-Identifier: MIT */
/* Routes: the prefixes of our addresses, and a gateway for all other addresses. */
#include "inet/ip/route.h"

#define POINT_TO_POINT_BITS 31 /* a prefix of this length or longer has no broadcast address (RFC 3021) */

static uint32_t mask_of(uint8_t bits) {
    return bits == 0 ? 0 : htobe32(UINT32_MAX << (32 - bits));
}

static uint32_t own_ip(const struct inet *s, uint32_t i) {
    return inet_addr_to_ip4(&s->config.addrs[i].addr);
}

/* The longest prefix that contains ip. NULL: none. */
static const struct inet_prefix *prefix_find(const struct inet *s, uint32_t ip) {
    const struct inet_prefix *best = NULL;
    for (uint32_t i = 0; i < s->config.addr_count; i++) {
        const struct inet_prefix *p = &s->config.addrs[i];
        if (((own_ip(s, i) ^ ip) & mask_of(p->bits)) == 0 && (!best || p->bits > best->bits)) best = p;
    }
    return best;
}

bool route_is_own(const struct inet *s, uint32_t ip) {
    for (uint32_t i = 0; i < s->config.addr_count; i++)
        if (own_ip(s, i) == ip) return true;
    return false;
}

bool route_is_on_link(const struct inet *s, uint32_t ip) {
    return prefix_find(s, ip) != NULL || ip == inet_addr_to_ip4(&s->config.gateway);
}

bool route_is_broadcast(const struct inet *s, uint32_t ip) {
    if (ip == UINT32_MAX) return true;
    for (uint32_t i = 0; i < s->config.addr_count; i++) {
        uint8_t bits = s->config.addrs[i].bits;
        if (bits < POINT_TO_POINT_BITS && ip == (own_ip(s, i) | ~mask_of(bits))) return true;
    }
    return false;
}

uint32_t route_source(const struct inet *s, uint32_t to) {
    const struct inet_prefix *p = prefix_find(s, to);
    if (p) return inet_addr_to_ip4(&p->addr);
    return s->config.addr_count > 0 ? own_ip(s, 0) : 0;
}

struct route route_find(const struct inet *s, uint32_t to) {
    uint32_t gateway = inet_addr_to_ip4(&s->config.gateway);
    if (route_is_own(s, to) || ip4_is_loopback(to)) return (struct route){ROUTE_LOOPBACK, to, to};
    if (route_is_broadcast(s, to)) return (struct route){ROUTE_BROADCAST, route_source(s, to), to};
    if (to == 0 || ip4_is_multicast(to)) return (struct route){.kind = ROUTE_NONE};
    if (prefix_find(s, to)) return (struct route){ROUTE_NEIGHBOUR, route_source(s, to), to};
    if (gateway == 0) return (struct route){.kind = ROUTE_NONE};
    return (struct route){ROUTE_NEIGHBOUR, route_source(s, gateway), gateway};
}
