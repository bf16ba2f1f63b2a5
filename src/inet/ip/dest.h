/* SPDX-License-Identifier: MIT */
/*
 * What sending to an address takes, and receiving from it: its route, its neighbour, whether it may be a source at
 * all. A cache, direct-mapped, in front of routes and neighbours: what does not fit is found anew.
 */
#ifndef INET_IP_DEST_H
#define INET_IP_DEST_H

#include "inet/ip/route.h"

struct neighbour;

struct dest {
    uint32_t addr;  /* network order */
    uint32_t epoch; /* the stack's dest_epoch when it was filled; another one: empty */
    struct route route;
    bool may_be_source;
    uint16_t *ip_id;             /* counter of IP identifications that its packets share */
    struct neighbour *neighbour; /* of the next hop; NULL: not looked for yet */
};

/* 0, -ENOMEM. */
int dests_init(struct inet *s);
void dests_fini(struct inet *s);

void dest_fill(struct inet *s, struct dest *d, uint32_t addr);

/* Valid until the next call. */
static inline struct dest *dest_find(struct inet *s, uint32_t addr) {
    struct dest *d = &s->dests[(addr * 0x9e3779b1u) >> 24];
    _Static_assert(DESTS == 256, "eight bits of the product");
    if (__builtin_expect(d->addr != addr || d->epoch != s->dest_epoch, 0)) dest_fill(s, d, addr);
    return d;
}

/* A neighbour is gone, or there is another route: all is found anew. */
static inline void dests_forget(struct inet *s) {
    if (++s->dest_epoch == 0) s->dest_epoch = 1;
}

#endif
