/* SPDX-License-Identifier: MIT */
/*
 * Neighbour cache: the MAC addresses of IP addresses on the link. An entry is INCOMPLETE from the first ARP request to
 * the reply; packets wait in its queue. It is REACHABLE for a time after each confirmation. Then, if it is in use, it
 * is PROBING: packets still use it, and it is asked by unicast (RFC 1122 section 2.3.2.1). An entry that does not
 * answer becomes INCOMPLETE, is asked by broadcast, and is at last removed. Repeated retransmissions make a REACHABLE
 * entry PROBING early; an acknowledgement of new data makes a PROBING entry REACHABLE.
 */
#ifndef INET_IP_NEIGHBOUR_H
#define INET_IP_NEIGHBOUR_H

#include "inet/ip/dest.h"
#include "inet/ip/link.h"

#define NEIGHBOUR_TRIES        3u
#define NEIGHBOUR_RETRY_NS     NS_PER_S
#define NEIGHBOUR_REACHABLE_NS (30 * NS_PER_S) /* times a random factor from 0.5 to 1.5 */
#define NEIGHBOUR_ANSWERS      256u      /* ARP requests per second that answers to unverified senders may cause */
#define NEIGHBOUR_ROOM_NS      NS_PER_MS /* time until packets that the device refused are offered again */

enum neighbour_state { NEIGHBOUR_INCOMPLETE, NEIGHBOUR_REACHABLE, NEIGHBOUR_PROBING, NEIGHBOUR_STATIC };

struct neighbour {
    struct list link; /* in by_age */
    struct inet_timer timer;
    struct inet_timer room_timer; /* when waiting packets are offered to the device again */
    struct inet_addr addr;
    uint8_t mac[INET_MAC_BYTES];
    uint8_t state;         /* enum neighbour_state */
    uint8_t tries;         /* unanswered requests in this state */
    bool used;             /* since the last confirmation, or since eviction last passed over it */
    uint64_t alive_ns;     /* last confirmation */
    uint32_t queued_bytes; /* heap memory that the queue pins */
    struct list queue;     /* struct held_frame */
};

/* Adds the static neighbours of the configuration. 0, -ENOMEM. */
int neighbours_init(struct inet *s);
void neighbours_fini(struct inet *s);

/*
 * Whether packets to the neighbour leave at once; n NULL: it is not looked up yet. Headers with its MAC address stay
 * right until the stack's dest_epoch changes.
 */
static inline bool neighbour_is_known(const struct neighbour *n) {
    return n && n->state != NEIGHBOUR_INCOMPLETE;
}

/* Writes d's headers. False: its next hop is not a neighbour that is known, or the stack takes no fast path. */
bool neighbour_template(const struct inet *s, struct dest *d);

/* Slow path of neighbour_output: the neighbour is not looked up yet, or INCOMPLETE. */
int neighbour_output_unknown(struct inet *s, struct tx_packet *o, struct dest *d);

/*
 * Sends to d's neighbour, or queues the packet until the neighbour answers. 0; -EAGAIN: no room in the device, or, for
 * TCP, in the queue; -ENOMEM; -ENOBUFS.
 */
static inline int neighbour_output(struct inet *s, struct tx_packet *o, struct dest *d) {
    struct neighbour *n = d->neighbour;
    if (!neighbour_is_known(n)) return neighbour_output_unknown(s, o, d);
    n->used = true;
    return link_output(s, o, n->mac, ETH_TYPE_IP4);
}

/* Confirms the entry and its MAC address. If there is none, `create` says whether to make one. */
void neighbour_learn(struct inet *s, const struct inet_addr *addr, const uint8_t *mac, bool create);

/*
 * Segments sent to this address since sent_ns were retransmitted without an acknowledgement: the neighbour may have a
 * new MAC address. Makes a REACHABLE entry PROBING, unless it was confirmed after sent_ns or within NEIGHBOUR_RETRY_NS.
 */
void neighbour_doubt(struct inet *s, const struct inet_addr *to, uint64_t sent_ns);

/* See neighbour_progress. */
void neighbour_confirm(struct inet *s, const struct inet_addr *to);

/* The host at this address acknowledged new data, so its neighbour must have forwarded it. */
static inline void neighbour_progress(struct inet *s, const struct inet_addr *to) {
    if (__builtin_expect(s->neighbours.probing > 0, 0)) neighbour_confirm(s, to);
}

#endif
