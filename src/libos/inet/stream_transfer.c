/* SPDX-License-Identifier: MIT */
/*
 * Connections that move from one runtime to another. What moves is the stack's connection and what the application has
 * chosen for it; each side has a stream of its own around it. Those that have arrived wait for an accept of the queue
 * that dmtr_handover makes.
 */
#include "libos/inet/group.h"
#include "libos/inet/stream.h"

#include "base/sys.h"

#define ARRIVED_MAX 4096u

/* A connection on its way. */
struct parcel {
    struct tcp_conn *conn;
    struct tcp_settings settings;
    int linger_s;
    bool shut_read, shut_write, fin_sent;
};

struct handover {
    struct queue q;
    struct net *net;
    struct list waiters; /* accepts */
};

void parcel_lose(struct parcel *p) {
    tcp_discard(p->conn);
    sys_free(p);
}

int stream_transfer(struct queue *q, uint32_t runtime) {
    struct stream *s = to_stream(q);
    struct net *net = s->net;
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    if (!list_empty(&s->waiters) || !list_empty(&s->pushes) || !list_empty(&s->sent)) return -EBUSY;
    if (q->framing) return -EOPNOTSUPP; /* part of a message may wait in it */
    if (!net->group) return -EXDEV;
    struct parcel *p = sys_calloc(1, sizeof *p);
    if (!p) return -ENOMEM;
    *p = (struct parcel){s->conn, s->settings, s->linger_s, s->shut_read, s->shut_write, s->fin_sent};
    int r = tcp_detach(s->conn);
    if (r) {
        sys_free(p);
        return -ENOTCONN;
    }
    r = group_give_stream(net, p, runtime);
    if (r) {
        sys_free(p);
        int back = tcp_attach(net->stack, s->conn, s, clock_now_ns());
        if (!back) return r;
        r = back;
    }
    s->conn = NULL; /* what is left is a socket that was never connected */
    s->state = STREAM_NEW;
    group_flush(net);
    return r;
}

static int unpack(struct net *net, struct parcel *p, struct stream **out, uint64_t now) {
    struct stream *s;
    int r = net->arrived_count == ARRIVED_MAX || !net->handover ? -ENOBUFS : stream_make(net, &s);
    if (r) {
        tcp_discard(p->conn);
        return r;
    }
    r = tcp_attach(net->stack, p->conn, s, now);
    if (r) {
        stream_free(s);
        return r;
    }
    s->conn = p->conn;
    s->state = STREAM_CONNECTED;
    s->settings = p->settings;
    s->linger_s = p->linger_s;
    s->shut_read = p->shut_read;
    s->shut_write = p->shut_write;
    s->fin_sent = p->fin_sent;
    *out = s;
    return 0;
}

static void serve(struct net *net) {
    struct handover *h = net->handover;
    for (struct list *l; h && !list_empty(&h->waiters) && (l = list_pop_front(&net->arrived));) {
        struct stream *s = list_entry(l, struct stream, arrived);
        struct op *op = list_entry(list_pop_front(&h->waiters), struct op, link);
        struct inet_endpoint remote = tcp_remote(s->conn);
        struct sockaddr_in addr = address_make(&remote);
        net->arrived_count--;
        queue_accepted(op, &s->q, (struct sockaddr *)&addr, sizeof addr);
    }
}

void parcel_arrived(struct net *net, struct parcel *p, uint64_t now) {
    struct stream *s;
    int r = unpack(net, p, &s, now);
    sys_free(p);
    if (r) {
        counter_inc(&net->rt->counters, inet_transfers_lost);
        return;
    }
    list_push_back(&net->arrived, &s->arrived);
    net->arrived_count++;
    serve(net);
}

static struct handover *to_handover(struct queue *q) {
    return list_entry(q, struct handover, q);
}

static int handover_accept(struct queue *q, struct op *op) {
    struct handover *h = to_handover(q);
    if (h->net->lost) return -ENETDOWN;
    list_push_back(&h->waiters, &op->link);
    serve(h->net);
    return 0;
}

void handover_lost(struct net *net) {
    if (net->handover) ops_complete(net->rt, &net->handover->waiters, -ENETDOWN);
}

static bool handover_cancel(struct queue *q, struct op *op) {
    (void)q;
    list_remove(&op->link);
    return true;
}

/* What has arrived and nobody took is reset. */
static void handover_close(struct queue *q, struct op *op) {
    struct handover *h = to_handover(q);
    struct dmtr_runtime *rt = q->rt;
    struct net *net = h->net;
    uint64_t now = clock_now_ns();
    ops_complete(rt, &h->waiters, -ECANCELED);
    for (struct list *l; (l = list_pop_front(&net->arrived));) {
        struct stream *s = list_entry(l, struct stream, arrived);
        tcp_abort(s->conn, now);
        stream_free(s);
    }
    net->arrived_count = 0;
    net->handover = NULL;
    sys_free(h);
    if (op) op_complete(rt, op, 0);
    net_settle(net, now);
}

static const struct queue_ops ops = {
    .backend = "inet/handover",
    .socket = true,
    .accept = handover_accept,
    .cancel = handover_cancel,
    .close = handover_close,
};

int handover_new(struct net *net, struct queue **q_out) {
    if (!net->group) return -EOPNOTSUPP;
    if (net->handover) return -EADDRINUSE;
    struct handover *h = sys_calloc(1, sizeof *h);
    if (!h) return -ENOMEM;
    queue_init(&h->q, net->rt, &ops);
    h->net = net;
    list_init(&h->waiters);
    net->handover = h;
    *q_out = &h->q;
    return 0;
}
