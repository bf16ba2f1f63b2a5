/* SPDX-License-Identifier: MIT */
/* Runs of out-of-order segments. */
#include "inet/tcp/reassembly.h"

#include "base/sys.h"

#define COPY_RATIO 4u /* a payload is copied if its block is larger by this factor */

static struct tcp_ooo_run *next_run(const struct tcp_reassembly *r, uint32_t seq) {
    return reassembly_run(tree_after(r->ooo->runs, seq));
}

/* The run that holds seq, or ends there. */
static struct tcp_ooo_run *run_touching(const struct tcp_reassembly *r, uint32_t seq) {
    struct tcp_ooo_run *run = reassembly_run(tree_at_or_before(r->ooo->runs, seq));
    return run && seq_le(seq, run->end) ? run : NULL;
}

static bool allocate(struct tcp_reassembly *r, struct tcp_memory *m) {
    if (r->ooo) return true;
    struct tcp_ooo *o = sys_calloc(1, sizeof *o);
    if (!o) return false;
    o->owner = r;
    r->ooo = o;
    reassembly_join(r, m);
    return true;
}

void reassembly_join(struct tcp_reassembly *r, struct tcp_memory *m) {
    if (r->ooo) list_push_back(&m->out_of_order, &r->ooo->link);
}

void reassembly_leave(struct tcp_reassembly *r) {
    if (r->ooo) list_remove(&r->ooo->link);
}

static void free_if_empty(struct tcp_reassembly *r) {
    if (!r->ooo || r->ooo->runs) return;
    reassembly_leave(r);
    sys_free(r->ooo);
    r->ooo = NULL;
}

/* ---- segments ---- */

/* Where a segment's bytes come from, and what they may cost. */
struct source {
    struct tcp_memory *memory;
    uint64_t allowance;
    struct rx_packet *packet;
};

/*
 * A segment of the packet's bytes. `run`: the run that it continues, or NULL. Returns NULL if there is no memory or no
 * allowance. A small payload in a large block is copied, so that it does not pin the block.
 */
static struct tcp_ooo_slice *slice_new(struct tcp_reassembly *r, const struct source *from, uint8_t *base, uint32_t len,
                                       const struct tcp_ooo_run *run) {
    struct tcp_memory *m = from->memory;
    uint32_t pinned = memory_pinned(base);
    bool copies = pinned / COPY_RATIO >= len;
    if (copies) pinned = run && len < TCP_COLLECT_BYTES ? TCP_COLLECT_BYTES : len;
    uint32_t charge =
        pinned + (uint32_t)sizeof(struct tcp_ooo_slice) + (run ? 0 : (uint32_t)sizeof(struct tcp_ooo_run));
    if ((uint64_t)r->ooo->charged + charge > from->allowance) {
        inet_count(m, tcp_out_of_order_limit);
        return NULL;
    }
    if (memory_is_short(m, charge)) {
        inet_count(m, tcp_memory_limit);
        return NULL;
    }
    struct tcp_ooo_slice *slice = sys_calloc(1, sizeof *slice);
    uint8_t *copy = slice && copies ? heap_alloc(pinned) : NULL;
    if (!slice || (copies && !copy)) {
        sys_free(slice);
        inet_count(m, no_memory);
        return NULL;
    }
    if (copies)
        memcpy(copy, base, len);
    else
        rx_keep(from->packet);
    *slice = (struct tcp_ooo_slice){.base = copies ? copy : base, .len = len, .charge = charge};
    memory_charge(m, &r->ooo->charged, charge);
    return slice;
}

static void slice_drop(struct tcp_reassembly *r, struct tcp_memory *m, struct tcp_ooo_slice *slice) {
    memory_uncharge(m, &r->ooo->charged, slice->charge);
    heap_free(slice->base);
    sys_free(slice);
}

/* ---- runs ---- */

void reassembly_detach(struct tcp_reassembly *r, struct tcp_ooo_run *run) {
    tree_remove(&r->ooo->runs, &run->node);
    r->ooo->run_count--;
    r->ooo->bytes -= run->end - run->node.key;
}

struct tcp_ooo_slice *reassembly_take(struct tcp_reassembly *r, struct tcp_ooo_run *run) {
    struct tcp_ooo_slice *slice = run->first;
    if (!slice) return NULL;
    run->first = slice->next;
    r->ooo->charged -= slice->charge;
    return slice;
}

void reassembly_free_run(struct tcp_reassembly *r, struct tcp_memory *m, struct tcp_ooo_run *run) {
    for (struct tcp_ooo_slice *slice = run->first, *next; slice; slice = next) {
        next = slice->next;
        slice_drop(r, m, slice);
    }
    sys_free(run);
    free_if_empty(r);
}

static void drop_run(struct tcp_reassembly *r, struct tcp_memory *m, struct tcp_ooo_run *run) {
    reassembly_detach(r, run);
    reassembly_free_run(r, m, run);
}

/* A run of its own, of one segment. */
static struct tcp_ooo_run *run_new(struct tcp_reassembly *r, const struct source *from, uint8_t *base, uint32_t seq,
                                   uint32_t len) {
    struct tcp_ooo_run *run = sys_calloc(1, sizeof *run);
    struct tcp_ooo_slice *slice = run ? slice_new(r, from, base, len, NULL) : NULL;
    if (!slice) {
        if (!run) inet_count(from->memory, no_memory);
        sys_free(run);
        return NULL;
    }
    run->first = run->last = slice;
    run->end = seq + len;
    tree_insert(&r->ooo->runs, &run->node, seq, (uint32_t)rng_next(from->memory->rng));
    r->ooo->run_count++;
    r->ooo->bytes += len;
    return run;
}

