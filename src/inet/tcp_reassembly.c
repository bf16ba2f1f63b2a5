/* SPDX-License-Identifier: MIT */
/*
 * Reassembly. Received payload stays in its frame; slices of it are queued. Segments that are much smaller than the
 * block they lie in are copied together once many wait, so that the memory held stays in proportion to the window.
 */
#include "inet/tcp_reassembly.h"

#define SMALL_BYTES   256u  /* such payloads are copied ... */
#define SMALL_QUEUED  64u   /* ... when so many slices wait */
#define COLLECT_BYTES 2048u /* into blocks of this size */

static bool slice_append(struct tcp_conn *c, const uint8_t *base, uint32_t len) {
    if (c->slices.count == 0) return false;
    struct inet_slice *last = queue_at(&c->slices, sizeof *last, c->slices.first + c->slices.count - 1);
    uint8_t *end = (uint8_t *)last->base + last->len;
    /* Only into a block of our own: it begins with the slice, which a received frame never does. */
    if (heap_block(last->base) != last->base || heap_usable_size(last->base) < last->len + len) return false;
    memcpy(end, base, len);
    last->len += len;
    return true;
}

/* Queues len bytes, and takes over the ownership of their block. false: no memory. */
static bool slice_add(struct tcp_conn *c, uint8_t *base, uint32_t len) {
    bool small = len <= SMALL_BYTES && c->slices.count >= SMALL_QUEUED;
    if (small && slice_append(c, base, len)) {
        heap_free(base);
        c->received += len;
        return true;
    }
    struct inet_slice *slice = queue_add(&c->slices, sizeof *slice, TCP_QUEUE_MAX);
    if (!slice) return false;
    *slice = (struct inet_slice){base, len};
    uint8_t *copy = small ? heap_alloc(COLLECT_BYTES) : NULL;
    if (copy) {
        memcpy(copy, base, len);
        heap_free(base);
        slice->base = copy;
    }
    c->received += len;
    return true;
}

/* In order: [seq, seq + len) reaches rcv_nxt or beyond. false: it cannot be kept, and is going to come again. */
static bool accept(struct tcp_conn *c, uint8_t *base, uint32_t seq, uint32_t len, bool fin) {
    uint32_t known = c->rcv_nxt - seq;
    if (known < len) {
        if (!slice_add(c, base + known, len - known)) return false;
        c->rcv_nxt = seq + len;
    } else if (len > 0) {
        heap_free(base);
    }
    if (fin) {
        c->rcv_nxt = seq + len + 1;
        c->fin_received = true;
    }
    return true;
}

bool reassembly_next(struct tcp_conn *c, uint8_t *base, uint32_t len) {
    if (!slice_add(c, base, len)) return false;
    c->rcv_nxt += len;
    return true;
}

static void gap_remove(struct tcp_conn *c, uint32_t i) {
    memmove(&c->gaps[i], &c->gaps[i + 1], (--c->gap_count - i) * sizeof *c->gaps);
}

static void gaps_clear(struct tcp_conn *c) {
    for (uint32_t i = 0; i < c->gap_count; i++) {
        c->received -= c->gaps[i].len;
        heap_free(c->gaps[i].base);
    }
    sys_free(c->gaps);
    c->gaps = NULL;
    c->gap_count = c->gap_room = 0;
}

/* The run that gap *i belongs to, neighbours without a hole between them included; *i becomes its first gap. */
static struct tcp_range run_around(const struct tcp_conn *c, uint32_t *i) {
    const struct tcp_gap *g = c->gaps;
    uint32_t last = *i;
    while (last + 1 < c->gap_count && g[last].seq + g[last].len == g[last + 1].seq)
        last++;
    while (*i > 0 && g[*i - 1].seq + g[*i - 1].len == g[*i].seq)
        --*i;
    return (struct tcp_range){g[*i].seq, g[last].seq + g[last].len};
}

/* What came twice of the run that gap i begins, once [seq, end) has come: RFC 2883 section 4. */
static void duplicate_note(struct tcp_conn *c, uint32_t i, uint32_t seq, uint32_t end) {
    if (!c->sack || i >= c->gap_count || !seq_lt(c->gaps[i].seq, end)) return;
    struct tcp_range run = run_around(c, &i);
    c->dsack.start = seq_max(run.start, seq);
    c->dsack.end = seq_lt(run.end, end) ? run.end : end;
}

