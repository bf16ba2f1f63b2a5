/* SPDX-License-Identifier: MIT */
/*
 * Closing a TCP socket. The stream is kept until the peer has acknowledged what was pushed, and then the FIN. If there
 * is received data that was not popped, or if data arrives later, a reset replaces the FIN (RFC 1122 section 4.2.2.13).
 * The stream gives up a peer that makes no progress for STALL_NS; SO_LINGER sets another time, and 0 resets at once.
 */
#include "libos/inet/stream.h"

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

static bool delivered(const struct stream *s) {
    return list_empty(&s->pushes) && !s->send_error && tcp_delivered(s->conn);
}

void stream_give_up(struct stream *s, int error, uint64_t now) {
    if (s->conn) {
        if (delivered(s)) error = 0;
        tcp_abort(s->conn, now);
        s->conn = NULL;
    }
    stream_finish(s, error, now);
}

bool stream_linger(struct stream *s, uint64_t now) {
    int error = tcp_error(s->conn);
    if (!error) error = s->send_error;
    if (!error && s->net->lost) error = -ENETDOWN;
    bool whole = delivered(s);
    bool done = whole && (tcp_finished(s->conn) || tcp_unread(s->conn));
    if (!error && !done) return false;
    stream_finish(s, whole ? 0 : error, now);
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
    else /* if only the FIN is unacknowledged, the stack continues without the stream */
        stream_finish(s, delivered(s) ? 0 : -ETIMEDOUT, now);
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
        stream_give_up(s, -ECONNRESET, now);
    } else {
        s->timer.fire = stalled;
        tcp_stop_reading(s->conn, q->unread);
        arm(s, now);
        stream_send(s, now);
        stream_linger(s, now);
    }
    net_settle(net, now);
}
