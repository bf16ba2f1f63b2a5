/* SPDX-License-Identifier: MIT */
/*
 * Out-of-order segments, and the report of duplicates (D-SACK). Runs of bytes without a hole are in a tree by their
 * first sequence number; each has a list of the segments that it is made of. Adding a segment takes O(log n) of the
 * runs.
 */
#ifndef INET_TCP_REASSEMBLY_H
#define INET_TCP_REASSEMBLY_H

#include "base/tree.h"
#include "inet/state.h"
#include "inet/wire/tcp.h"

struct tcp_ooo_slice {
    struct tcp_ooo_slice *next;
    uint8_t *base;
    uint32_t len, charge;
};

struct tcp_ooo_run {
    struct tree_node node; /* its key is the first sequence number */
    uint32_t end;
    bool fin; /* a FIN follows it: it is the last run */
    struct tcp_ooo_slice *first, *last;
};

/* Allocated with the first out-of-order segment, freed with the last. */
struct tcp_ooo {
    struct list link; /* in tcp_memory.out_of_order */
    struct tcp_reassembly *owner;
    struct tree_node *runs;
    uint32_t run_count, bytes, charged;
    uint32_t recent; /* a sequence number in the run that changed last */
};

struct tcp_reassembly {
    struct tcp_ooo *ooo;        /* NULL: nothing is out of order */
    struct tcp_range duplicate; /* received twice, reported with the next ACK; start == end: none */
};

static inline struct tcp_ooo_run *reassembly_run(struct tree_node *n) {
    return n ? list_entry(n, struct tcp_ooo_run, node) : NULL;
}
/* The run with the lowest sequence numbers; NULL: none. */
static inline struct tcp_ooo_run *reassembly_first(const struct tcp_reassembly *r) {
    return r->ooo ? reassembly_run(tree_first(r->ooo->runs)) : NULL;
}
static inline bool reassembly_is_empty(const struct tcp_reassembly *r) {
    return !r->ooo;
}
static inline uint32_t reassembly_bytes(const struct tcp_reassembly *r) {
    return r->ooo ? r->ooo->bytes : 0;
}
static inline uint32_t reassembly_charged(const struct tcp_reassembly *r) {
    return r->ooo ? r->ooo->charged : 0;
}

/*
 * Keeps the new bytes of [seq, seq + len), which lie at `base` in the packet, and the FIN behind them. Bytes that would
 * raise the charge above `allowance`, or that the stack has no memory for, are dropped and counted.
 */
void reassembly_add(struct tcp_reassembly *r, struct tcp_memory *m, uint64_t allowance, struct rx_packet *p,
                    uint8_t *base, uint32_t seq, uint32_t len, bool fin);

/* The first part of [seq, end) that is among the runs; start == end: none. */
struct tcp_range reassembly_overlap(const struct tcp_reassembly *r, uint32_t seq, uint32_t end);

/* Whether a FIN is among the segments, and where the stream ends then. */
bool reassembly_stream_end(const struct tcp_reassembly *r, uint32_t *end);

/* Takes a run out of the tree. Its segments stay charged. */
void reassembly_detach(struct tcp_reassembly *r, struct tcp_ooo_run *run);
/* Takes the first segment off a detached run. The caller frees the structure, and its charge is the caller's. */
struct tcp_ooo_slice *reassembly_take(struct tcp_reassembly *r, struct tcp_ooo_run *run);
/* Frees a detached run with the segments that it still has. */
void reassembly_free_run(struct tcp_reassembly *r, struct tcp_memory *m, struct tcp_ooo_run *run);

/* Frees all runs. */
void reassembly_clear(struct tcp_reassembly *r, struct tcp_memory *m);
/* Frees runs of the stack's connections, oldest first, until the memory has room for `more` bytes. */
void reassembly_prune(struct tcp_memory *m, uint32_t more);

/* The connection leaves its stack, or joins one. */
void reassembly_leave(struct tcp_reassembly *r);
void reassembly_join(struct tcp_reassembly *r, struct tcp_memory *m);

/* [start, end) was received twice (RFC 2883). */
static inline void reassembly_set_duplicate(struct tcp_reassembly *r, uint32_t start, uint32_t end) {
    r->duplicate = (struct tcp_range){start, end};
}
static inline bool reassembly_has_duplicate(const struct tcp_reassembly *r) {
    return r->duplicate.start != r->duplicate.end;
}
/*
 * Notes which part of [seq, end) is among the runs already. Only the first such part is reported (RFC 2883 section 4),
 * so that one that was noted before stays.
 */
void reassembly_note_duplicate(struct tcp_reassembly *r, uint32_t seq, uint32_t end);

/* Whether there is anything for SACK blocks to report. */
static inline bool reassembly_has_blocks(const struct tcp_reassembly *r) {
    return r->ooo || reassembly_has_duplicate(r);
}
/*
 * Fills in SACK blocks. The first is the duplicate, if one was noted since the last call (RFC 2883). Next comes the run
 * that changed last; it contains the duplicate, unless the cumulative ACK covers that. The other runs follow, highest
 * first (RFC 2018 section 4).
 */
void reassembly_sack(struct tcp_reassembly *r, struct tcp_options *o);

#endif
