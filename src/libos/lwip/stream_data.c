/* SPDX-License-Identifier: MIT */
/* Pushes and pops of TCP sockets over lwIP. */
#include "libos/lwip/stream.h"

#include "base/clock.h"
#include "libos/lwip/host.h"
#include "mem/heap.h"

#include "lwip/tcp.h"

#define PIECE_BYTES 32768u /* passed to lwIP in one call, which counts in 16 bits */
#define COPY_BYTES  1024u  /* up to this size a copy is cheaper than a reference */

#define PUSH_SENT(op) ((op)->backend[0]) /* bytes that lwIP has accepted */
#define PUSH_END(op)  ((op)->backend[1]) /* its end in the stream, once lwIP has accepted all of it */

struct held_push {
    struct list link;
    const void *base;
    uint64_t end; /* in the stream */
};

void lw_stream_release_held(struct lw_stream *s, uint64_t acked_bytes) {
    for (struct list *l; (l = list_first(&s->held));) {
        struct held_push *h = list_entry(l, struct held_push, link);
        if (h->end > acked_bytes) return;
        list_remove(l);
        heap_release(h->base);
        heap_free(h);
    }
}

static int write_piece(struct lw_stream *s, const void *base, uint16_t bytes, bool more) {
    bool copy = bytes <= COPY_BYTES || !heap_owns(base);
    uint8_t flags = (uint8_t)((copy ? TCP_WRITE_FLAG_COPY : 0) | (more ? TCP_WRITE_FLAG_MORE : 0));
    struct held_push *h = copy ? NULL : heap_alloc(sizeof *h);
    if (!copy && !h) return -ENOMEM;
    err_t err = tcp_write(s->pcb, base, bytes, flags);
    if (err != ERR_OK) {
        if (h) heap_free(h);
        /* acknowledgements of data in flight will free memory and room in the queue */
        return err == ERR_MEM && tcp_sndqueuelen(s->pcb) > 0 ? -EAGAIN : lw_error(err);
    }
    s->sent_bytes += bytes;
    if (h) {
        heap_hold(base);
        *h = (struct held_push){.base = base, .end = s->sent_bytes};
        list_push_back(&s->held, &h->link);
        return 0;
    }
    s->q.copies++;
    counter_add(&s->q.rt->counters, copied_bytes, bytes);
    return 0;
}

/* Passes as much of a push to lwIP as it accepts. Returns 0 (all of it) or -EAGAIN (wait). */
static int push_send(struct lw_stream *s, struct op *op) {
    uint64_t begin = 0; /* of the segment, in the push */
    for (uint32_t i = 0; i < op->numsegs; begin += op->segs[i++].sgaseg_len) {
        while (PUSH_SENT(op) < begin + op->segs[i].sgaseg_len) {
            uint64_t at = PUSH_SENT(op) - begin, len = op->segs[i].sgaseg_len - at, room = tcp_sndbuf(s->pcb);
            if (room == 0) return -EAGAIN;
            if (len > room) len = room;
            if (len > PIECE_BYTES) len = PIECE_BYTES;
            int r = write_piece(s, (char *)op->segs[i].sgaseg_buf + at, (uint16_t)len, PUSH_SENT(op) + len < op->bytes);
            if (r) return r;
            PUSH_SENT(op) += len;
        }
    }
    return 0;
}

void lw_stream_end_pushes(struct lw_stream *s, int error) {
    ops_complete(s->q.rt, &s->sent, error);
    ops_complete(s->q.rt, &s->pushes, error);
}

static void push_sent(struct lw_stream *s, struct op *op) {
    list_remove(&op->link);
    if (!s->q.push_acked && list_empty(&s->sent)) {
        op_complete(s->q.rt, op, 0);
        return;
    }
    PUSH_END(op) = s->q.push_acked ? s->sent_bytes : 0;
    list_push_back(&s->sent, &op->link);
}

static void complete_acked(struct lw_stream *s) {
    lw_stream_release_held(s, s->acked_bytes);
    for (struct op *op; (op = op_first(&s->sent)) && PUSH_END(op) <= s->acked_bytes;) {
        list_remove(&op->link);
        op_complete(s->q.rt, op, 0);
    }
}

/*
 * A push of which nothing was accepted fails alone for lack of memory. Otherwise it waits for lwIP's next poll. Returns
 * whether it failed.
 */
