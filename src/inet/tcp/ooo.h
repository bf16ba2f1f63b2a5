/* SPDX-License-Identifier: MIT */
/*
 * Segments that came out of order. Runs of bytes without a hole are in a tree by where they begin; each has the
 * segments that it is made of in a list. Adding a segment takes O(log n) of the runs.
 */
#ifndef INET_TCP_OOO_H
#define INET_TCP_OOO_H

#include "base/tree.h"
#include "inet/tcp/conn.h"

struct tcp_ooo_slice {
    struct tcp_ooo_slice *next;
    uint8_t *base;
    uint32_t len, charge;
};

struct tcp_ooo_run {
    struct tree_node node; /* its key is the first sequence number */
    uint32_t end;
    bool fin; /* a FIN follows it: no run lies behind */
    struct tcp_ooo_slice *first, *last;
};

/* Made with the first segment out of order, freed with the last. */
struct tcp_ooo {
    struct list link; /* among those of the stack, the oldest first */
    struct tcp_conn *conn;
    struct tree_node *runs;
    uint32_t run_count, bytes, charged;
    uint32_t recent; /* a sequence number in the run that changed last */
};

static inline struct tcp_ooo_run *ooo_run_of(struct tree_node *n) {
    return n ? list_entry(n, struct tcp_ooo_run, node) : NULL;
}

static inline struct tcp_ooo_run *ooo_first(const struct tcp_conn *c) {
    return c->ooo ? ooo_run_of(tree_first(c->ooo->runs)) : NULL;
}

/*
 * Keeps the new bytes of [seq, seq + len), which lie at `base` in the packet, and the FIN behind them. What the
 * connection's or the stack's memory does not allow is dropped and counted.
 */
void ooo_add(struct tcp_conn *c, struct rx_packet *p, uint8_t *base, uint32_t seq, uint32_t len, bool fin);

/* The first part of [seq, end) that was received already; start == end: none. */
struct tcp_range ooo_overlap(const struct tcp_conn *c, uint32_t seq, uint32_t end);

/* Where the stream ends, if a FIN is among the segments. */
bool ooo_stream_end(const struct tcp_conn *c, uint32_t *end);

/* Takes a run out of the tree; its segments are the caller's, and their charge stays the connection's. */
void ooo_detach(struct tcp_conn *c, struct tcp_ooo_run *run);
/* Frees a run that was detached, with the segments it has left. */
void ooo_free_run(struct tcp_conn *c, struct tcp_ooo_run *run);

/* Writes at most `most` runs as SACK blocks (RFC 2018 section 4): that which changed last, then from the highest on. */
uint32_t ooo_blocks(const struct tcp_conn *c, struct tcp_range *blocks, uint32_t most);

/* Frees all. */
void ooo_clear(struct tcp_conn *c);

/* Frees what connections have out of order, the oldest first, until the stack has room for so many bytes more. */
void ooo_prune(struct inet *s, uint32_t more);

/* Leaves the stack's list, or joins that of c->stack: the connection changes its stack. */
void ooo_leave(struct tcp_conn *c);
void ooo_join(struct tcp_conn *c);

#endif
