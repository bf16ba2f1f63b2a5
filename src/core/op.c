/* The slab of operations: slots, tokens, completion. */
#include "core/op.h"

#include "core/runtime.h"
#include "core/sga.h"
#include "mem/heap.h"

#include <assert.h>
#include <errno.h>

#define TOKEN_INDEX_SHIFT   32
#define TOKEN_RUNTIME_SHIFT 54
#define OPS_GROW            128u

/* Adds slots to the free list, the lowest first to be taken. */
static int op_grow(struct dmtr_runtime *rt) {
    uint32_t room = rt->ops.max - rt->ops.len;
    uint32_t count = room < OPS_GROW ? room : OPS_GROW;
    int64_t first = count ? array_grow(&rt->ops, count) : -ENOBUFS;
    if (first == -ENOBUFS) counter_inc(&rt->counters, ops_limit);
    if (first < 0) return (int)first;
    for (uint32_t i = count; i-- > 0;) {
        struct op *op = array_at(&rt->ops, (uint32_t)first + i);
        op->index = (uint32_t)first + i;
        op->generation = (uint32_t)rng_next(&rt->rng) | 1;
        op->state = OP_FREE;
        list_push_front(&rt->ops_free, &op->link);
    }
    return 0;
}

int op_new_internal(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, op_done_fn done, void *ctx,
                    struct op **op_out) {
    struct list *slot = list_first(&rt->ops_free);
    if (!slot) {
        int r = op_grow(rt);
        if (r) return r;
        slot = list_first(&rt->ops_free);
    }
    list_remove(slot);
    struct op *op = list_entry(slot, struct op, link);
    op->state = OP_PENDING;
    op->opcode = (uint8_t)opcode;
    op->flags = 0;
    op->q = q;
    op->qd = q ? q->qd : -1;
    op->error = 0;
    op->done = done;
    op->ctx = ctx;
    op->bytes = 0;
    op->segs = op->sga.sga_segs;
    op->numsegs = 0;
    op->sga.sga_buf = NULL;
    op->sga.sga_numsegs = 0;
    op->sga.sga_addrlen = 0;
    *op_out = op;
    return 0;
}

int op_new(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, struct op **op_out) {
    int r = op_new_internal(rt, q, opcode, NULL, NULL, op_out);
    if (r) return r;
    rt->ops_outstanding++;
    counter_inc(&rt->counters, ops_started);
    return 0;
}

dmtr_qtoken_t op_token(const struct dmtr_runtime *rt, const struct op *op) {
    return (dmtr_qtoken_t)rt->id << TOKEN_RUNTIME_SHIFT | (dmtr_qtoken_t)op->index << TOKEN_INDEX_SHIFT |
           op->generation;
}

struct op *op_find(const struct dmtr_runtime *rt, dmtr_qtoken_t qt) {
    uint32_t index = (uint32_t)(qt >> TOKEN_INDEX_SHIFT) & (RUNTIME_MAX_OPS - 1);
    if (qt >> TOKEN_RUNTIME_SHIFT != rt->id || index >= rt->ops.len) return NULL;
    struct op *op = array_at(&rt->ops, index);
    bool outstanding = op->state != OP_FREE && !op->done && !(op->flags & OP_DROPPED);
    return outstanding && op->generation == (uint32_t)qt ? op : NULL;
}

void op_free(struct dmtr_runtime *rt, struct op *op) {
    assert(op->state != OP_FREE);
    if (!op->done && !(op->flags & OP_DROPPED)) rt->ops_outstanding--;
    op->state = OP_FREE;
    if (++op->generation == 0) op->generation = 1;
    list_push_front(&rt->ops_free, &op->link);
}

void op_drop(struct dmtr_runtime *rt, struct op *op) {
    assert(op->state == OP_PENDING && !(op->flags & OP_DROPPED));
    if (!op->done) rt->ops_outstanding--;
    op->flags |= OP_DROPPED;
}

void op_release_result(struct dmtr_runtime *rt, struct op *op) {
    if (op->error) return;
    if (op->opcode == DMTR_OPC_POP) sga_release(&op->sga);
    struct queue *q = op->opcode == DMTR_OPC_ACCEPT ? queue_find(rt, op->ares.qd) : NULL;
    if (q) queue_close(q, NULL);
}

/* The queue's books, and the memory that was held for the device. */
static void op_settle(struct op *op) {
    struct queue *q = op->q;
    if (op->flags & OP_INNER) return;
    if (op->opcode == DMTR_OPC_PUSH) {
        if (op->flags & OP_COUNTED) q->push_outstanding_bytes -= op->bytes;
        if (op->flags & OP_HELD) sga_release_held(&op->sga);
        if (!op->error && q) q->push_bytes += op->bytes;
    } else if (op->opcode == DMTR_OPC_POP && !op->error) {
        for (uint32_t i = 0; i < op->sga.sga_numsegs; i++)
            q->pop_bytes += op->sga.sga_segs[i].sgaseg_len;
    }
}

void op_complete(struct dmtr_runtime *rt, struct op *op, int error) {
    assert(op->state == OP_PENDING && error <= 0);
    op->state = OP_READY;
    op->error = -error;
    op_settle(op);
    if (!op->done) {
        counter_inc(&rt->counters, ops_completed);
        if (error) counter_inc(&rt->counters, ops_failed);
    }
    if (op->flags & OP_DROPPED) {
        op_release_result(rt, op);
        op_free(rt, op);
        return;
    }
    list_push_back(op->done ? &rt->internal : &rt->ready, &op->link);
}