static bool fail_push(struct lw_stream *s, struct op *op, int error) {
    if (PUSH_SENT(op) > 0) return false;
    list_remove(&op->link);
    op_complete(s->q.rt, op, error);
    return true;
}

static void send_pushes(struct lw_stream *s) {
    for (struct op *op; (op = op_first(&s->pushes));) {
        int r = push_send(s, op);
        if (r == 0)
            push_sent(s, op);
        else if (r == -EAGAIN || !fail_push(s, op, r))
            break;
    }
    if (list_empty(&s->pushes) && s->shut_write && !s->fin_sent && !s->unread) {
        s->fin_sent = true;
        list_push_back(&s->net->finishing, &s->finishing);
        tcp_shutdown(s->pcb, 0, 1);
    }
    tcp_output(s->pcb);
}

void lw_stream_send(struct lw_stream *s) {
    if (s->pcb) {
        send_pushes(s);
    } else {
        lw_stream_release_held(s, UINT64_MAX);
        if (!s->error) s->acked_bytes = s->sent_bytes; /* the connection ended in order */
        s->push_failed |= !list_empty(&s->pushes);
        ops_complete(s->q.rt, &s->pushes, s->error ? s->error : -EPIPE);
        if (s->error) ops_complete(s->q.rt, &s->sent, s->error);
    }
    complete_acked(s);
}

int lw_stream_push(struct queue *q, struct op *op) {
    struct lw_stream *s = to_lw_stream(q);
    if (s->shut_write) return -EPIPE;
    if (s->state != LW_CONNECTED) return -ENOTCONN;
    if (s->net->lost) return -ENETDOWN;
    PUSH_SENT(op) = PUSH_END(op) = 0;
    host_set_time(clock_now_ns());
    list_push_back(&s->pushes, &op->link);
    if (op_first(&s->pushes) == op) lw_stream_send(s);
    lw_net_process_events(s->net);
    return 0;
}

void lw_stream_received(struct lw_stream *s, struct pbuf *p) {
    if (s->last)
        s->last->next = p;
    else
        s->first = p;
    while (p->next)
        p = p->next;
    s->last = p;
}

/* Unlinks the first pbuf; the caller frees it. */
static struct pbuf *unlink_first(struct lw_stream *s) {
    struct pbuf *p = s->first;
    s->first = p->next;
    if (!s->first) s->last = NULL;
    p->next = NULL;
    p->tot_len = p->len;
    return p;
}

bool lw_stream_discard_received(struct lw_stream *s) {
    bool data = false;
    while (s->first) {
        struct pbuf *p = unlink_first(s);
        data |= p->len > 0;
        pbuf_free(p);
    }
    return data;
}

/* Completes a pop with the next bytes, without a copy: the pop becomes an owner of their memory. */
static void pop_fill(struct lw_stream *s, struct op *op) {
    struct pbuf *p = s->first;
    uint16_t len = op->flags & OP_LIMITED && op->bytes < p->len ? (uint16_t)op->bytes : p->len;
    heap_share(p->payload);
    op->sga.sga_buf = p->payload;
    op->sga.sga_numsegs = 1;
    op->sga.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = p->payload, .sgaseg_len = len};
    if (len == p->len) {
        pbuf_free(unlink_first(s));
    } else {
        p->payload = (char *)p->payload + len;
        p->len = (uint16_t)(p->len - len);
    }
    if (s->pcb) tcp_recved(s->pcb, len);
}

void lw_stream_serve_pops(struct lw_stream *s) {
    for (struct op *op; (op = op_first(&s->waiters));) {
        int error = s->error;
        while (s->first && s->first->len == 0)
            pbuf_free(unlink_first(s));
        if (s->shut_read)
            error = 0;
        else if (s->first)
            error = 0, pop_fill(s, op);
        else if (!s->ended)
            return;
        list_remove(&op->link);
        op_complete(s->q.rt, op, error);
    }
}

int lw_stream_pop(struct queue *q, struct op *op) {
    struct lw_stream *s = to_lw_stream(q);
    if (s->state != LW_CONNECTED) return -ENOTCONN;
    host_set_time(clock_now_ns());
    list_push_back(&s->waiters, &op->link);
    if (op_first(&s->waiters) == op) lw_stream_serve_pops(s);
    if (s->net->lost && op->state == OP_PENDING) { /* data that arrived before the device was lost has been popped */
        list_remove(&op->link);
        return -ENETDOWN;
    }
    lw_net_process_events(s->net);
    return 0;
}
