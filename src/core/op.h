/* SPDX-License-Identifier: MIT */
/*
 * Operations. An operation is a slot in a slab; its token names runtime, slot and generation, so that checking a
 * token is an index and a compare. An operation is FREE, PENDING (its queue works on it) or READY (its result
 * waits to be fetched). Results are fetched in order of completion.
 *
 * Internal operations belong to a layer of the library (framing, operators) instead of a token: when one is complete
 * its `done` runs from the next poll of the runtime, never inside op_complete, so that layers cannot recurse. `done`
 * takes or releases the result and ends with op_free.
 */
#ifndef CORE_OP_H
#define CORE_OP_H

#include "base/list.h"
#include "core/runtime.h"
#include "core/timer.h"
#include "dmtr/types.h"

#include <errno.h>
#include <stdbool.h>

typedef void (*op_done_fn)(struct dmtr_runtime *rt, struct op *op);

enum op_state { OP_FREE, OP_PENDING, OP_READY };

enum op_flag {
    OP_DROPPED = 1,   /* nobody wants the result; freed as soon as complete */
    OP_HELD = 2,      /* heap_hold was taken on the segments that are the heap's */
    OP_TO = 4,        /* push: sga.sga_addr is the destination */
    OP_LIMITED = 8,   /* pop: `bytes` is the most it may take */
    OP_COUNTED = 16,  /* push: `bytes` counts against its queue's limit */
    OP_INTERNAL = 32, /* belongs to a layer: it has `done` in place of `user` */
    OP_OWNED = 64,    /* push: its one segment is freed with it */
    OP_QUIET = 128,   /* push: has a result only if it fails */
};

struct op {
    union {
        struct list link; /* PENDING: the backend's. READY: a list of the runtime. */
        struct op *next_free;
    };

    /* As in dmtr_qresult_t, so that a result is handed out in two moves. `hint` is where a result has padding. */
    uint32_t opcode;
    int qd;
    dmtr_qtoken_t token; /* FREE: the next one's */
    int error;           /* READY: 0 or a positive errno */
    uint32_t hint;       /* where wait_any last saw the token */
    union {
        void *user;      /* for the result: the queue's when the operation was begun (dmtr_set_user) */
        op_done_fn done; /* with OP_INTERNAL */
    };

    uint8_t state;
    bool named; /* somebody holds the token: not FREE, not internal, not dropped */
    uint16_t flags;
    uint32_t numsegs; /* push: see segs */
    struct queue *q;  /* NULL: none (timer, watch). Valid while PENDING. */

    void *ctx; /* for done */
    /* Push: what to send; points to sga.sga_segs unless a layer put its own list there. */
    dmtr_sgaseg_t *segs;
    uint64_t bytes;      /* push: total; failed push: how many; pop with OP_LIMITED: most to take; timer: period */
    uint64_t backend[3]; /* the backend's while PENDING; timer with a period: when it is due */

    union {
        dmtr_sgarray_t sga; /* push: the request; pop: the result */
        dmtr_accept_result_t ares;
        uint32_t events;
        struct runtime_timer timer;
    };
};

_Static_assert(sizeof(struct op) == 320, "an operation is five cache lines");
_Static_assert(offsetof(struct op, ctx) == 64, "what every operation touches is the first line");
_Static_assert(offsetof(struct op, error) - offsetof(struct op, opcode) == offsetof(dmtr_qresult_t, qr_error) &&
                   offsetof(struct op, user) - offsetof(struct op, opcode) == offsetof(dmtr_qresult_t, qr_user),
               "the head of a result");

/* The oldest of a list that links operations by `link`; NULL: it is empty. */
static inline struct op *op_first(const struct list *ops) {
    struct list *l = list_first(ops);
    return l ? list_entry(l, struct op, link) : NULL;
}

/* Gives the slot back; its token is stale from here. The result is the caller's to have taken or released. */
void op_free(struct dmtr_runtime *rt, struct op *op);

/* Nobody wants the result of a PENDING operation any more: it is freed when it completes. */
void op_drop(struct dmtr_runtime *rt, struct op *op);

/* ---- the inner steps of the datapath, inline because a call costs more than their bodies ---- */

/* A token: generation (32 bits), runtime (10), slot (22). Slot 0 is never used, so no token is 0. */
#define TOKEN_RUNTIME_SHIFT 22
#define TOKEN_GENERATION    ((dmtr_qtoken_t)1 << 32)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

static inline struct op *op_at(const struct dmtr_runtime *rt, uint32_t index) {
    return (struct op *)(void *)(rt->ops.base + (size_t)index * sizeof(struct op));
}

/* The operation a token names; NULL if it is not outstanding in this runtime. */
static inline struct op *op_find(const struct dmtr_runtime *rt, dmtr_qtoken_t qt) {
    uint32_t index = (uint32_t)qt & (RUNTIME_MAX_OPS - 1);
    if (unlikely(index >= rt->ops.len)) return NULL;
    struct op *op = op_at(rt, index);
    /* The whole token is compared, so that runtime and generation need no look of their own. */
    return likely(op->token == qt && op->named) ? op : NULL;
}

/* More free slots. 0, -ENOBUFS, -ENOMEM. */
int op_grow(struct dmtr_runtime *rt);

/* The slot goes back, and its token becomes the next one's. The caller has taken it out of its list. */
static inline void op_give_back(struct dmtr_runtime *rt, struct op *op) {
    op->state = OP_FREE;
    op->named = false;
    op->token += TOKEN_GENERATION;
    op->next_free = rt->ops_free;
    rt->ops_free = op;
}

/* A PENDING operation that was begun just now, in this call, ends: nobody has dropped it. */
static inline void op_finish(struct dmtr_runtime *rt, struct op *op, int error) {
    op->state = OP_READY;
    op->error = error;
    if (unlikely(op->flags & OP_INTERNAL)) {
        list_push_back(&rt->internal, &op->link);
        return;
    }
    counter_inc(&rt->counters, ops_completed);
    list_push_back(&rt->ready, &op->link);
}

#endif
