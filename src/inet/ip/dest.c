/* SPDX-License-Identifier: MIT */
/* Destination cache. */
#include "inet/ip/dest.h"

#include "base/sys.h"

int dests_init(struct inet *s) {
    s->dests = sys_calloc(DESTS, sizeof *s->dests);
    return s->dests ? 0 : -ENOMEM;
}

void dests_fini(struct inet *s) {
    sys_free(s->dests);
}

/* RFC 1122 section 3.2.1.3. */
static bool may_be_source(const struct inet *s, uint32_t addr) {
    return addr != 0 && !ip4_is_multicast(addr) && !ip4_is_loopback(addr) && !route_is_broadcast(s, addr) &&
           !route_is_own(s, addr);
}

/*
 * A counter for each pair of addresses, from a random start: identifications do not repeat while fragments live, and do
 * not reveal how many packets were sent.
 */
static uint16_t *ip_id_of(struct inet *s, uint32_t from, uint32_t to) {
    uint32_t key[2] = {from, to};
    return &s->ip_ids[siphash13(s->secret, key, sizeof key) % IP_ID_BUCKETS];
}

void dest_fill(struct inet *s, struct dest *d, uint32_t addr) {
    *d = (struct dest){
        .addr = addr,
        .epoch = s->dest_epoch,
        .route = route_find(s, addr),
        .may_be_source = may_be_source(s, addr),
    };
    d->ip_id = ip_id_of(s, d->route.source, addr);
}
