/* SPDX-License-Identifier: MIT */
/* Data of TCP sockets over lwIP. */
#include "libos/lwip/stream.h"

#include "mem/heap.h"

#include "lwip/tcp.h"

#define COPY_BYTES 1024u /* up to this size a copy is cheaper than a reference */

_Static_assert(STREAM_PIECE_BYTES <= UINT16_MAX, "lwIP counts the bytes of a write in 16 bits");

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

static int write_copy(struct lw_stream *s, const void *base, uint16_t bytes, uint8_t flags) {
    err_t err = tcp_write(s->pcb, base, bytes, flags | TCP_WRITE_FLAG_COPY);
    if (err != ERR_OK) return err;
    s->stream.q.copies++;
    counter_add(&s->net->rt->counters, copied_bytes, bytes);
    return ERR_OK;
}

static int write_reference(struct lw_stream *s, const void *base, uint16_t bytes, uint8_t flags) {
    struct held_push *h = heap_alloc(sizeof *h);
    err_t err = h ? tcp_write(s->pcb, base, bytes, flags) : ERR_MEM;
    if (err != ERR_OK) {
        if (h) heap_free(h);
        return err;
    }
    heap_hold(base);
    *h = (struct held_push){.base = base, .end = s->stream.written_bytes + bytes};
    list_push_back(&s->held, &h->link);
    return ERR_OK;
}

int lw_write(struct stream *s, const void *base, uint32_t bytes, uint32_t flags, uint64_t now) {
    struct lw_stream *ls = lw_stream_of(s);
    (void)now;
    if (!ls->pcb) return ls->error ? ls->error : -EPIPE;
    uint32_t room = tcp_sndbuf(ls->pcb);
    if (room == 0) return -EAGAIN;
    bool more = flags & STREAM_WRITE_MORE || room < bytes;
    if (bytes > room) bytes = room;
    bool copy = bytes <= COPY_BYTES || !heap_owns(base);
    int err = (copy ? write_copy : write_reference)(ls, base, (uint16_t)bytes, more ? TCP_WRITE_FLAG_MORE : 0);
    if (err == ERR_OK) return (int)bytes;
    /* lwIP's next acknowledgement or poll tries again, unless the push can fail alone. */
    bool later = err == ERR_MEM && (tcp_sndqueuelen(ls->pcb) > 0 || !(flags & STREAM_WRITE_FIRST));
    return later ? -EAGAIN : lw_error(err);
}

void lw_flush(struct stream *s) {
    struct lw_stream *ls = lw_stream_of(s);
    if (ls->pcb) tcp_output(ls->pcb);
}

void lw_stream_received(struct lw_stream *s, struct pbuf *p) {
    if (s->last)
        s->last->next = p;
    else
        s->first = p;
    while (p->next)
        p = p->next;
    s->last = p;
    if (s->stream.closed) s->unread |= lw_stream_discard_received(s);
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
    op_set_popped(op, p->payload, len);
    if (len == p->len) {
        pbuf_free(unlink_first(s));
    } else {
        p->payload = (char *)p->payload + len;
        p->len = (uint16_t)(p->len - len);
    }
    if (s->pcb) tcp_recved(s->pcb, len);
}

bool lw_readable(const struct stream *s) {
    const struct lw_stream *ls = lw_stream_of(s);
    const struct pbuf *p = ls->first;
    while (p && p->len == 0)
        p = p->next;
    return p || ls->ended;
}

int lw_pop(struct stream *s, struct op *op, uint64_t now) {
    struct lw_stream *ls = lw_stream_of(s);
    (void)now;
    while (ls->first && ls->first->len == 0)
        pbuf_free(unlink_first(ls));
    if (!ls->first) return ls->ended ? ls->error : -EAGAIN;
    pop_fill(ls, op);
    return 0;
}
