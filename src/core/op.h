/* SPDX-License-Identifier: MIT */
/*
 * Operations. An operation is a slot in a slab; its token names runtime, slot and generation, so that a token check is
 * one index and one comparison. An operation is FREE, PENDING (its queue works on it) or READY (its result waits to be
 * returned). Waits return results in order of completion.
 *
 * An internal operation belongs to a layer of the library (framing, operators) and has no token. When it is complete
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
    OP_DROPPED = 1,   /* the program has given up the result; freed on completion */
    OP_HELD = 2,      /* the operation holds its segments that are in the heap (heap_hold) */
    OP_TO = 4,        /* push: sga.sga_addr is the destination */
    OP_LIMITED = 8,   /* pop: `bytes` is the largest result */
    OP_COUNTED = 16,  /* push: `bytes` counts against its queue's limit */
    OP_INTERNAL = 32, /* belongs to a layer: it has `done` in place of `user` */
    OP_OWNED = 64,    /* push: its one segment is freed on completion */
    OP_QUIET = 128,   /* push: has a result only if it fails */
};

struct op {
    union {
        struct list link; /* PENDING: in a list of the backend. READY: in a list of the runtime. */
        struct op *next_free;
    };

    /* Laid out as in dmtr_qresult_t, so that two moves copy a result. `hint` is in the result's padding. */
    uint32_t opcode;
    int qd;
    dmtr_qtoken_t token; /* FREE: the token of the slot's next operation */
    int error;           /* READY: 0 or a positive errno */
    uint32_t hint;       /* where wait_any last saw the token */
    union {
        void *user;      /* for the result: the queue's pointer when the operation began (dmtr_set_user) */
        op_done_fn done; /* with OP_INTERNAL */
    };

    uint8_t state;
    bool named; /* the token is valid: not FREE, not internal, not dropped */
    uint16_t flags;
    uint32_t numsegs; /* push: see segs */
    struct queue *q;  /* NULL: no queue (timer, watch). Valid while PENDING. */

    uint64_t bytes;      /* push: total; PUSH_FAILED: number of failures; OP_LIMITED pop: limit; timer: period */
    uint64_t backend[3]; /* private to the backend while PENDING; periodic timer: when it is due */

    union {
        dmtr_sgarray_t sga; /* push: the request; pop: the result */
        dmtr_accept_result_t ares;
        uint32_t events;
        struct runtime_timer timer;
    };

    void *ctx; /* for done */
    /* Push: the segments to send; points to sga.sga_segs unless a layer has its own list. */
    dmtr_sgaseg_t *segs;
};

_Static_assert(sizeof(struct op) == 320, "an operation is five cache lines");
_Static_assert(offsetof(struct op, bytes) == 64, "the first line has the fields that every operation uses");
_Static_assert(offsetof(struct op, sga.sga_segs) + sizeof(dmtr_sgaseg_t) == 128,
               "a pop of one segment uses the first two lines");
_Static_assert(offsetof(struct op, error) - offsetof(struct op, opcode) == offsetof(dmtr_qresult_t, qr_error) &&
                   offsetof(struct op, user) - offsetof(struct op, opcode) == offsetof(dmtr_qresult_t, qr_user),
               "the head of a result");

/* The oldest operation of a list that links operations by `link`; NULL: the list is empty. */
static inline struct op *op_first(const struct list *ops) {
    struct list *l = list_first(ops);
    return l ? list_entry(l, struct op, link) : NULL;
}

/* Frees the slot; its token becomes stale. The caller must have taken or released the result. */
void op_free(struct dmtr_runtime *rt, struct op *op);

/* Discards the future result of a PENDING operation: it is freed when it completes. */
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
    /* The whole token is compared, so that runtime and generation need no separate check. */
    return likely(op->token == qt && op->named) ? op : NULL;
}

/* Allocates more free slots. 0, -ENOBUFS, -ENOMEM. */
int op_grow(struct dmtr_runtime *rt);

/* Frees the slot and advances its token to the next generation. The caller has removed the operation from its list. */
static inline void op_give_back(struct dmtr_runtime *rt, struct op *op) {
    op->state = OP_FREE;
    op->named = false;
    op->token += TOKEN_GENERATION;
    op->next_free = rt->ops_free;
    rt->ops_free = op;
}

/* Makes a PENDING operation READY and appends it to the results. It must not have been dropped. */
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
