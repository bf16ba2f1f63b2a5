/* SPDX-License-Identifier: MIT */
/*
 * Received data. Payload stays in its frame, and slices of it are queued. Once a connection pins as much as its window,
 * payloads that are much smaller than their blocks are copied together.
 */
#include "inet/tcp/receive.h"

void receive_start(struct tcp_receive *r, uint32_t irs) {
    r->irs = irs;
    r->nxt = r->last_ack = irs + 1;
    r->adv = r->nxt + (r->limit < 65535 ? r->limit : 65535);
}

bool receive_update_due(const struct tcp_receive *r, uint32_t mss) {
    uint32_t told = receive_advertised(r), window = receive_window(r, mss);
    return window != told && window / 2 >= told;
}

bool receive_trim(struct tcp_receive *r, struct rx_packet *p, struct tcp_segment *g) {
    uint32_t edge = receive_edge(r);
    p->data += g->h.header_bytes;
    p->len = g->len;
    if (g->len > 0) reassembly_set_duplicate(&r->reassembly, 0, 0); /* only the last segment is reported */
    if (seq_lt(g->seq, r->nxt)) {
        uint32_t known = r->nxt - g->seq;
        if (g->len > 0 && r->sack)
            reassembly_set_duplicate(&r->reassembly, g->seq, g->seq + (known < g->len ? known : g->len));
        r->ack_now = true;
        if (known > g->len) {
            g->fin = false;
            known = g->len;
        }
        p->data += known;
        g->seq += known;
        g->len -= known;
    }
    if (!seq_lt(edge, g->seq + g->len)) return true;
    g->len = seq_lt(g->seq, edge) ? edge - g->seq : 0;
    g->fin = false;
    r->ack_now = true;
    return false;
}

/* ---- slices ---- */

static struct tcp_slice *last_slice(const struct tcp_receive *r) {
    return r->slices.count ? fifo_at(&r->slices, sizeof(struct tcp_slice), r->slices.first + r->slices.count - 1)
                           : NULL;
}

/* Payload is never dropped because it would pin too much: it is copied. */
static bool should_copy(const struct tcp_receive *r, uint32_t len, uint32_t pinned) {
    return r->slices.count > 0 && len <= pinned / 2 && receive_charged(r) + pinned > r->limit;
}

/* Whether the stack has memory for `pinned` bytes. A connection that has nothing to read always gets the next bytes. */
static bool find_room(const struct tcp_receive *r, struct tcp_memory *m, uint32_t pinned) {
    if (!memory_is_full(m, pinned)) return true;
    reassembly_prune(m, pinned);
    return !memory_is_full(m, pinned) || r->slices.count == 0;
}

/* Queues len bytes, and becomes the owner of their block. False: no memory. */
static bool slice_add(struct tcp_receive *r, struct tcp_memory *m, uint8_t *base, uint32_t len) {
    uint32_t pinned = memory_pinned(base);
    bool copies = should_copy(r, len, pinned);
    struct tcp_slice *last = copies ? last_slice(r) : NULL;
    if (last && memory_append(last->base, &last->len, base, len)) {
        heap_free(base);
        r->bytes += len;
        return true;
    }
    uint8_t *copy = copies ? heap_alloc(len < TCP_COLLECT_BYTES ? TCP_COLLECT_BYTES : len) : NULL;
    if (copy) pinned = memory_pinned(copy);
    struct tcp_slice *slice = find_room(r, m, pinned) ? fifo_add(&r->slices, sizeof *slice, TCP_QUEUE_MAX) : NULL;
    if (!slice) {
        if (copy) heap_free(copy);
        return false;
    }
    if (copy) {
        memcpy(copy, base, len);
        heap_free(base);
    }
    *slice = (struct tcp_slice){copy ? copy : base, len, pinned};
    memory_charge(m, &r->charged, pinned);
    r->bytes += len;
    return true;
}

bool receive_queue(struct tcp_receive *r, struct tcp_memory *m, uint8_t *base, uint32_t len) {
    if (!slice_add(r, m, base, len)) return false;
    r->nxt += len;
    return true;
}

/* ---- what has come into order ---- */

static void take_fin(struct tcp_receive *r, struct tcp_memory *m) {
    r->nxt++;
    r->fin_received = true;
    reassembly_clear(&r->reassembly, m); /* nothing can follow a FIN */
}

/*
 * Queues the slices of a detached run; its first `known` bytes have come in order already. False: no memory; the other
 * slices stay in the run.
 */
