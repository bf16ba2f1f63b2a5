/* SPDX-License-Identifier: MIT */
/*
 * The sockets over one user-space stack, and what they share. A libos embeds a struct socket_set in its state. Only the
 * thread of its runtime uses it.
 */
#ifndef LIBOS_SOCKET_SOCKET_SET_H
#define LIBOS_SOCKET_SOCKET_SET_H

#include "base/clock.h"
#include "core/completion.h"
#include "inet/addr.h"

struct socket_set {
    /* The libos sets these fields. */
    void (*settle)(struct socket_set *set, uint64_t now); /* after calls of the stack: handles events, sends frames */
    /*
     * A push, a shutdown or a close has left something to send, which leaves now or at the end of the turn, and then
     * the libos calls socket_set_sent. NULL: calls of the stack take effect at once, and `settle` is called.
     */
    void (*pushed)(struct socket_set *set, uint64_t now);
    /* A pop has completed, so that a window update may be due at the end of the turn. Not NULL if `pushed` is not. */
    void (*popped)(struct socket_set *set);
    void (*set_time)(uint64_t now); /* sets the stack's clock; NULL: its calls take the time */
    struct inet_addr self;          /* the address that the wildcard means as a peer */
    bool lost;                      /* the device has failed permanently */

    struct list streams;    /* struct stream, by link: those that the application has or has closed */
    struct list bound;      /* struct stream, by bound: open streams that have an address and port */
    struct list datagrams;  /* struct datagram, by link */
    struct list blocked;    /* struct datagram, by blocked: their pushes wait for room at the device */
    struct list written;    /* pushes that the stack has taken; they complete when it has sent (socket_set_sent) */
    struct list queued;     /* pushes of datagrams whose frames wait for the device */
    uint32_t queued_frames; /* frames that a push in `queued` waits for, counted from the start of the libos */
};

static inline void socket_set_init(struct socket_set *set) {
    list_init(&set->streams);
    list_init(&set->bound);
    list_init(&set->datagrams);
    list_init(&set->blocked);
    list_init(&set->written);
    list_init(&set->queued);
}

/* Begins a sequence of calls of the stack: returns the time, which the stack knows, too. */
static inline uint64_t socket_set_begin(const struct socket_set *set) {
    uint64_t now = clock_now_ns();
    if (set->set_time) set->set_time(now);
    return now;
}

/* An API call has left something to send. */
static inline void socket_set_pushed(struct socket_set *set, uint64_t now) {
    if (set->pushed)
        set->pushed(set, now);
    else
        set->settle(set, now);
}

/* A push of a stream is with the stack: it completes now, or when the stack has sent. */
static inline void socket_set_written(struct socket_set *set, struct op *op) {
    if (set->pushed)
        list_push_back(&set->written, &op->link);
    else
        op_complete(op->q->rt, op, 0);
}

/* The same for a datagram, which completes when the device has taken the frames that are queued now. */
static inline void socket_set_queued(struct socket_set *set, struct op *op) {
    op->backend[0] = set->queued_frames;
    if (set->pushed)
        list_push_back(&set->queued, &op->link);
    else
        op_complete(op->q->rt, op, 0);
}

/* The stack has sent all it may, and the device has taken so many frames: completes pushes in their order. */
static inline void socket_set_sent(struct socket_set *set, uint32_t taken_frames) {
    struct op *op;
    while ((op = op_first(&set->written))) {
        list_remove(&op->link);
        op_complete(op->q->rt, op, 0);
    }
    while ((op = op_first(&set->queued)) && (int32_t)((uint32_t)op->backend[0] - taken_frames) <= 0) {
        list_remove(&op->link);
        op_complete(op->q->rt, op, 0);
    }
}

/* The queue is about to be freed: its pushes, which the stack or the transmit queue has, complete now. */
void socket_set_complete(struct socket_set *set, const struct queue *q);

#endif
