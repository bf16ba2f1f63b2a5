/* SPDX-License-Identifier: MIT */
/* Segments out of order. */
#include "inet/tcp/ooo.h"

#include "inet/tcp/memory.h"

#define COPY_RATIO 4u /* a payload is copied if its block is larger by this factor */

static struct tcp_ooo_run *next_run(const struct tcp_conn *c, uint32_t seq) {
    return ooo_run_of(tree_after(c->ooo->runs, seq));
}

/* The run that holds seq, or ends there. */
static struct tcp_ooo_run *run_touching(const struct tcp_conn *c, uint32_t seq) {
    struct tcp_ooo_run *run = ooo_run_of(tree_at_or_before(c->ooo->runs, seq));
    return run && seq_le(seq, run->end) ? run : NULL;
}

static bool ooo_new(struct tcp_conn *c) {
    if (c->ooo) return true;
    struct tcp_ooo *o = sys_calloc(1, sizeof *o);
    if (!o) return false;
    o->conn = c;
    c->ooo = o;
    ooo_join(c);
    return true;
}

void ooo_join(struct tcp_conn *c) {
    if (c->ooo) list_push_back(&c->stack->tcp_out_of_order, &c->ooo->link);
}

void ooo_leave(struct tcp_conn *c) {
    if (c->ooo) list_remove(&c->ooo->link);
}

static void free_if_empty(struct tcp_conn *c) {
    if (!c->ooo || c->ooo->runs) return;
    ooo_leave(c);
    sys_free(c->ooo);
    c->ooo = NULL;
}

/* ---- segments ---- */

/*
 * A segment of the packet's bytes; `run`: the one that it continues, or NULL. NULL: no memory, or no allowance. A
 * small payload in a large block is copied, so that it does not pin the block.
 */
static struct tcp_ooo_slice *slice_new(struct tcp_conn *c, struct rx_packet *p, uint8_t *base, uint32_t len,
                                       const struct tcp_ooo_run *run) {
    uint32_t pinned = memory_pinned(base);
    bool copies = pinned / COPY_RATIO >= len;
    if (copies) pinned = run && len < TCP_COLLECT_BYTES ? TCP_COLLECT_BYTES : len;
    uint32_t charge =
        pinned + (uint32_t)sizeof(struct tcp_ooo_slice) + (run ? 0 : (uint32_t)sizeof(struct tcp_ooo_run));
    if (!memory_allows(c, charge)) {
        inet_count(c->stack, tcp_out_of_order_limit);
        return NULL;
    }
    if (memory_is_short(c->stack, charge)) {
        inet_count(c->stack, tcp_memory_limit);
        return NULL;
    }
    struct tcp_ooo_slice *slice = sys_calloc(1, sizeof *slice);
    uint8_t *copy = slice && copies ? heap_alloc(pinned) : NULL;
    if (!slice || (copies && !copy)) {
        sys_free(slice);
        inet_count(c->stack, no_memory);
        return NULL;
    }
    if (copies)
        memcpy(copy, base, len);
    else
        rx_keep(p);
    *slice = (struct tcp_ooo_slice){.base = copies ? copy : base, .len = len, .charge = charge};
    c->ooo->charged += charge;
    memory_charge(c, charge);
    return slice;
}

static void slice_drop(struct tcp_conn *c, struct tcp_ooo_slice *slice) {
    c->ooo->charged -= slice->charge;
    memory_uncharge(c, slice->charge);
    heap_free(slice->base);
    sys_free(slice);
}

/* ---- runs ---- */

static void count_bytes(struct tcp_conn *c, uint32_t bytes) {
    c->received += bytes;
    c->ooo->bytes += bytes;
}

void ooo_detach(struct tcp_conn *c, struct tcp_ooo_run *run) {
    tree_remove(&c->ooo->runs, &run->node);
    c->ooo->run_count--;
    c->ooo->bytes -= run->end - run->node.key;
}

void ooo_free_run(struct tcp_conn *c, struct tcp_ooo_run *run) {
    for (struct tcp_ooo_slice *slice = run->first, *next; slice; slice = next) {
        next = slice->next;
        c->received -= slice->len;
        slice_drop(c, slice);
    }
    sys_free(run);
    free_if_empty(c);
}

static void drop_run(struct tcp_conn *c, struct tcp_ooo_run *run) {
    ooo_detach(c, run);
    ooo_free_run(c, run);
}

/* A run of its own, of one segment. */
static struct tcp_ooo_run *run_new(struct tcp_conn *c, struct rx_packet *p, uint8_t *base, uint32_t seq, uint32_t len) {
    struct tcp_ooo_run *run = sys_calloc(1, sizeof *run);
    struct tcp_ooo_slice *slice = run ? slice_new(c, p, base, len, NULL) : NULL;
    if (!slice) {
        if (!run) inet_count(c->stack, no_memory);
        sys_free(run);
        return NULL;
    }
    run->first = run->last = slice;
    run->end = seq + len;
    tree_insert(&c->ooo->runs, &run->node, seq, (uint32_t)rng_next(&c->stack->rng));
    c->ooo->run_count++;
    count_bytes(c, len);
    return run;
}