/* Moves what has come into order. Behind a FIN there is nothing worth keeping. */
static void gaps_drain(struct tcp_conn *c) {
    if (c->gap_count > 0) duplicate_note(c, 0, c->gaps[0].seq, c->rcv_nxt);
    while (c->gap_count > 0 && seq_le(c->gaps[0].seq, c->rcv_nxt) && !c->fin_received) {
        struct tcp_gap g = c->gaps[0];
        c->received -= g.len;
        if (!accept(c, g.base, g.seq, g.len, g.fin)) {
            inet_count(c->stack, no_memory);
            c->received += g.len;
            return;
        }
        gap_remove(c, 0);
    }
    if (c->gap_count == 0 || c->fin_received) gaps_clear(c);
}

static bool gap_room(struct tcp_conn *c) {
    if (c->gap_count < c->gap_room) return true;
    if (c->gap_room == TCP_OUT_OF_ORDER_MAX) return false;
    uint32_t room = c->gap_room ? c->gap_room * 2 : QUEUE_FIRST;
    struct tcp_gap *gaps = sys_calloc(room, sizeof *gaps);
    if (!gaps) return false;
    if (c->gap_count) memcpy(gaps, c->gaps, c->gap_count * sizeof *gaps);
    sys_free(c->gaps);
    c->gaps = gaps;
    c->gap_room = room;
    return true;
}

/* Keeps the new bytes of [seq, seq + len) between the gaps; each part is a share of the same block. */
static void gap_add(struct tcp_conn *c, struct packet *p, uint32_t seq, uint32_t len, bool fin) {
    uint32_t end = seq + len, i = c->gap_count;
    uint8_t *base = p->at;
    while (i > 0 && seq_lt(seq, c->gaps[i - 1].seq + c->gaps[i - 1].len))
        i--;
    duplicate_note(c, i, seq, end);
    for (;; i++) {
        uint32_t stop = i < c->gap_count && seq_lt(c->gaps[i].seq, end) ? c->gaps[i].seq : end;
        if (seq_lt(seq, stop)) {
            if (!gap_room(c)) {
                inet_count(c->stack, tcp_out_of_order_limit);
                return;
            }
            packet_keep(p);
            memmove(&c->gaps[i + 1], &c->gaps[i], (c->gap_count - i) * sizeof *c->gaps);
            c->gaps[i] = (struct tcp_gap){base, seq, stop - seq, fin && stop == end};
            c->gap_count++;
            c->recent_gap = seq;
            c->received += stop - seq;
            i++;
        }
        if (stop == end) return;
        uint32_t next = c->gaps[i].seq + c->gaps[i].len;
        if (seq_le(end, next)) return;
        base += next - seq;
        seq = next;
    }
}

bool reassembly_add(struct tcp_conn *c, struct packet *p, const struct tcp_segment *g) {
    uint32_t before = c->rcv_nxt;
    if (seq_lt(c->rcv_nxt, g->seq)) {
        /* a lone FIN has no bytes to keep: it comes again when its turn has come */
        if (g->len > 0) gap_add(c, p, g->seq, g->len, g->fin);
        return false;
    }
    if (g->len > 0) {
        packet_keep(p);
        if (!accept(c, p->at, g->seq, g->len, g->fin)) {
            inet_count(c->stack, no_memory);
            heap_free(p->at);
            return false;
        }
    } else {
        accept(c, NULL, g->seq, 0, g->fin);
    }
    gaps_drain(c);
    return c->rcv_nxt != before;
}

void reassembly_sack(struct tcp_conn *c, struct tcp_options *o) {
    if (c->dsack.start != c->dsack.end) o->sack[o->sack_count++] = c->dsack;
    c->dsack = (struct tcp_range){0, 0};
    if (c->gap_count == 0) return;
    uint32_t recent = c->gap_count - 1;
    while (recent > 0 && seq_lt(c->recent_gap, c->gaps[recent].seq))
        recent--;
    struct tcp_range first = run_around(c, &recent);
    o->sack[o->sack_count++] = first;
    for (uint32_t i = c->gap_count; i > 0 && o->sack_count < TCP_SACK_BLOCKS_MAX;) {
        struct tcp_range run;
        i--;
        run = run_around(c, &i);
        if (run.start != first.start) o->sack[o->sack_count++] = run;
    }
}

void reassembly_clear(struct tcp_conn *c) {
    for (; c->slices.count > 0; queue_drop_first(&c->slices))
        heap_free(((struct inet_slice *)queue_at(&c->slices, sizeof(struct inet_slice), c->slices.first))->base);
    queue_free(&c->slices);
    gaps_clear(c);
    c->received = 0;
}
