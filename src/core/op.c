/* SPDX-License-Identifier: MIT */
/* The slab of operations: slots and tokens. */
#include "core/op.h"

#include <assert.h>
#include <errno.h>

#define OPS_GROW 128u

int op_grow(struct dmtr_runtime *rt) {
    uint32_t room = rt->ops.max - rt->ops.len;
    uint32_t count = room < OPS_GROW ? room : OPS_GROW;
    int64_t first = count ? array_grow(&rt->ops, count) : -ENOBUFS;
    if (first == -ENOBUFS) counter_inc(&rt->counters, ops_limit);
    if (first < 0) return (int)first;
    /* In this order the free list returns the lowest slot first. */
    for (uint32_t i = (uint32_t)first + count; i-- > (uint32_t)first;) {
        if (i == 0) continue;
        struct op *op = op_at(rt, i);
        op->state = OP_FREE;
        op->token = rng_next(&rt->rng) * TOKEN_GENERATION + (rt->id << TOKEN_RUNTIME_SHIFT | i);
        op->next_free = rt->ops_free;
        rt->ops_free = op;
    }
    return 0;
}

void op_free(struct dmtr_runtime *rt, struct op *op) {
    assert(op->state != OP_FREE);
    rt->ops_outstanding -= op->named;
    op_give_back(rt, op);
}

void op_drop(struct dmtr_runtime *rt, struct op *op) {
    assert(op->state == OP_PENDING && !(op->flags & OP_DROPPED));
    rt->ops_outstanding -= op->named;
    op->named = false;
    op->flags |= OP_DROPPED;
}
