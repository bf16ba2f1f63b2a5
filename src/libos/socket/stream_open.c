/* SPDX-License-Identifier: MIT */
/* Bind, connect, listen and accept of stream sockets. */
#include "core/accept.h"
#include "libos/address.h"
#include "libos/socket/stream.h"

#include "inet/port.h"

/* Whether an open stream has bound the port; the wildcard conflicts with all addresses. */
static bool in_use(const struct socket_set *set, const struct inet_endpoint *local) {
    struct list *l, *tmp;
    list_for_each (&set->bound, l, tmp) {
        const struct inet_endpoint *other = &list_entry(l, struct stream, bound)->local;
        if (other->port == local->port && (inet_addr_is_any(&other->addr) || inet_addr_is_any(&local->addr) ||
                                           inet_addr_equal(&other->addr, &local->addr)))
            return true;
    }
    return false;
}

static int try_bind(struct stream *s, const struct inet_endpoint *local, bool chosen) {
    int r = s->transport->can_bind(s, local);
    if (!r && in_use(s->set, local)) r = -EADDRINUSE;
    return r || !s->transport->bind ? r : s->transport->bind(s, local, chosen);
}

/* Port 0 selects a random free port. */
static int bind_to(struct stream *s, struct inet_endpoint local) {
    bool chosen = local.port != 0;
    uint32_t start = (uint32_t)rng_below(&s->q.rt->rng, PORT_EPHEMERAL_COUNT);
    int r = -EADDRINUSE;
    for (uint32_t i = 0; i < (chosen ? 1 : PORT_EPHEMERAL_COUNT) && r == -EADDRINUSE; i++) {
        if (!chosen) local.port = port_candidate(start, i);
        r = try_bind(s, &local, chosen);
    }
    if (r) return r;
    s->local = local;
    list_push_back(&s->set->bound, &s->bound);
    return 0;
}

int stream_bind(struct queue *q, const struct sockaddr *addr, socklen_t len) {
    struct stream *s = stream_of_queue(q);
    struct inet_endpoint local;
    if (s->local.port || s->state != STREAM_NEW) return -EINVAL;
    int r = address_take(&local, addr, len);
    return r ? r : bind_to(s, local);
}

/* As in Linux, the wildcard means this host, and port 0 is refused. */
static int connect_to(struct stream *s, struct inet_endpoint remote, uint64_t now) {
    if (inet_addr_is_any(&remote.addr)) remote.addr = s->set->self;
    return remote.port == 0 ? -ECONNREFUSED : s->transport->connect(s, &remote, now);
}

int stream_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len) {
    static const int refused[] = {
        [STREAM_CONNECTING] = -EALREADY, [STREAM_CONNECTED] = -EISCONN, [STREAM_LISTENING] = -EOPNOTSUPP};
    struct stream *s = stream_of_queue(q);
    struct inet_endpoint remote;
    if (s->state != STREAM_NEW) return refused[s->state];
    if (s->set->lost) return -ENETDOWN;
    uint64_t now = socket_set_begin(s->set);
    int r = address_take(&remote, addr, len);
    if (!r) r = connect_to(s, remote, now);
    if (r) {
        op_complete(q->rt, op, r);
        return 0;
    }
    s->state = STREAM_CONNECTING;
    s->connect_op = op;
    s->set->settle(s->set, now);
    return 0;
}

void stream_connected(struct stream *s, int error, uint64_t now) {
    struct op *op = s->connect_op;
    if (error) s->transport->abort(s, now);
    s->connect_op = NULL;
    s->state = error ? STREAM_NEW : STREAM_CONNECTED;
    op_complete(s->q.rt, op, error);
}

int stream_listen(struct queue *q, int backlog) {
    struct stream *s = stream_of_queue(q);
    uint32_t most = backlog > 0 ? (uint32_t)backlog : 1;
    if (s->state == STREAM_LISTENING) return s->transport->listen(s, most);
    if (s->state != STREAM_NEW) return s->state == STREAM_CONNECTING ? -EINVAL : -EISCONN;
    if (s->set->lost) return -ENETDOWN;
    int r = s->local.port ? 0 : bind_to(s, s->local);
    if (!r) r = s->transport->listen(s, most);
    if (!r) s->state = STREAM_LISTENING;
    return r;
}

void stream_serve_accepts(struct stream *s) {
    for (struct op *op; (op = op_first(&s->waiters));) {
        struct stream *fresh;
        int r = s->transport->accept(s, &fresh);
        if (r == -EAGAIN) return;
        list_remove(&op->link);
        if (r) {
            op_complete(s->q.rt, op, r);
            continue;
        }
        fresh->linger_s = s->linger_s;
        struct inet_endpoint remote = s->transport->remote(fresh);
        struct sockaddr_in addr = address_make(&remote);
        queue_accepted(op, &fresh->q, (struct sockaddr *)&addr, sizeof addr);
    }
}

int stream_accept(struct queue *q, struct op *op) {
    struct stream *s = stream_of_queue(q);
    if (s->state != STREAM_LISTENING) return -EINVAL;
    if (s->set->lost) return -ENETDOWN;
    list_push_back(&s->waiters, &op->link);
    if (op_first(&s->waiters) == op) stream_serve_accepts(s);
    return 0;
}
