/* SPDX-License-Identifier: MIT */
/* Connect, listen and accept of TCP sockets. */
#include "core/accept.h"
#include "libos/inet/stream.h"

#include "inet/port.h"

int stream_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len) {
    struct stream *s = to_stream(q);
    struct inet_endpoint remote;
    uint64_t now = clock_now_ns();
    if (s->state == STREAM_CONNECTING) return -EALREADY;
    if (s->state == STREAM_CONNECTED) return -EISCONN;
    if (s->state == STREAM_LISTENING) return -EOPNOTSUPP;
    if (s->net->lost) return -ENETDOWN;
    int r = address_take(&remote, addr, len);
    if (!r) r = address_of_peer(&remote);
    if (!r) r = tcp_connect(s->net->stack, &s->conn, &remote, &s->local, &s->settings, s, now);
    if (r) {
        op_complete(q->rt, op, r);
        return 0;
    }
    s->state = STREAM_CONNECTING;
    s->connect_op = op;
    net_settle(s->net, now);
    return 0;
}

void stream_connect_failed(struct stream *s, int error, uint64_t now) {
    struct op *op = s->connect_op;
    tcp_abort(s->conn, now);
    s->conn = NULL;
    s->connect_op = NULL;
    s->state = STREAM_NEW;
    op_complete(s->q.rt, op, error);
}

void stream_connected(struct stream *s, uint64_t now) {
    struct op *op = s->connect_op;
    int error = tcp_error(s->conn);
    if (error) {
        stream_connect_failed(s, error, now);
        return;
    }
    s->connect_op = NULL;
    s->state = STREAM_CONNECTED;
    op_complete(s->q.rt, op, 0);
}

/* 0 if the port is free on the address; the wildcard conflicts with all addresses. */
static int can_bind(const struct stream *s, const struct inet_endpoint *local) {
    struct list *l, *tmp;
    int r = tcp_can_listen(s->net->stack, local);
    if (r) return r;
    list_for_each (&s->net->bound, l, tmp) {
        const struct stream *other = list_entry(l, struct stream, bound);
        if (other->local.port == local->port &&
            (inet_addr_is_any(&other->local.addr) || inet_addr_is_any(&local->addr) ||
             inet_addr_equal(&other->local.addr, &local->addr)))
            return -EADDRINUSE;
    }
    return 0;
}

/* Port 0 selects a random free port. */
static int bind_to(struct stream *s, struct inet_endpoint local) {
    bool chosen = local.port != 0;
    uint32_t start = (uint32_t)rng_below(&s->q.rt->rng, PORT_EPHEMERAL_COUNT);
    int r = -EADDRINUSE;
    for (uint32_t i = 0; i < (chosen ? 1 : PORT_EPHEMERAL_COUNT) && r == -EADDRINUSE; i++) {
        if (!chosen) local.port = port_candidate(start, i);
        r = can_bind(s, &local);
    }
    if (r) return r;
    s->local = local;
    list_push_back(&s->net->bound, &s->bound);
    return 0;
}

int stream_bind(struct queue *q, const struct sockaddr *addr, socklen_t len) {
    struct stream *s = to_stream(q);
    struct inet_endpoint local;
    if (s->local.port || s->state != STREAM_NEW) return -EINVAL;
    int r = address_take(&local, addr, len);
    return r ? r : bind_to(s, local);
}

int stream_listen(struct queue *q, int backlog) {
    struct stream *s = to_stream(q);
    uint32_t most = backlog > 0 ? (uint32_t)backlog : 1;
    if (s->state == STREAM_LISTENING) {
        tcp_listener_set_backlog(s->listener, most);
        return 0;
    }
    if (s->state != STREAM_NEW) return s->state == STREAM_CONNECTING ? -EINVAL : -EISCONN;
    if (s->net->lost) return -ENETDOWN;
    int r = s->local.port ? 0 : bind_to(s, s->local);
    if (!r) r = tcp_listen(s->net->stack, &s->listener, &s->local, most, &s->settings, s);
    if (r == 0) s->state = STREAM_LISTENING;
    return r;
}

/* Makes a stream for the connection that has waited longest, with the listener's options. */
static int accept_one(struct stream *s, struct stream **out) {
    struct stream *fresh;
    int r = stream_make(s->net, &fresh);
    if (r) return r;
    r = tcp_accept(s->listener, &fresh->conn, fresh);
    if (r) {
        stream_free(fresh);
        return r;
    }
    fresh->settings = s->settings;
    fresh->linger_s = s->linger_s;
    fresh->state = STREAM_CONNECTED;
    *out = fresh;
    return 0;
}

void stream_serve_accepts(struct stream *s) {
    for (struct op *op; (op = op_first(&s->waiters));) {
        struct stream *fresh;
        int r = accept_one(s, &fresh);
        if (r == -EAGAIN) return;
        list_remove(&op->link);
        if (r) {
            op_complete(s->q.rt, op, r);
            continue;
        }
        struct inet_endpoint remote = tcp_remote(fresh->conn);
        struct sockaddr_in addr = address_make(&remote);
        queue_accepted(op, &fresh->q, (struct sockaddr *)&addr, sizeof addr);
    }
}

int stream_accept(struct queue *q, struct op *op) {
    struct stream *s = to_stream(q);
    if (s->state != STREAM_LISTENING) return -EINVAL;
    if (s->net->lost) return -ENETDOWN;
    list_push_back(&s->waiters, &op->link);
    if (op_first(&s->waiters) == op) stream_serve_accepts(s);
    return 0;
}
