/* SPDX-License-Identifier: MIT */
/* Pushes, pops and shutdown of stream sockets. */
#include "libos/socket/stream.h"

#define PUSH_WRITTEN(op) ((op)->backend[0]) /* bytes that the stack has taken */
#define PUSH_END(op)     ((op)->backend[1]) /* the value of written_bytes behind its last byte */

/*
 * Passes a push of one piece to the stack, and its hold on the memory if the stack takes holds. 0, or the stack's
 * error. The stack may have taken only a part.
 */
static inline int piece_write(struct stream *s, struct op *op, uint64_t now) {
    bool gives = op->flags & OP_HELD && op->segs == op->sga.sga_segs && s->transport->takes_holds;
    uint32_t flags = STREAM_WRITE_FIRST | (gives ? STREAM_WRITE_HELD : 0);
    int r = s->transport->write(s, op->segs[0].sgaseg_buf, op->segs[0].sgaseg_len, flags, now);
    if (r < 0) return r;
    if (gives) op->flags &= (uint16_t)~OP_HELD;
    PUSH_WRITTEN(op) = (uint64_t)r;
    s->written_bytes += (uint64_t)r;
    return 0;
}

/* Passes a push to the stack until it takes no more. 0: it has all; -EAGAIN: not yet. */
static int push_write(struct stream *s, struct op *op, uint64_t now) {
    if (likely(op->numsegs == 1 && PUSH_WRITTEN(op) == 0 && op->bytes - 1 < STREAM_PIECE_BYTES)) {
        int r = piece_write(s, op, now);
        if (r < 0 || PUSH_WRITTEN(op) == op->bytes) return r;
    }
    uint64_t begin = 0; /* offset of the segment in the push */
    for (uint32_t i = 0; i < op->numsegs; begin += op->segs[i++].sgaseg_len) {
        while (PUSH_WRITTEN(op) < begin + op->segs[i].sgaseg_len) {
            uint64_t at = PUSH_WRITTEN(op) - begin, len = op->segs[i].sgaseg_len - at;
            if (len > STREAM_PIECE_BYTES) len = STREAM_PIECE_BYTES;
            uint32_t flags = (PUSH_WRITTEN(op) == 0 ? STREAM_WRITE_FIRST : 0) |
                             (PUSH_WRITTEN(op) + len < op->bytes ? STREAM_WRITE_MORE : 0);
            int r = s->transport->write(s, (char *)op->segs[i].sgaseg_buf + at, (uint32_t)len, flags, now);
            if (r < 0) return r;
            PUSH_WRITTEN(op) += (uint64_t)r;
            s->written_bytes += (uint64_t)r;
        }
    }
    return 0;
}

void stream_end_pushes(struct stream *s, int error) {
    ops_complete(s->q.rt, &s->sent, error);
    ops_complete(s->q.rt, &s->pushes, error);
}

/* The stack has all of a push, which is in no list. */
static inline void push_written(struct stream *s, struct op *op) {
    if (!s->q.push_acked && list_empty(&s->sent)) {
        socket_set_written(s->set, op);
        return;
    }
    PUSH_END(op) = s->q.push_acked ? s->written_bytes : 0;
    list_push_back(&s->sent, &op->link);
}

/* If memory is short before any byte was taken, only this push fails; all other errors end the stream. */
static void push_failed(struct stream *s, struct op *op, int error) {
    if (error == -ENOMEM && PUSH_WRITTEN(op) == 0) {
        list_remove(&op->link);
        op_complete(s->q.rt, op, error);
        return;
    }
    s->send_error = error;
    stream_end_pushes(s, error);
}

static void send_pushes(struct stream *s, uint64_t now) {
    for (struct op *op; (op = op_first(&s->pushes));) {
        int r = push_write(s, op, now);
        if (r == -EAGAIN) break;
        if (r) {
            push_failed(s, op, r);
        } else {
            list_remove(&op->link);
            push_written(s, op);
        }
    }
    if (s->transport->flush) s->transport->flush(s);
}

/* Completes the pushes that the peer has acknowledged, or all if the connection has failed. */
static void complete_acked(struct stream *s) {
    int error = s->transport->error(s);
    if (error) {
        stream_end_pushes(s, error);
        return;
    }
    uint64_t acked = s->written_bytes - s->transport->unacked(s);
    for (struct op *op; (op = op_first(&s->sent)) && PUSH_END(op) <= acked;) {
        list_remove(&op->link);
        op_complete(s->q.rt, op, 0);
    }
}

static void send_fin(struct stream *s, uint64_t now) {
    bool reset = s->closed && s->transport->unread(s); /* a reset replaces the FIN */
    if (!list_empty(&s->pushes) || s->send_error || reset) return;
    s->fin_sent = true;
    s->transport->shutdown(s, now);
}

void stream_send(struct stream *s, uint64_t now) {
    if (!list_empty(&s->pushes)) send_pushes(s, now);
    if (!list_empty(&s->pushes) || !list_empty(&s->sent)) complete_acked(s);
    if (s->shut_write && !s->fin_sent) send_fin(s, now);
}

/* The usual case of a push: none waits before it, and the stack takes it whole. */
static inline bool push_at_once(struct stream *s, struct op *op, uint64_t now) {
    if (!list_empty(&s->pushes) || push_write(s, op, now)) return false;
    push_written(s, op);
    if (s->transport->flush) s->transport->flush(s);
    if (!list_empty(&s->sent)) complete_acked(s);
    return true;
}

/* The stack takes the push, unless earlier ones wait for room, and sends it at the end of the turn. */
static void push_begin(struct stream *s, struct op *op, uint64_t now) {
    if (!push_at_once(s, op, now)) {
        list_push_back(&s->pushes, &op->link);
        if (op_first(&s->pushes) == op) stream_send(s, now);
    }
    socket_set_pushed(s->set, now);
}

int stream_push(struct queue *q, struct op *op) {
    struct stream *s = stream_of_queue(q);
    if (s->shut_write) return -EPIPE;
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    if (s->set->lost) return -ENETDOWN;
    PUSH_WRITTEN(op) = PUSH_END(op) = 0;
    if (s->send_error) {
        op_complete(q->rt, op, s->send_error);
        return 0;
    }
    push_begin(s, op, socket_set_begin(s->set));
    return 0;
}

void stream_serve_pops(struct stream *s, uint64_t now) {
    for (struct op *op; (op = op_first(&s->waiters));) {
        int r = s->shut_read ? 0 : s->transport->pop(s, op, now);
        if (r == -EAGAIN) return;
        list_remove(&op->link);
        op_complete(s->q.rt, op, r);
    }
}

int stream_pop(struct queue *q, struct op *op) {
    struct stream *s = stream_of_queue(q);
    struct socket_set *set = s->set;
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    bool served = list_empty(&s->waiters) && (s->shut_read || s->transport->readable(s));
    if (!served && set->lost) return -ENETDOWN; /* all data received before the loss was popped */
    list_push_back(&s->waiters, &op->link);
    if (!served) return 0;
    uint64_t now = socket_set_begin(set);
    stream_serve_pops(s, now);
    if (set->popped)
        set->popped(set);
    else
        set->settle(set, now);
    return 0;
}

int stream_shutdown(struct queue *q, int how) {
    struct stream *s = stream_of_queue(q);
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    uint64_t now = socket_set_begin(s->set);
    s->shut_read |= how != SHUT_WR;
    s->shut_write |= how != SHUT_RD;
    stream_send(s, now);
    stream_serve_pops(s, now);
    socket_set_pushed(s->set, now);
    return 0;
}
