/* SPDX-License-Identifier: MIT */
/*
 * The datapath's inner steps, inline: finding a queue and an operation, beginning and ending one. What op.h and queue.h
 * declare is made of these; the API and the in-memory queue use them directly, because there a call costs more than its
 * body.
 */
#ifndef CORE_FAST_H
#define CORE_FAST_H

#include "core/framing.h"
#include "core/runtime.h"
#include "core/sga.h"

#include <errno.h>
#include <string.h>

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

/* A fresh PENDING operation with a token; its link and sga are not initialised. 0, -ENOBUFS, -ENOMEM. */
static inline int op_begin(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, struct op **op_out) {
    if (unlikely(!rt->ops_free)) {
        int r = op_grow(rt);
        if (r) return r;
    }
    struct op *op = rt->ops_free;
    rt->ops_free = op->next_free;
    rt->ops_outstanding++;
    op->opcode = opcode;
    op->qd = q ? q->qd : -1;
    op->user = q ? q->user : NULL;
    op->q = q;
    op->state = OP_PENDING;
    op->named = true;
    op->flags = 0;
    *op_out = op;
    return 0;
}

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

/* The rest of a result: of all but a push, and a pop of one segment. The slot was given back last of all. */
int result_rest(struct dmtr_runtime *rt, struct op *op, dmtr_qresult_t *qr);

/*
 * Hands the result of a READY operation out; the token is used up. The operation's error. runtime_event_sync is to
 * follow. The order is such that nothing is left to do after the rare call at its end.
 */
static inline int result_take(struct dmtr_runtime *rt, struct op *op, dmtr_qresult_t *qr) {
    memcpy(qr, &op->opcode, offsetof(dmtr_qresult_t, qr_user) + sizeof qr->qr_user);
    /* Not list_remove: the link is not looked at again. */
    op->link.prev->next = op->link.next;
    op->link.next->prev = op->link.prev;
    rt->ops_outstanding--;
    rt->turn.left--;
    op_give_back(rt, op);
    if (qr->qr_opcode == DMTR_OPC_PUSH) return qr->qr_error;
    memcpy(&qr->qr_value.sga, &op->sga, offsetof(dmtr_sgarray_t, sga_segs) + sizeof op->sga.sga_segs[0]);
    if (likely(qr->qr_opcode == DMTR_OPC_POP && op->sga.sga_numsegs == 1 && op->sga.sga_addrlen == 0))
        return qr->qr_error;
    return result_rest(rt, op, qr);
}

static inline struct queue *queue_lookup(const struct dmtr_runtime *rt, int qd) {
    uint32_t index = (uint32_t)qd & (RUNTIME_MAX_QDS - 1);
    if (unlikely(index >= rt->queues.len)) return NULL;
    struct queue *q = ((struct queue_slot *)(void *)rt->queues.base)[index].q;
    /* The descriptor it has now tells apart runtimes and negative numbers. */
    return likely(q && q->qd == qd) ? q : NULL;
}

/* An empty array: no segments, no address. */
static inline void sga_clear(dmtr_sgarray_t *sga) {
    memset(sga, 0, offsetof(dmtr_sgarray_t, sga_segs));
}

/* 0, or why this push is refused. */
static inline int queue_admit(struct queue *q, const struct op *op) {
    uint64_t limit = q->push_limit_bytes;
    if (unlikely(op->bytes > q->message_limit_bytes || op->bytes > limit)) return -EMSGSIZE;
    /* Internal pushes are bounded by their layer, and their data was admitted there. */
    if (likely(op->bytes <= limit - q->push_outstanding_bytes) || op->flags & OP_INTERNAL) return 0;
    counter_inc(&q->rt->counters, push_bytes_limit);
    return -ENOBUFS;
}

/* queue_push; a kind that owns what is pushed does all of it itself. */
static inline int queue_begin_push(struct queue *q, struct op *op) {
    return likely(q->ops->owns_pushed) ? q->ops->push(q, op) : queue_push(q, op);
}

/* queue_pop */
static inline int queue_begin_pop(struct queue *q, struct op *op) {
    if (unlikely(!q->ops->pop)) return -EOPNOTSUPP;
    q->pops++;
    int r = unlikely(q->framing != NULL) ? framing_pop(q->framing, op) : q->ops->pop(q, op);
    if (unlikely(r)) q->pops--;
    return r;
}

#endif
