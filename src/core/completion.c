/* SPDX-License-Identifier: MIT */
/* Completion of operations. */
#include "core/completion.h"

#include "mem/heap.h"

#include <assert.h>

void op_release_result(struct dmtr_runtime *rt, struct op *op) {
    if (op->error) return;
    if (op->opcode == DMTR_OPC_POP) sga_release(&op->sga);
    struct queue *q = op->opcode == DMTR_OPC_ACCEPT ? queue_find(rt, op->ares.qd) : NULL;
    if (q) queue_close(q, NULL);
}

/* A push ends: stop counting it against the queue's limit, and release or free its memory. */
static void op_settle(struct op *op) {
    if (op->flags & OP_COUNTED) op->q->push_outstanding_bytes -= op->bytes;
    if (op->flags & OP_HELD) sga_release_held(&op->sga);
    if (op->flags & OP_OWNED) heap_free(op->sga.sga_segs[0].sgaseg_buf);
}

/*
 * A quiet push has failed: makes op a result (true), or increments the count in the queue's earlier result, which the
 * program has not fetched yet. False: the caller frees op, also if the queue is closed and the failure is not reported.
 */
static bool op_report(struct dmtr_runtime *rt, struct op *op, int error) {
    struct queue *q = op->q;
    if (!q || q->qd < 0) return false;
    struct op *earlier = op_find(rt, q->failure);
    if (earlier) {
        earlier->bytes++;
        return false;
    }
    q->failure = op->token;
    op->opcode = DMTR_OPC_PUSH_FAILED;
    op->bytes = 1;
    op_finish(rt, op, -error);
    return true;
}

void op_complete(struct dmtr_runtime *rt, struct op *op, int error) {
    assert(op->state == OP_PENDING && error <= 0);
    if (op->flags & (OP_COUNTED | OP_HELD | OP_OWNED)) op_settle(op);
    if (error && !(op->flags & OP_INTERNAL)) counter_inc(&rt->counters, ops_failed);
    if (likely(!(op->flags & (OP_DROPPED | OP_QUIET)))) {
        op_finish(rt, op, -error);
        return;
    }
    if (op->flags & OP_QUIET) {
        if (error && op_report(rt, op, error)) return;
        counter_inc(&rt->counters, ops_completed);
    }
    op->state = OP_READY;
    op->error = -error;
    op_release_result(rt, op);
    op_free(rt, op);
}

void ops_complete(struct dmtr_runtime *rt, struct list *ops, int error) {
    for (struct list *l; (l = list_pop_front(ops));)
        op_complete(rt, list_entry(l, struct op, link), error);
}
