/* The table of queues, and what core does around each kind's operations: limits, holds, framing, statistics. */
#include "core/queue.h"

#include "base/sys.h"
#include "core/framing.h"
#include "core/runtime.h"
#include "core/sga.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define QD_RUNTIME_SHIFT 21
#define QUEUES_GROW      64u

/* A slot of the table: the queue, or the next free slot. Slot 0 stays unused, so that 0 ends the chain. */
struct queue_slot {
    struct queue *q;
    uint32_t next_free;
};

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

static struct queue_slot *queue_slot(const struct dmtr_runtime *rt, int qd) {
    uint32_t index = (uint32_t)qd & (RUNTIME_MAX_QDS - 1);
    bool mine = qd >= 0 && (uint32_t)qd >> QD_RUNTIME_SHIFT == rt->id && index < rt->queues.len;
    return mine ? array_at(&rt->queues, index) : NULL;
}

struct queue *queue_find(const struct dmtr_runtime *rt, int qd) {
    struct queue_slot *slot = queue_slot(rt, qd);
    return slot ? slot->q : NULL;
}

struct queue *queue_next(const struct dmtr_runtime *rt, uint32_t *cursor) {
    while (*cursor < rt->queues.len) {
        struct queue_slot *slot = array_at(&rt->queues, (*cursor)++);
        if (slot->q) return slot->q;
    }
    return NULL;
}

static int queue_admit_push(struct queue *q, struct op *op) {
    op->bytes = sga_bytes(&op->sga);
    uint64_t limit = q->push_limit_bytes;
    if ((q->message_limit_bytes && op->bytes > q->message_limit_bytes) || op->bytes > limit) return -EMSGSIZE;
    /* Internal pushes are bounded by their layer, and their data was admitted there. */
    if (!op->done && op->bytes > limit - q->push_outstanding_bytes) {
        counter_inc(&q->rt->counters, push_bytes_limit);
        return -ENOBUFS;
    }
    return 0;
}

int queue_push(struct queue *q, struct op *op) {
    if (!q->ops->push) return -EOPNOTSUPP;
    int r = queue_admit_push(q, op);
    if (r) return r;
    op->segs = op->sga.sga_segs;
    op->numsegs = op->sga.sga_numsegs;
    op->flags |= OP_COUNTED | (sga_hold(&op->sga) ? OP_HELD : 0);
    q->push_outstanding_bytes += op->bytes;
    r = q->framing ? framing_push(q->framing, op) : q->ops->push(q, op);
    if (r) {
        q->push_outstanding_bytes -= op->bytes;
        if (op->flags & OP_HELD) sga_release_held(&op->sga);
        op->flags &= (uint16_t) ~(OP_COUNTED | OP_HELD);
        return r;
    }
    q->pushes++;
    return 0;
}

int queue_pop(struct queue *q, struct op *op) {
    if (!q->ops->pop) return -EOPNOTSUPP;
    int r = q->framing ? framing_pop(q->framing, op) : q->ops->pop(q, op);
    if (!r) q->pops++;
    return r;
}

void queue_cancel(struct queue *q, struct op *op) {
    assert(op->state == OP_PENDING);
    /* What was pushed is delivered, wanted or not. */
    bool revocable = op->opcode != DMTR_OPC_PUSH && op->opcode != DMTR_OPC_CLOSE;
    bool framed = q->framing && op->opcode == DMTR_OPC_POP;
    bool gone = framed ? framing_cancel(q->framing, op) : revocable && q->ops->cancel && q->ops->cancel(q, op);
    if (gone)
        op_free(q->rt, op);
    else
        op_drop(q->rt, op);
}

void queue_close(struct queue *q, struct op *op) {
    struct dmtr_runtime *rt = q->rt;
    struct queue_slot *slot = queue_slot(rt, q->qd);
    if (slot) {
        slot->q = NULL;
        slot->next_free = rt->queue_free;
        rt->queue_free = (uint32_t)q->qd & (RUNTIME_MAX_QDS - 1);
        q->qd = -1;
        counter_inc(&rt->counters, queues_closed);
    }
    if (q->framing) framing_close(q->framing);
    q->ops->close(q, op);
}

void queue_accepted(struct op *op, struct queue *fresh, const struct sockaddr *addr, socklen_t len) {
    struct queue *listener = op->q;
    int r = queue_open(fresh);
    if (!r && listener->frame_accepted) r = framing_new(fresh, &fresh->framing);
    if (r) {
        queue_close(fresh, NULL);
        op_complete(listener->rt, op, r);
        return;
    }
    fresh->push_acked = listener->push_acked;
    fresh->push_limit_bytes = listener->push_limit_bytes;
    op->ares.qd = fresh->qd;
    op->ares.len = len < sizeof op->ares.addr6 ? len : sizeof op->ares.addr6;
    memcpy(&op->ares.addr6, addr, op->ares.len);
    op_complete(listener->rt, op, 0);
}
