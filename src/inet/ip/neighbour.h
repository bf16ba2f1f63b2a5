/* SPDX-License-Identifier: MIT */
/*
 * Neighbours on the link: which MAC address an IP address has. An entry is INCOMPLETE while it is asked for, with
 * packets waiting; REACHABLE for a while after each sign of life; then, if it was used, PROBING: still used, and asked
 * one to one (RFC 1122 section 2.3.2.1); what does not answer is asked as INCOMPLETE again and at last forgotten.
 * A transport protocol that repeats itself in vain makes a REACHABLE neighbour PROBING earlier; one that makes progress
 * makes a PROBING neighbour REACHABLE.
 */
#ifndef INET_IP_NEIGHBOUR_H
#define INET_IP_NEIGHBOUR_H

#include "inet/ip/dest.h"
#include "inet/ip/link.h"

#define NEIGHBOUR_TRIES        3u
#define NEIGHBOUR_RETRY_NS     NS_PER_S
#define NEIGHBOUR_REACHABLE_NS (30 * NS_PER_S) /* times a random number between one half and three halves */
#define NEIGHBOUR_ANSWERS      256u            /* neighbours that answers to strangers may ask for in a second */
#define NEIGHBOUR_ROOM_NS      NS_PER_MS       /* a device that refuses waiting packets is tried again after this */

enum neighbour_state { NEIGHBOUR_INCOMPLETE, NEIGHBOUR_REACHABLE, NEIGHBOUR_PROBING, NEIGHBOUR_STATIC };

struct neighbour {
    struct list link; /* in by_age */
    struct inet_timer timer;
    struct inet_timer room_timer; /* waiting packets are offered to the device again */
    struct inet_addr addr;
    uint8_t mac[INET_MAC_BYTES];
    uint8_t state;         /* enum neighbour_state */
    uint8_t tries;         /* requests without an answer, in this state */
    bool used;             /* since its last sign of life, or since it was spared when the cache was full */
    uint64_t alive_ns;     /* last sign of life */
    uint32_t queued_bytes; /* heap memory that the queue pins */
    struct list queue;     /* struct held_frame */
};

/* 0, -ENOMEM. The static ones come from the configuration. */
int neighbours_init(struct inet *s);
void neighbours_fini(struct inet *s);

/* As neighbour_output, where the neighbour has to be looked for, or has not answered yet. */
int neighbour_output_unknown(struct inet *s, struct tx_packet *o, struct dest *d);

/*
 * Sends to d's neighbour, or keeps the packet until it has answered. 0; -EAGAIN: no room in the device, or, for TCP,
 * among the packets that wait; -ENOMEM; -ENOBUFS.
 */
static inline int neighbour_output(struct inet *s, struct tx_packet *o, struct dest *d) {
    struct neighbour *n = d->neighbour;
    if (!n || n->state == NEIGHBOUR_INCOMPLETE) return neighbour_output_unknown(s, o, d);
    n->used = true;
    return link_output(s, o, n->mac, ETH_TYPE_IP4);
}

/* A sign of life; makes an entry where there is none if `create`. */
void neighbour_learn(struct inet *s, const struct inet_addr *addr, const uint8_t *mac, bool create);

/*
 * What is sent to this address again and again is not acknowledged, the last time since sent_ns: its neighbour may have
 * another MAC address now. Heeded once in NEIGHBOUR_RETRY_NS, and not if there was a sign of life after sent_ns.
 */
void neighbour_doubt(struct inet *s, const struct inet_addr *to, uint64_t sent_ns);

/* See neighbour_progress. */
void neighbour_confirm(struct inet *s, const struct inet_addr *to);

/* Something new that was sent to this address is acknowledged, so that its neighbour must have forwarded it. */
static inline void neighbour_progress(struct inet *s, const struct inet_addr *to) {
    if (__builtin_expect(s->neighbours.probing > 0, 0)) neighbour_confirm(s, to);
}

#endif
