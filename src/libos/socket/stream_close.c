/* SPDX-License-Identifier: MIT */
/*
 * Closing a stream socket. The stream gives up a peer that acknowledges nothing for LINGER_STALL_NS; SO_LINGER sets
 * another time, and 0 resets at once.
 */
#include "libos/socket/linger.h"
#include "libos/socket/stream.h"

void stream_free(struct stream *s) {
    socket_set_complete(s->set, &s->q);
    list_remove(&s->link);
    list_remove(&s->bound);
    s->transport->free(s);
}

/* Ends a closed stream; if there is an error, resets its connection. */
static void finish(struct stream *s, int error, uint64_t now) {
    struct dmtr_runtime *rt = s->q.rt;
    stream_end_pushes(s, error ? error : -ECANCELED);
    if (error) s->transport->abort(s, now);
    s->transport->close(s, now);
    runtime_timer_cancel(rt, &s->timer);
    if (s->close_op) op_complete(rt, s->close_op, error);
    rt->lingering--;
    stream_free(s);
}

static bool delivered(const struct stream *s) {
    return list_empty(&s->pushes) && !s->send_error && s->transport->delivered(s);
}

void stream_give_up(struct stream *s, int error, uint64_t now) {
    if (s->state == STREAM_CONNECTED && delivered(s)) error = 0;
    s->transport->abort(s, now);
    finish(s, error, now);
}

void stream_linger(struct stream *s, uint64_t now) {
    const struct stream_transport *t = s->transport;
    int error = t->error(s);
    if (!error) error = s->send_error;
    if (!error && s->set->lost) error = -ENETDOWN;
    bool whole = delivered(s);
    bool done = whole && (t->finished(s) || t->unread(s));
    if (error || done) finish(s, whole ? 0 : error, now);
}

static void arm(struct stream *s, uint64_t now) {
    s->left = s->transport->unacked(s);
    runtime_timer_arm(s->q.rt, &s->timer, now + linger_wait_ns(s->linger_s));
}

static void stalled(struct dmtr_runtime *rt, struct runtime_timer *t) {
    struct stream *s = list_entry(t, struct stream, timer);
    struct socket_set *set = s->set;
    uint64_t now = socket_set_begin(set);
    (void)rt;
    if (s->linger_s < 0 && s->left != s->transport->unacked(s))
        arm(s, now);
    else /* if only the FIN is unacknowledged, the stack continues without the stream */
        finish(s, delivered(s) ? 0 : -ETIMEDOUT, now);
    set->settle(set, now);
}

void stream_close(struct queue *q, struct op *op) {
    struct stream *s = stream_of_queue(q);
    struct socket_set *set = s->set;
    uint64_t now = socket_set_begin(set);
    s->closed = s->shut_write = true;
    s->close_op = op;
    q->rt->lingering++;
    list_remove(&s->bound);
    ops_complete(q->rt, &s->waiters, -ECANCELED);
    if (s->connect_op) op_complete(q->rt, s->connect_op, -ECANCELED);
    s->connect_op = NULL;
    if (s->state != STREAM_CONNECTED) {
        finish(s, 0, now);
    } else if (s->linger_s == 0) {
        stream_give_up(s, -ECONNRESET, now);
    } else {
        s->timer.fire = stalled;
        s->transport->stop_reading(s, q->unread);
        arm(s, now);
        stream_send(s, now);
        stream_linger(s, now);
    }
    socket_set_pushed(set, now);
}

void streams_lost(struct socket_set *set, uint64_t now) {
    struct list *l, *tmp;
    list_for_each (&set->streams, l, tmp) {
        struct stream *s = list_entry(l, struct stream, link);
        ops_complete(s->q.rt, &s->waiters, -ENETDOWN);
        if (!list_empty(&s->pushes)) s->send_error = -ENETDOWN;
        stream_end_pushes(s, -ENETDOWN);
        if (s->connect_op) stream_connected(s, -ENETDOWN, now);
        if (s->closed && s->state == STREAM_CONNECTED) stream_linger(s, now);
    }
}

void streams_fini(struct socket_set *set) {
    for (struct list *l; (l = list_first(&set->streams));)
        stream_give_up(list_entry(l, struct stream, link), -ETIMEDOUT, clock_now_ns());
}
