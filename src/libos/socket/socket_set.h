/* SPDX-License-Identifier: MIT */
/*
 * The sockets over one user-space stack, and what they share. A libos embeds a struct socket_set in its state. Only the
 * thread of its runtime uses it.
 */
#ifndef LIBOS_SOCKET_SOCKET_SET_H
#define LIBOS_SOCKET_SOCKET_SET_H

#include "base/clock.h"
#include "base/list.h"
#include "inet/addr.h"

struct socket_set {
    /* The libos sets these fields. */
    void (*settle)(struct socket_set *set, uint64_t now); /* after calls of the stack: handles events, sends frames */
    void (*set_time)(uint64_t now);                       /* sets the stack's clock; NULL: its calls take the time */
    struct inet_addr self;                                /* the address that the wildcard means as a peer */
    bool lost;                                            /* the device has failed permanently */

    struct list streams;   /* struct stream, by link: those that the application has or has closed */
    struct list bound;     /* struct stream, by bound: open streams that have an address and port */
    struct list datagrams; /* struct datagram, by link */
    struct list blocked;   /* struct datagram, by blocked: their pushes wait for room at the device */
};

static inline void socket_set_init(struct socket_set *set) {
    list_init(&set->streams);
    list_init(&set->bound);
    list_init(&set->datagrams);
    list_init(&set->blocked);
}

/* Begins a sequence of calls of the stack: returns the time, which the stack knows, too. */
static inline uint64_t socket_set_begin(const struct socket_set *set) {
    uint64_t now = clock_now_ns();
    if (set->set_time) set->set_time(now);
    return now;
}

#endif
