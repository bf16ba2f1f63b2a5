/* SPDX-License-Identifier: MIT */
/*
 * Destination cache: for each address its route, its neighbour, and whether packets from it are valid. It is
 * direct-mapped; an entry that was replaced is looked up again.
 */
#ifndef INET_IP_DEST_H
#define INET_IP_DEST_H

#include "inet/ip/route.h"
#include "inet/wire/ip4.h"

struct neighbour;

struct dest {
    uint32_t addr;  /* network order */
    uint32_t epoch; /* the stack's dest_epoch when the entry was filled; if they differ the entry is empty */
    struct route route;
    bool may_be_source;
    bool ready;       /* the neighbour's MAC address is known, and the next three are written: see neighbour_template */
    uint16_t ip_sum;  /* of the IP header without total length and identification */
    uint16_t udp_sum; /* of the pseudo header without the length */
    uint8_t headers[ETH_HEADER_BYTES + IP4_HEADER_BYTES]; /* of datagrams from the route's source address */
    uint16_t *ip_id;                                      /* counter for the IP identification of packets to it */
    struct neighbour *neighbour;                          /* of the next hop; NULL: not looked up yet */
};

/* 0, -ENOMEM. */
int dests_init(struct inet *s);
void dests_fini(struct inet *s);

void dest_fill(struct inet *s, struct dest *d, uint32_t addr);

/* The result is valid until the next call. */
static inline struct dest *dest_find(struct inet *s, uint32_t addr) {
    struct dest *d = &s->dests[(addr * 0x9e3779b1u) >> 24];
    _Static_assert(DESTS == 256, "eight bits of the product");
    if (__builtin_expect(d->addr != addr || d->epoch != s->dest_epoch, 0)) dest_fill(s, d, addr);
    return d;
}

/* Empties the cache, because a neighbour or a route has changed. */
static inline void dests_forget(struct inet *s) {
    if (++s->dest_epoch == 0) s->dest_epoch = 1;
}

#endif
