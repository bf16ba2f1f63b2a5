/* SPDX-License-Identifier: MIT */
/* The table of queues, and the limits, holds, framing and statistics that core adds to each kind's operations. */
#include "core/queue.h"

#include "base/clock.h"
#include "base/sys.h"
#include "core/event_fd.h"
#include "core/turn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define QD_RUNTIME_SHIFT 21
#define QUEUES_GROW      64u

int op_new(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, struct op **op_out) {
    int r = op_begin(rt, q, opcode, op_out);
    if (r) return r;
    list_init(&(*op_out)->link);
    sga_clear(&(*op_out)->sga);
    return 0;
}

int op_new_internal(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, op_done_fn done, void *ctx,
                    struct op **op_out) {
    int r = op_new(rt, q, opcode, op_out);
    if (r) return r;
    rt->ops_outstanding--;
    (*op_out)->named = false;
    (*op_out)->flags = OP_INTERNAL;
    (*op_out)->done = done;
    (*op_out)->ctx = ctx;
    return 0;
}

int queue_table_init(struct dmtr_runtime *rt) {
    return array_init(&rt->queues, sizeof(struct queue_slot), (uint32_t)rt->config.max_queues + 1);
}

static int queue_table_grow(struct dmtr_runtime *rt) {
    uint32_t room = rt->queues.max - rt->queues.len;
    uint32_t count = room < QUEUES_GROW ? room : QUEUES_GROW;
    int64_t first = count ? array_grow(&rt->queues, count) : -ENOBUFS;
    if (first == -ENOBUFS) counter_inc(&rt->counters, queues_limit);
    if (first < 0) return (int)first;
    for (uint32_t i = (uint32_t)first + count; i-- > (uint32_t)first;) {
        if (i == 0) continue;
        struct queue_slot *slot = array_at(&rt->queues, i);
        slot->next_free = rt->queue_free;
        rt->queue_free = i;
    }
    return 0;
}

void queue_init(struct queue *q, struct dmtr_runtime *rt, const struct queue_ops *ops) {
    memset(q, 0, sizeof *q);
    q->ops = ops;
    q->rt = rt;
    q->qd = -1;
    q->serial = ++rt->queue_serial;
    q->push_limit_bytes = rt->config.push_limit_bytes;
    q->message_limit_bytes = UINT64_MAX;
}

int queue_open(struct queue *q) {
    struct dmtr_runtime *rt = q->rt;
    if (!rt->queue_free) {
        int r = queue_table_grow(rt);
        if (r) return r;
    }
    uint32_t index = rt->queue_free;
    struct queue_slot *slot = array_at(&rt->queues, index);
    rt->queue_free = slot->next_free;
    slot->q = q;
    q->qd = (int)(rt->id << QD_RUNTIME_SHIFT | index);
    counter_inc(&rt->counters, queues_opened);
    return 0;
}

struct queue *queue_find(const struct dmtr_runtime *rt, int qd) {
    return queue_lookup(rt, qd);
}

struct queue *queue_next(const struct dmtr_runtime *rt, uint32_t *cursor) {
    while (*cursor < rt->queues.len) {
        struct queue_slot *slot = array_at(&rt->queues, (*cursor)++);
        if (slot->q) return slot->q;
    }
    return NULL;
}

int queue_push(struct queue *q, struct op *op) {
    if (q->ops->owns_pushed) return q->ops->push(q, op);
    if (!q->ops->push) return -EOPNOTSUPP;
    op->bytes = sga_bytes(&op->sga);
    /* Sending completes pushes, which then no longer count. */
    if (op->bytes > q->push_limit_bytes - q->push_outstanding_bytes && turn_has_unsent(q->rt))
        turn_flush(q->rt, clock_now_ns());
    int r = queue_admit(q, op);
    if (r) return r;
    op->segs = op->sga.sga_segs;
    op->numsegs = op->sga.sga_numsegs;
    if (!(op->flags & OP_OWNED) && sga_hold(&op->sga)) op->flags |= OP_HELD;
    r = q->framing ? q->framing->push(q->framing, op) : q->ops->push(q, op);
    if (r) {
        if (op->flags & OP_HELD) sga_release_held(&op->sga);
        op->flags &= (uint16_t)~OP_HELD;
        return r;
    }
    q->pushes++;
    if (op->state == OP_PENDING) queue_count_push(q, op);
    return 0;
}