/* Adds len bytes at the end of a run. False: they cannot be kept. */
static bool run_extend(struct tcp_conn *c, struct tcp_ooo_run *run, struct rx_packet *p, uint8_t *base, uint32_t len) {
    bool small = memory_pinned(base) / COPY_RATIO >= len;
    if (!small || !memory_append(run->last->base, &run->last->len, base, len)) {
        struct tcp_ooo_slice *slice = slice_new(c, p, base, len, run);
        if (!slice) return false;
        run->last->next = slice;
        run->last = slice;
    }
    run->end += len;
    count_bytes(c, len);
    return true;
}

/* The next run begins where this one ends: they become one. */
static void run_join(struct tcp_conn *c, struct tcp_ooo_run *run, struct tcp_ooo_run *next) {
    tree_remove(&c->ooo->runs, &next->node);
    c->ooo->run_count--;
    run->last->next = next->first;
    run->last = next->last;
    run->end = next->end;
    run->fin = next->fin;
    sys_free(next);
}

/* A FIN behind `end`, where nothing may follow. A FIN within bytes that were received is no FIN. */
static void mark_fin(struct tcp_conn *c, struct tcp_ooo_run *run, uint32_t end) {
    if (run->end != end) return;
    struct tcp_ooo_run *behind;
    while ((behind = next_run(c, end)))
        drop_run(c, behind);
    run->fin = true;
}

/* Adds [at, stop) to the run that ends at `at`, or makes one. NULL: it cannot be kept. */
static struct tcp_ooo_run *put(struct tcp_conn *c, struct tcp_ooo_run *run, struct rx_packet *p, uint8_t *base,
                               uint32_t at, uint32_t stop) {
    if (!run) return run_new(c, p, base, at, stop - at);
    return run_extend(c, run, p, base, stop - at) ? run : NULL;
}

void ooo_add(struct tcp_conn *c, struct rx_packet *p, uint8_t *base, uint32_t seq, uint32_t len, bool fin) {
    uint32_t at = seq, end = seq + len;
    if (!ooo_new(c)) {
        inet_count(c->stack, no_memory);
        return;
    }
    struct tcp_ooo_run *run = run_touching(c, at);
    while (run ? seq_lt(run->end, end) : seq_lt(at, end)) {
        struct tcp_ooo_run *next = next_run(c, run ? run->node.key : at);
        uint32_t stop = next && seq_lt(next->node.key, end) ? next->node.key : end;
        if (run) at = run->end;
        if (seq_lt(at, stop) && !(run = put(c, run, p, base + (at - seq), at, stop))) break;
        if (next && next->node.key == run->end) run_join(c, run, next);
    }
    if (run) c->ooo->recent = seq;
    if (run && fin) mark_fin(c, run, end);
    free_if_empty(c);
}

struct tcp_range ooo_overlap(const struct tcp_conn *c, uint32_t seq, uint32_t end) {
    struct tcp_range none = {seq, seq};
    if (!c->ooo) return none;
    struct tcp_ooo_run *run = run_touching(c, seq);
    if (!run || run->end == seq) run = next_run(c, seq);
    if (!run || !seq_lt(run->node.key, end)) return none;
    return (struct tcp_range){seq_max(run->node.key, seq), seq_lt(run->end, end) ? run->end : end};
}

bool ooo_stream_end(const struct tcp_conn *c, uint32_t *end) {
    struct tcp_ooo_run *last = c->ooo ? ooo_run_of(tree_last(c->ooo->runs)) : NULL;
    if (!last || !last->fin) return false;
    *end = last->end;
    return true;
}

static struct tcp_range range_of(const struct tcp_ooo_run *run) {
    return (struct tcp_range){run->node.key, run->end};
}

uint32_t ooo_blocks(const struct tcp_conn *c, struct tcp_range *blocks, uint32_t most) {
    if (!c->ooo || most == 0) return 0;
    struct tcp_ooo_run *recent = run_touching(c, c->ooo->recent), *run = ooo_run_of(tree_last(c->ooo->runs));
    uint32_t count = 0;
    if (!recent) recent = run;
    blocks[count++] = range_of(recent);
    for (; run && count < most; run = ooo_run_of(tree_before(c->ooo->runs, run->node.key)))
        if (run != recent) blocks[count++] = range_of(run);
    return count;
}

void ooo_clear(struct tcp_conn *c) {
    while (c->ooo)
        drop_run(c, ooo_run_of(c->ooo->runs));
}

void ooo_prune(struct inet *s, uint32_t more) {
    while (memory_is_full(s, more) && !list_empty(&s->tcp_out_of_order)) {
        struct tcp_ooo *oldest = list_entry(list_first(&s->tcp_out_of_order), struct tcp_ooo, link);
        inet_count(s, tcp_out_of_order_pruned);
        ooo_clear(oldest->conn);
    }
}