/* Adds len bytes at the end of a run. False: they cannot be kept. */
static bool run_extend(struct tcp_reassembly *r, struct tcp_ooo_run *run, const struct source *from, uint8_t *base,
                       uint32_t len) {
    bool small = memory_pinned(base) / COPY_RATIO >= len;
    if (!small || !memory_append(run->last->base, &run->last->len, base, len)) {
        struct tcp_ooo_slice *slice = slice_new(r, from, base, len, run);
        if (!slice) return false;
        run->last->next = slice;
        run->last = slice;
    }
    run->end += len;
    r->ooo->bytes += len;
    return true;
}

/* The next run begins where this one ends: they become one. */
static void run_join(struct tcp_reassembly *r, struct tcp_ooo_run *run, struct tcp_ooo_run *next) {
    tree_remove(&r->ooo->runs, &next->node);
    r->ooo->run_count--;
    run->last->next = next->first;
    run->last = next->last;
    run->end = next->end;
    run->fin = next->fin;
    sys_free(next);
}

/* A FIN follows `end`: later runs are dropped. A FIN within bytes that were received is ignored. */
static void mark_fin(struct tcp_reassembly *r, struct tcp_memory *m, struct tcp_ooo_run *run, uint32_t end) {
    if (run->end != end) return;
    struct tcp_ooo_run *behind;
    while ((behind = next_run(r, end)))
        drop_run(r, m, behind);
    run->fin = true;
}

/* Adds [at, stop) to the run that ends at `at`, or makes one. NULL: it cannot be kept. */
static struct tcp_ooo_run *put(struct tcp_reassembly *r, struct tcp_ooo_run *run, const struct source *from,
                               uint8_t *base, uint32_t at, uint32_t stop) {
    if (!run) return run_new(r, from, base, at, stop - at);
    return run_extend(r, run, from, base, stop - at) ? run : NULL;
}

void reassembly_add(struct tcp_reassembly *r, struct tcp_memory *m, uint64_t allowance, struct rx_packet *p,
                    uint8_t *base, uint32_t seq, uint32_t len, bool fin) {
    const struct source from = {m, allowance, p};
    uint32_t at = seq, end = seq + len;
    if (!allocate(r, m)) {
        inet_count(m, no_memory);
        return;
    }
    struct tcp_ooo_run *run = run_touching(r, at);
    while (run ? seq_lt(run->end, end) : seq_lt(at, end)) {
        struct tcp_ooo_run *next = next_run(r, run ? run->node.key : at);
        uint32_t stop = next && seq_lt(next->node.key, end) ? next->node.key : end;
        if (run) at = run->end;
        if (seq_lt(at, stop) && !(run = put(r, run, &from, base + (at - seq), at, stop))) break;
        if (next && next->node.key == run->end) run_join(r, run, next);
    }
    if (run) r->ooo->recent = seq;
    if (run && fin) mark_fin(r, m, run, end);
    free_if_empty(r);
}

struct tcp_range reassembly_overlap(const struct tcp_reassembly *r, uint32_t seq, uint32_t end) {
    struct tcp_range none = {seq, seq};
    if (!r->ooo) return none;
    struct tcp_ooo_run *run = run_touching(r, seq);
    if (!run || run->end == seq) run = next_run(r, seq);
    if (!run || !seq_lt(run->node.key, end)) return none;
    return (struct tcp_range){seq_max(run->node.key, seq), seq_lt(run->end, end) ? run->end : end};
}

bool reassembly_stream_end(const struct tcp_reassembly *r, uint32_t *end) {
    struct tcp_ooo_run *last = r->ooo ? reassembly_run(tree_last(r->ooo->runs)) : NULL;
    if (!last || !last->fin) return false;
    *end = last->end;
    return true;
}

static struct tcp_range range_of(const struct tcp_ooo_run *run) {
    return (struct tcp_range){run->node.key, run->end};
}

static uint32_t run_blocks(const struct tcp_reassembly *r, struct tcp_range *blocks, uint32_t most) {
    if (!r->ooo || most == 0) return 0;
    struct tcp_ooo_run *recent = run_touching(r, r->ooo->recent), *run = reassembly_run(tree_last(r->ooo->runs));
    uint32_t count = 0;
    if (!recent) recent = run;
    blocks[count++] = range_of(recent);
    for (; run && count < most; run = reassembly_run(tree_before(r->ooo->runs, run->node.key)))
        if (run != recent) blocks[count++] = range_of(run);
    return count;
}

void reassembly_note_duplicate(struct tcp_reassembly *r, uint32_t seq, uint32_t end) {
    struct tcp_range twice = reassembly_overlap(r, seq, end);
    if (twice.start == twice.end || reassembly_has_duplicate(r)) return;
    r->duplicate = twice;
    r->ooo->recent = twice.start;
}

void reassembly_sack(struct tcp_reassembly *r, struct tcp_options *o) {
    if (reassembly_has_duplicate(r)) o->sack[o->sack_count++] = r->duplicate;
    reassembly_set_duplicate(r, 0, 0);
    o->sack_count =
        (uint8_t)(o->sack_count + run_blocks(r, o->sack + o->sack_count, TCP_SACK_BLOCKS_MAX - o->sack_count));
}

void reassembly_clear(struct tcp_reassembly *r, struct tcp_memory *m) {
    while (r->ooo)
        drop_run(r, m, reassembly_run(r->ooo->runs));
}

void reassembly_prune(struct tcp_memory *m, uint32_t more) {
    while (memory_is_full(m, more) && !list_empty(&m->out_of_order)) {
        struct tcp_ooo *oldest = list_entry(list_first(&m->out_of_order), struct tcp_ooo, link);
        inet_count(m, tcp_out_of_order_pruned);
        reassembly_clear(oldest->owner, m);
    }
}