int queue_push_owned(struct queue *q, struct op *op) {
    if (q->ops->owns_pushed) return q->ops->push_owned(q, op);
    op->flags |= OP_OWNED;
    return queue_push(q, op);
}

int queue_pop(struct queue *q, struct op *op) {
    if (unlikely(!q->ops->pop)) return -EOPNOTSUPP;
    q->pops++;
    int r = unlikely(q->framing != NULL) ? q->framing->pop(q->framing, op) : q->ops->pop(q, op);
    if (unlikely(r)) q->pops--;
    return r;
}

int queue_begun(struct dmtr_runtime *rt, struct op *op, int r, dmtr_qtoken_t *qt_out) {
    if (r) {
        op_free(rt, op);
        return -r;
    }
    *qt_out = op->token;
    runtime_event_sync(rt);
    return 0;
}

/* Not inlined: otherwise dmtr_push would save registers also when it only calls push_call. */
__attribute__((noinline)) int queue_call_push(struct queue *q, const dmtr_sgarray_t *sga, dmtr_qtoken_t *qt_out) {
    struct dmtr_runtime *rt = q->rt;
    struct op *op;
    if (!sga_valid(sga)) return EINVAL;
    int r = op_begin(rt, q, DMTR_OPC_PUSH, &op);
    if (r) return -r;
    sga_copy_segments(&op->sga, sga);
    op->sga.sga_addrlen = 0;
    rt->calls++;
    r = queue_push(q, op);
    rt->calls--;
    return queue_begun(rt, op, r, qt_out);
}

__attribute__((noinline)) int queue_call_pop(struct queue *q, uint64_t limit, uint16_t flags, dmtr_qtoken_t *qt_out) {
    struct dmtr_runtime *rt = q->rt;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_POP, &op);
    if (r) return -r;
    op->bytes = limit;
    op->flags = flags;
    sga_clear(&op->sga);
    rt->calls++;
    r = queue_pop(q, op);
    rt->calls--;
    return queue_begun(rt, op, r, qt_out);
}

void queue_cancel(struct queue *q, struct op *op) {
    assert(op->state == OP_PENDING);
    /* A dropped push is still delivered. */
    bool revocable = op->opcode != DMTR_OPC_PUSH && op->opcode != DMTR_OPC_CLOSE;
    bool framed = q->framing && op->opcode == DMTR_OPC_POP;
    bool gone = framed ? q->framing->cancel(q->framing, op) : revocable && q->ops->cancel && q->ops->cancel(q, op);
    if (gone)
        op_free(q->rt, op);
    else
        op_drop(q->rt, op);
}

/* Discards the result that reports failed quiet pushes, unless it was returned. */
static void drop_failure(struct queue *q) {
    struct op *op = op_find(q->rt, q->failure);
    if (!op) return;
    list_remove(&op->link);
    op_free(q->rt, op);
}

void queue_close(struct queue *q, struct op *op) {
    struct dmtr_runtime *rt = q->rt;
    if (q->failure) drop_failure(q);
    if (q->qd >= 0) {
        uint32_t index = (uint32_t)q->qd & (RUNTIME_MAX_QDS - 1);
        struct queue_slot *slot = array_at(&rt->queues, index);
        slot->q = NULL;
        slot->next_free = rt->queue_free;
        rt->queue_free = index;
        q->qd = -1;
        counter_inc(&rt->counters, queues_closed);
    }
    if (q->framing) q->unread = q->framing->close(q->framing);
    q->ops->close(q, op);
}
