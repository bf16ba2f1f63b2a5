/* SPDX-License-Identifier: MIT */
/* Pushes and pops of TCP sockets. */
#include "libos/inet/stream.h"

#include "mem/heap.h"

/*
 * Size of the pieces that are passed to the stack. Less than half of the smallest send buffer, so that earlier pieces
 * of a push, which the stack may hold back until the last piece arrives, leave room for it.
 */
#define PIECE_BYTES 32768u

#define PUSH_TAKEN(op) ((op)->backend[0]) /* bytes that the stack has accepted */
#define PUSH_END(op)   ((op)->backend[1]) /* taken_bytes at its end, once the stack has all */

static int push_memory(struct stream *s, const struct inet_segment *data, bool more, uint64_t now) {
    if (heap_owns(data->base)) return tcp_push(s->conn, data, more, now);
    struct inet_segment copy = {heap_alloc(data->len), data->len};
    if (!copy.base) return -ENOMEM;
    memcpy((void *)(uintptr_t)copy.base, data->base, data->len);
    int r = tcp_push(s->conn, &copy, more, now);
    heap_free((void *)(uintptr_t)copy.base);
    if (r) return r;
    s->q.copies++;
    counter_add(&s->q.rt->counters, copied_bytes, data->len);
    return 0;
}

/* Passes a push to the stack until it accepts no more. 0: it has all; -EAGAIN: not yet. */
static int push_give(struct stream *s, struct op *op, uint64_t now) {
    uint64_t begin = 0; /* offset of the segment in the push */
    for (uint32_t i = 0; i < op->numsegs; begin += op->segs[i++].sgaseg_len) {
        while (PUSH_TAKEN(op) < begin + op->segs[i].sgaseg_len) {
            uint64_t at = PUSH_TAKEN(op) - begin, len = op->segs[i].sgaseg_len - at;
            if (len > PIECE_BYTES) len = PIECE_BYTES;
            struct inet_segment piece = {(char *)op->segs[i].sgaseg_buf + at, (uint32_t)len};
            int r = push_memory(s, &piece, PUSH_TAKEN(op) + len < op->bytes, now);
            if (r) return r;
            PUSH_TAKEN(op) += len;
            s->taken_bytes += len;
        }
    }
    return 0;
}

static void complete_acked(struct stream *s) {
    uint64_t acked = s->taken_bytes - tcp_unacked(s->conn);
    for (struct op *op; (op = op_first(&s->sent)) && PUSH_END(op) <= acked;) {
        list_remove(&op->link);
        op_complete(s->q.rt, op, 0);
    }
}

void stream_end_pushes(struct stream *s, int error) {
    ops_complete(s->q.rt, &s->sent, error);
    ops_complete(s->q.rt, &s->pushes, error);
}

static void push_taken(struct stream *s, struct op *op) {
    list_remove(&op->link);
    if (!s->q.push_acked && list_empty(&s->sent)) {
        op_complete(s->q.rt, op, 0);
        return;
    }
    PUSH_END(op) = s->q.push_acked ? s->taken_bytes : 0;
    list_push_back(&s->sent, &op->link);
}

/* If memory is short before any byte was accepted, only this push fails; all other errors end the stream. */
static void push_failed(struct stream *s, struct op *op, int error) {
    if (error == -ENOMEM && PUSH_TAKEN(op) == 0) {
        list_remove(&op->link);
        op_complete(s->q.rt, op, error);
        return;
    }
    s->send_error = error;
    stream_end_pushes(s, error);
}

void stream_send(struct stream *s, uint64_t now) {
    for (struct op *op; (op = op_first(&s->pushes));) {
        int r = push_give(s, op, now);
        if (r == -EAGAIN) break;
        if (r)
            push_failed(s, op, r);
        else
            push_taken(s, op);
    }
    if (tcp_error(s->conn))
        stream_end_pushes(s, tcp_error(s->conn));
    else
        complete_acked(s);
    bool reset = s->closed && tcp_unread(s->conn); /* a reset replaces the FIN */
    if (list_empty(&s->pushes) && s->shut_write && !s->fin_sent && !s->send_error && !reset) {
        s->fin_sent = true;
        tcp_shutdown(s->conn, now);
    }
}

int stream_push(struct queue *q, struct op *op) {
    struct stream *s = to_stream(q);
    uint64_t now = clock_now_ns();
    if (s->shut_write) return -EPIPE;
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    if (s->net->lost) return -ENETDOWN;
    PUSH_TAKEN(op) = PUSH_END(op) = 0;
    if (s->send_error) {
        op_complete(q->rt, op, s->send_error);
        return 0;
    }
    list_push_back(&s->pushes, &op->link);
    if (op_first(&s->pushes) == op) stream_send(s, now);
    net_settle(s->net, now);
    return 0;
}

void stream_serve_pops(struct stream *s, uint64_t now) {
    for (struct op *op; (op = op_first(&s->waiters));) {
        struct inet_slice slice = {NULL, 0};
        uint64_t limit = op->flags & OP_LIMITED && op->bytes < UINT32_MAX ? op->bytes : UINT32_MAX;
        int r = s->shut_read ? 0 : tcp_pop(s->conn, &slice, (uint32_t)limit, now);
        if (r == -EAGAIN) return;
        if (r == 0 && slice.len > 0) {
            op->sga.sga_buf = slice.base;
            op->sga.sga_numsegs = 1;
            op->sga.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = slice.base, .sgaseg_len = slice.len};
        }
        list_remove(&op->link);
        op_complete(s->q.rt, op, r);
    }
}

int stream_pop(struct queue *q, struct op *op) {
    struct stream *s = to_stream(q);
    uint64_t now = clock_now_ns();
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    list_push_back(&s->waiters, &op->link);
    if (op_first(&s->waiters) == op) stream_serve_pops(s, now);
    if (s->net->lost && op->state == OP_PENDING) { /* all data received before the loss was popped */
        list_remove(&op->link);
        return -ENETDOWN;
    }
    net_settle(s->net, now);
    return 0;
}
