/* SPDX-License-Identifier: MIT */
/* Datagram sockets: pushes, pops, closing. */
#include "libos/socket/datagram.h"

#include "mem/heap.h"

void datagram_ready(struct datagram *d) {
    for (struct op *op; (op = op_first(&d->pops));) {
        int r = d->transport->receive(d, op);
        if (r == -EAGAIN && !d->shut_read) return;
        list_remove(&op->link);
        op_complete(d->q.rt, op, r == -EAGAIN ? 0 : r);
    }
}

/* The pop is served now, or waits. */
static inline void pop_begin(struct datagram *d, struct op *op) {
    list_push_back(&d->pops, &op->link);
    if (op_first(&d->pops) == op) datagram_ready(d);
}

/* Fast path of dmtr_pop: does the same as queue_call_pop, unless a slot must be allocated or the device is lost. */
int datagram_pop_call(struct queue *q, dmtr_qtoken_t *qt_out) {
    struct datagram *d = datagram_of_queue(q);
    if (unlikely(!queue_may_take(q->rt) || d->set->lost)) return queue_call_pop(q, 0, 0, qt_out);
    q->rt->calls++;
    pop_begin(d, queue_take_pop(q, qt_out));
    q->rt->calls--;
    return 0;
}

int datagram_pop(struct queue *q, struct op *op) {
    struct datagram *d = datagram_of_queue(q);
    pop_begin(d, op);
    if (!d->set->lost || op->state != OP_PENDING) return 0;
    list_remove(&op->link); /* all datagrams received before the loss were popped */
    return -ENETDOWN;
}

/*
 * The stack sends only heap memory. This copies other memory into the heap and holds the copy until the push is
 * complete, as core does with the heap's memory.
 */
static int copy_foreign(struct queue *q, struct op *op) {
    for (uint32_t i = 0; i < op->numsegs; i++) {
        dmtr_sgaseg_t *seg = &op->segs[i];
        if (seg->sgaseg_len == 0 || heap_owns(seg->sgaseg_buf)) continue;
        void *copy = heap_alloc(seg->sgaseg_len);
        if (!copy) return -ENOMEM;
        memcpy(copy, seg->sgaseg_buf, seg->sgaseg_len);
        heap_hold(copy);
        heap_free(copy);
        seg->sgaseg_buf = copy;
        op->flags |= OP_HELD;
        q->copies++;
        counter_add(&q->rt->counters, copied_bytes, seg->sgaseg_len);
    }
    return 0;
}

static int destination(const struct op *op, struct inet_endpoint *to) {
    int r = address_take(to, (const struct sockaddr *)&op->sga.sga_addr, op->sga.sga_addrlen);
    return r ? r : to->port == 0 ? -EINVAL : 0;
}

/* 0, or the error with which a push is refused. With OP_TO, *to is its destination. */
static int admit(const struct datagram *d, const struct op *op, struct inet_endpoint *to) {
    if (d->shut_write) return -EPIPE;
    if (d->set->lost) return -ENETDOWN;
    if (op->flags & OP_TO) return destination(op, to);
    return d->connected ? 0 : -EDESTADDRREQ;
}

static int send_push(struct datagram *d, const struct op *op, const struct inet_endpoint *to, uint64_t now) {
    return d->transport->send(d, op, op->flags & OP_TO ? to : NULL, now);
}

/* The device has no room for a push. It waits behind the earlier ones. */
static void push_waits(struct datagram *d, struct op *op) {
    if (d->transport->waits) d->transport->waits(d);
    if (list_empty(&d->pushes)) list_push_back(&d->set->blocked, &d->blocked);
    list_push_back(&d->pushes, &op->link);
}

/* The stack has taken a push, or refused it with an error. */
static void push_ended(struct datagram *d, struct op *op, int error) {
    if (error)
        op_complete(d->q.rt, op, error);
    else
        socket_set_queued(d->set, op);
}

int datagram_push(struct queue *q, struct op *op) {
    struct datagram *d = datagram_of_queue(q);
    struct inet_endpoint to;
    int r = admit(d, op, &to);
    bool in_heap = op->flags & OP_HELD && op->numsegs == 1; /* queue_push holds only memory of the heap */
    if (!r && !in_heap) r = copy_foreign(q, op);
    if (r) return r;
    uint64_t now = socket_set_begin(d->set);
    r = list_empty(&d->pushes) ? send_push(d, op, &to, now) : -EAGAIN;
    if (r == -EAGAIN)
        push_waits(d, op);
    else
        push_ended(d, op, r);
    socket_set_pushed(d->set, now);
    return 0;
}

static void datagram_free(struct datagram *d) {
    socket_set_complete(d->set, &d->q);
    list_remove(&d->link);
    list_remove(&d->blocked);
    if (d->closed) d->q.rt->lingering--;
    d->transport->free(d);
}

/* Called when no push waits any more; the last one ended with `error`. */
static void pushes_ended(struct datagram *d, int error) {
    list_remove(&d->blocked);
    if (!d->closed) return;
    if (d->close_op) op_complete(d->q.rt, d->close_op, error);
    datagram_free(d);
}

/* False: the device has no room again. */
static bool send_waiting(struct datagram *d, uint64_t now) {
    int r = 0;
    for (struct op *op; (op = op_first(&d->pushes));) {
        struct inet_endpoint to;
        if (op->flags & OP_TO) destination(op, &to);
        r = send_push(d, op, &to, now);
        if (r == -EAGAIN) return false;
        list_remove(&op->link);
        push_ended(d, op, r);
    }
    pushes_ended(d, r);
    return true;
}

/* Sockets take turns: one that finds no room goes to the end of the list. */
void datagrams_unblock(struct socket_set *set, uint64_t now) {
    for (struct list *l; (l = list_pop_front(&set->blocked));) {
        struct datagram *d = list_entry(l, struct datagram, blocked);
        if (send_waiting(d, now)) continue;
        list_push_back(&set->blocked, &d->blocked);
        return;
    }
}

static void end_pushes(struct datagram *d, int error) {
    if (list_empty(&d->pushes)) return;
    ops_complete(d->q.rt, &d->pushes, error);
    pushes_ended(d, error);
}

void datagrams_lost(struct socket_set *set) {
    struct list *l, *tmp;
    list_for_each (&set->datagrams, l, tmp) {
        struct datagram *d = list_entry(l, struct datagram, link);
        datagram_ready(d);
        ops_complete(d->q.rt, &d->pops, -ENETDOWN);
        end_pushes(d, -ENETDOWN);
    }
}

void datagrams_fini(struct socket_set *set) {
    for (struct list *l; (l = list_first(&set->datagrams));)
        end_pushes(list_entry(l, struct datagram, link), -ETIMEDOUT);
}

bool datagram_cancel(struct queue *q, struct op *op) {
    (void)q;
    list_remove(&op->link);
    return true;
}

void datagram_close(struct queue *q, struct op *op) {
    struct datagram *d = datagram_of_queue(q);
    if (!list_empty(&d->set->queued)) d->set->settle(d->set, socket_set_begin(d->set));
    d->closed = true;
    d->close_op = op;
    q->rt->lingering++;
    ops_complete(q->rt, &d->pops, -ECANCELED);
    if (list_empty(&d->pushes)) pushes_ended(d, 0);
}

int datagram_shutdown(struct queue *q, int how) {
    struct datagram *d = datagram_of_queue(q);
    if (!d->connected) return -ENOTCONN;
    d->shut_read |= how != SHUT_WR;
    d->shut_write |= how != SHUT_RD;
    datagram_ready(d);
    return 0;
}
