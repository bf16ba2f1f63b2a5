/* SPDX-License-Identifier: MIT */
/*
 * Reassembly. Received payload stays in its frame; slices of it are queued. Once a connection pins as much as its
 * window, payloads that are much smaller than their blocks are copied together.
 */
#include "inet/tcp/reassembly.h"

#include "inet/tcp/memory.h"
#include "inet/tcp/ooo.h"

#include <assert.h>

static struct tcp_slice *last_slice(const struct tcp_conn *c) {
    return c->slices.count ? fifo_at(&c->slices, sizeof(struct tcp_slice), c->slices.first + c->slices.count - 1)
                           : NULL;
}

/* Nothing is dropped for its own charge: what would pin too much is copied. */
static bool should_copy(const struct tcp_conn *c, uint32_t len, uint32_t pinned) {
    return c->charged + pinned > c->receive_limit && len <= pinned / 2 && c->slices.count > 0;
}

/* Whether the stack has memory for so much. A connection that has nothing to read is always given what comes next. */
static bool find_room(struct tcp_conn *c, uint32_t pinned) {
    if (!memory_is_full(c->stack, pinned)) return true;
    ooo_prune(c->stack, pinned);
    return !memory_is_full(c->stack, pinned) || c->slices.count == 0;
}

/* Queues len bytes, and takes over the ownership of their block, which pins so much. false: no memory. */
static bool slice_add(struct tcp_conn *c, uint8_t *base, uint32_t len, uint32_t pinned) {
    bool copies = should_copy(c, len, pinned);
    struct tcp_slice *last = copies ? last_slice(c) : NULL;
    if (last && memory_append(last->base, &last->len, base, len)) {
        heap_free(base);
        c->received += len;
        return true;
    }
    uint8_t *copy = copies ? heap_alloc(len < TCP_COLLECT_BYTES ? TCP_COLLECT_BYTES : len) : NULL;
    if (copy) pinned = memory_pinned(copy);
    struct tcp_slice *slice = find_room(c, pinned) ? fifo_add(&c->slices, sizeof *slice, TCP_QUEUE_MAX) : NULL;
    if (!slice) {
        if (copy) heap_free(copy);
        return false;
    }
    if (copy) {
        memcpy(copy, base, len);
        heap_free(base);
    }
    *slice = (struct tcp_slice){copy ? copy : base, len, pinned};
    memory_charge(c, pinned);
    c->received += len;
    return true;
}

bool reassembly_next(struct tcp_conn *c, uint8_t *base, uint32_t len) {
    if (!slice_add(c, base, len, memory_pinned(base))) return false;
    c->rcv_nxt += len;
    return true;
}

static void take_fin(struct tcp_conn *c) {
    c->rcv_nxt++;
    c->fin_received = true;
}

/* Moves a run into order; its first `known` bytes have come already. False: no memory; the rest stays in the run. */
static bool take_run(struct tcp_conn *c, struct tcp_ooo_run *run, uint32_t known) {
    for (struct tcp_ooo_slice *slice; (slice = run->first);) {
        uint32_t skip = known < slice->len ? known : slice->len, fresh = slice->len - skip;
        struct tcp_slice *to = fresh ? fifo_add(&c->slices, sizeof *to, TCP_QUEUE_MAX) : NULL;
        if (fresh && !to) return false;
        if (to)
            *to = (struct tcp_slice){slice->base + skip, fresh, slice->charge};
        else
            heap_free(slice->base);
        if (!to) memory_uncharge(c, slice->charge);
        c->ooo->charged -= slice->charge;
        c->received -= skip;
        c->rcv_nxt += fresh;
        known -= skip;
        run->first = slice->next;
        sys_free(slice);
    }
    return true;
}

/* Moves what has come into order. Behind a FIN there is nothing worth keeping. */
static void take_runs(struct tcp_conn *c) {
    struct tcp_ooo_run *run;
    while ((run = ooo_first(c)) && seq_le(run->node.key, c->rcv_nxt)) {
        uint32_t known = c->rcv_nxt - run->node.key, bytes = run->end - run->node.key;
        bool fin = run->fin;
        ooo_detach(c, run);
        bool all = take_run(c, run, known < bytes ? known : bytes);
        ooo_free_run(c, run); /* what found no memory comes again */
        if (!all) {
            inet_count(c->stack, no_memory);
            return;
        }
        if (fin) {
            take_fin(c);
            ooo_clear(c);
        }
    }
}

/* What of [seq, end) came before, unless a part before it did: only the first is told (RFC 2883 section 4). */
static void note_duplicate(struct tcp_conn *c, uint32_t seq, uint32_t end) {
    struct tcp_range twice = ooo_overlap(c, seq, end);
    if (!c->sack || twice.start == twice.end || c->dsack.start != c->dsack.end) return;
    c->dsack = twice;
    c->ooo->recent = twice.start;
}

bool reassembly_add(struct tcp_conn *c, struct rx_packet *p, const struct tcp_segment *g) {
    uint32_t before = c->rcv_nxt, len = g->len, last;
    bool fin = g->fin;
    if (ooo_stream_end(c, &last) && seq_lt(last, g->seq + len)) { /* behind the FIN is no data */
        len = seq_lt(g->seq, last) ? last - g->seq : 0;
        fin = false;
    }
    note_duplicate(c, g->seq, g->seq + len);
    if (seq_lt(c->rcv_nxt, g->seq)) {
        if (len > 0) ooo_add(c, p, p->data, g->seq, len, fin); /* a lone FIN has nothing to keep: it comes again */
        return false;
    }
    assert(g->seq == c->rcv_nxt); /* the caller has cut off what came before */
    if (len > 0) {
        rx_keep(p);
        if (!reassembly_next(c, p->data, len)) {
            if (memory_is_full(c->stack, memory_pinned(p->data)))
                inet_count(c->stack, tcp_memory_limit);
            else
                inet_count(c->stack, no_memory);
            heap_free(p->data);
            return false;
        }
    }
    if (fin) {
        take_fin(c);
        ooo_clear(c);
    }
    take_runs(c);
    return c->rcv_nxt != before;
}

void reassembly_sack(struct tcp_conn *c, struct tcp_options *o) {
    if (c->dsack.start != c->dsack.end) o->sack[o->sack_count++] = c->dsack;
    c->dsack = (struct tcp_range){0, 0};
    o->sack_count =
        (uint8_t)(o->sack_count + ooo_blocks(c, o->sack + o->sack_count, TCP_SACK_BLOCKS_MAX - o->sack_count));
}

void reassembly_clear(struct tcp_conn *c) {
    for (; c->slices.count > 0; fifo_drop_first(&c->slices)) {
        const struct tcp_slice *slice = fifo_at(&c->slices, sizeof *slice, c->slices.first);
        memory_uncharge(c, slice->charge);
        heap_free(slice->base);
    }
    fifo_free(&c->slices);
    ooo_clear(c);
    assert(c->charged == 0); /* all that was charged was held */
    c->received = 0;
}