static bool take_slices(struct tcp_receive *r, struct tcp_memory *m, struct tcp_ooo_run *run, uint32_t known) {
    while (run->first) {
        uint32_t skip = known < run->first->len ? known : run->first->len, fresh = run->first->len - skip;
        struct tcp_slice *to = fresh ? fifo_add(&r->slices, sizeof *to, TCP_QUEUE_MAX) : NULL;
        if (fresh && !to) return false;
        struct tcp_ooo_slice *slice = reassembly_take(&r->reassembly, run);
        r->charged += slice->charge;
        if (to) {
            *to = (struct tcp_slice){slice->base + skip, fresh, slice->charge};
        } else {
            memory_uncharge(m, &r->charged, slice->charge);
            heap_free(slice->base);
        }
        r->bytes += fresh;
        r->nxt += fresh;
        known -= skip;
        sys_free(slice);
    }
    return true;
}

/* Queues the runs that have come into order. */
static void take_runs(struct tcp_receive *r, struct tcp_memory *m) {
    struct tcp_ooo_run *run;
    while ((run = reassembly_first(&r->reassembly)) && seq_le(run->node.key, r->nxt)) {
        uint32_t known = r->nxt - run->node.key, bytes = run->end - run->node.key;
        bool fin = run->fin;
        reassembly_detach(&r->reassembly, run);
        bool all = take_slices(r, m, run, known < bytes ? known : bytes);
        reassembly_free_run(&r->reassembly, m, run); /* the peer sends again what there was no memory for */
        if (!all) {
            inet_count(m, no_memory);
            return;
        }
        if (fin) take_fin(r, m);
    }
}

bool receive_add(struct tcp_receive *r, struct tcp_memory *m, struct rx_packet *p, const struct tcp_segment *g) {
    uint32_t before = r->nxt, len = g->len, last;
    bool fin = g->fin;
    if (reassembly_stream_end(&r->reassembly, &last) && seq_lt(last, g->seq + len)) { /* no data follows a FIN */
        len = seq_lt(g->seq, last) ? last - g->seq : 0;
        fin = false;
    }
    if (r->sack) reassembly_note_duplicate(&r->reassembly, g->seq, g->seq + len);
    if (seq_lt(r->nxt, g->seq)) { /* a FIN without data is not kept: the peer sends it again */
        if (len > 0) reassembly_add(&r->reassembly, m, receive_allowance(r), p, p->data, g->seq, len, fin);
        return false;
    }
    assert(g->seq == r->nxt); /* the caller has trimmed the segment */
    if (len > 0) {
        rx_keep(p);
        if (!receive_queue(r, m, p->data, len)) {
            if (memory_is_full(m, memory_pinned(p->data)))
                inet_count(m, tcp_memory_limit);
            else
                inet_count(m, no_memory);
            heap_free(p->data);
            return false;
        }
    }
    if (fin) take_fin(r, m);
    take_runs(r, m);
    return r->nxt != before;
}

/* ---- the application's side ---- */

int receive_peek(const struct tcp_receive *r, uint32_t offset, struct inet_segment *out) {
    for (uint32_t i = 0; i < r->slices.count; i++) {
        const struct tcp_slice *slice = fifo_at(&r->slices, sizeof *slice, r->slices.first + i);
        if (offset < slice->len) {
            *out = (struct inet_segment){slice->base + offset, slice->len - offset};
            return 0;
        }
        offset -= slice->len;
    }
    return -EAGAIN;
}

void receive_grow(struct tcp_receive *r, const struct tcp_memory *m) {
    uint64_t wanted = 4ull * r->tuned_bytes, told = 65535u << r->shift; /* the most that a segment can advertise */
    if (wanted > told) wanted = told;
    if (wanted > r->max) wanted = r->max;
    if (wanted > r->limit && !memory_is_short(m, 0)) r->limit = (uint32_t)wanted;
}

void receive_clear(struct tcp_receive *r, struct tcp_memory *m) {
    for (; r->slices.count > 0; fifo_drop_first(&r->slices)) {
        const struct tcp_slice *slice = fifo_at(&r->slices, sizeof *slice, r->slices.first);
        memory_uncharge(m, &r->charged, slice->charge);
        heap_free(slice->base);
    }
    fifo_free(&r->slices);
    reassembly_clear(&r->reassembly, m);
    assert(receive_charged(r) == 0); /* all that was charged was held */
    r->bytes = 0;
}
