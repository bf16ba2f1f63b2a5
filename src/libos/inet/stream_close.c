/* SPDX-License-Identifier: MIT */
/*
 * Closing a TCP socket. It is kept until the peer has acknowledged what was pushed, and what still comes is thrown away
 * meanwhile: closing with unread data would reset the connection and lose what is under way. A peer that takes nothing
 * for STALL_NS is given up; SO_LINGER sets another time, and 0 gives up at once.
 */
#include "libos/inet/stream.h"

#include "mem/heap.h"

#define STALL_NS 60000000000u

void stream_finish(struct stream *s, int error, uint64_t now) {
    struct dmtr_runtime *rt = s->q.rt;
    stream_end_pushes(s, error ? error : -ECANCELED);
    if (s->listener) tcp_listener_close(s->listener, now);
    if (s->conn && error)
        tcp_abort(s->conn, now);
    else if (s->conn)
        tcp_close(s->conn, now);
    runtime_timer_cancel(rt, &s->timer);
    if (s->close_op) op_complete(rt, s->close_op, error);
    rt->lingering--;
    stream_free(s);
}

static void throw_away(struct stream *s, uint64_t now) {
    struct inet_slice slice;
    while (tcp_pop(s->conn, &slice, UINT32_MAX, now) == 0 && slice.len > 0)
        heap_free(slice.base);
}

bool stream_linger(struct stream *s, uint64_t now) {
    int error = tcp_error(s->conn);
    if (!error) error = s->send_error;
    throw_away(s, now);
    bool undelivered = !list_empty(&s->pushes) || tcp_unacked(s->conn) > 0;
    if (!error && undelivered && !s->net->lost) return false;
    if (!error && undelivered) error = -ENETDOWN;
    stream_finish(s, error, now);
    return true;
}

static void arm(struct stream *s, uint64_t now) {
    uint64_t ns = s->linger_s < 0 ? STALL_NS : (uint64_t)s->linger_s * 1000000000;
    s->left = tcp_unacked(s->conn);
    runtime_timer_arm(s->q.rt, &s->timer, now + ns);
}

static void stalled(struct dmtr_runtime *rt, struct runtime_timer *t) {
    struct stream *s = list_entry(t, struct stream, timer);
    struct net *net = s->net;
    uint64_t now = clock_now_ns();
    (void)rt;
    if (s->linger_s < 0 && s->left != tcp_unacked(s->conn))
        arm(s, now);
    else
        stream_finish(s, -ETIMEDOUT, now);
    net_settle(net, now);
}

void stream_close(struct queue *q, struct op *op) {
    struct stream *s = to_stream(q);
    struct net *net = s->net;
    uint64_t now = clock_now_ns();
    s->closed = s->shut_write = true;
    s->close_op = op;
    q->rt->lingering++;
    ops_complete(s->q.rt, &s->waiters, -ECANCELED);
    if (s->connect_op) op_complete(q->rt, s->connect_op, -ECANCELED);
    s->connect_op = NULL;
    if (s->state != STREAM_CONNECTED) {
        stream_finish(s, 0, now);
    } else if (s->linger_s == 0) {
        bool unsent = !list_empty(&s->pushes) || tcp_unacked(s->conn) > 0;
        tcp_abort(s->conn, now);
        s->conn = NULL;
        stream_finish(s, unsent ? -ECONNRESET : 0, now);
    } else {
        s->timer.fire = stalled;
        arm(s, now);
        stream_send(s, now);
        stream_linger(s, now);
    }
    net_settle(net, now);
}
