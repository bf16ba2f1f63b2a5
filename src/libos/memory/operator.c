/* SPDX-License-Identifier: MIT */
/* Code that operators share. */
#include "libos/memory/operator.h"

#include "core/sga.h"

#include <errno.h>

struct source source_of(const struct queue *q) {
    return (struct source){.qd = q->qd, .serial = q->serial};
}

struct queue *source_queue(const struct dmtr_runtime *rt, const struct source *s) {
    struct queue *q = queue_find(rt, s->qd);
    return q && q->serial == s->serial ? q : NULL;
}

int source_pop(struct dmtr_runtime *rt, struct source *s, uint64_t limit, op_done_fn done, void *ctx) {
    if (s->pop) return 0;
    struct queue *q = source_queue(rt, s);
    if (!q) return -ECANCELED;
    struct op *op;
    int r = op_new_internal(rt, q, DMTR_OPC_POP, done, ctx, &op);
    if (r) return r;
    op->bytes = limit;
    if (limit) op->flags |= OP_LIMITED;
    s->pop = op;
    r = queue_pop(q, op);
    if (!r) return 0;
    s->pop = NULL;
    op_free(rt, op);
    return r;
}

void source_cancel(struct dmtr_runtime *rt, struct source *s) {
    if (!s->pop || s->pop->state != OP_PENDING) return;
    struct queue *q = source_queue(rt, s);
    if (q)
        queue_cancel(q, s->pop);
    else
        op_drop(rt, s->pop); /* the source is closed and its device still processes the pop */
    s->pop = NULL;
}

void source_abandon(struct dmtr_runtime *rt, struct source *s) {
    source_cancel(rt, s);
    if (!s->pop) return;
    list_remove(&s->pop->link);
    op_release_result(rt, s->pop);
    op_free(rt, s->pop);
    s->pop = NULL;
}

void operator_init(struct operator_queue *o, struct dmtr_runtime *rt, const struct queue_ops *ops,
                   void (*fini)(struct operator_queue *)) {
    queue_init(&o->q, rt, ops);
    list_init(&o->waiters);
    o->fini = fini;
}

static void operator_free_if_done(struct operator_queue *o) {
    if (!o->closed || o->pushing) return;
    if (o->closing) op_complete(o->q.rt, o->closing, 0);
    o->q.rt->lingering--;
    o->fini(o);
}

/* State of a push that was passed on: backend[0] is the number of incomplete parts, backend[1] the first error. */
static void push_part_done(struct operator_queue *o, struct op *op, int error) {
    if (error && !op->backend[1]) op->backend[1] = (uint64_t)error;
    if (--op->backend[0]) return;
    o->pushing--;
    op_complete(o->q.rt, op, -(int)op->backend[1]);
    operator_free_if_done(o);
}

static void push_done(struct dmtr_runtime *rt, struct op *part) {
    struct op *op = part->ctx;
    int error = part->error;
    op_free(rt, part);
    push_part_done(list_entry(op->q, struct operator_queue, q), op, error);
}

int operator_push(struct operator_queue *o, struct op *op, const struct source *s, bool first) {
    struct dmtr_runtime *rt = o->q.rt;
    struct queue *q = source_queue(rt, s);
    struct op *part = NULL;
    int r = q ? op_new_internal(rt, q, DMTR_OPC_PUSH, push_done, op, &part) : -ECANCELED;
    if (!r) {
        sga_copy(&part->sga, &op->sga);
        r = queue_push(q, part);
        if (r) op_free(rt, part);
    }
    if (first) {
        if (r) return r;
        op->backend[0] = 1;
        op->backend[1] = 0;
        o->pushing++;
        return 0;
    }
    op->backend[0]++;
    if (r) push_part_done(o, op, -r);
    return 0;
}

struct op *operator_waiter(struct operator_queue *o) {
    struct list *l = list_pop_front(&o->waiters);
    return l ? list_entry(l, struct op, link) : NULL;
}

void operator_fail(struct operator_queue *o, int error) {
    for (struct op *pop; (pop = operator_waiter(o));)
        op_complete(o->q.rt, pop, error);
}

void operator_complete(struct operator_queue *o, struct op *pop, dmtr_sgarray_t *sga, int error) {
    if (!error) sga_copy(&pop->sga, sga);
    op_complete(o->q.rt, pop, error);
}

bool operator_complete_whole(struct operator_queue *o, struct op *pop, dmtr_sgarray_t *sga) {
    bool fits = !(pop->flags & OP_LIMITED) || sga_bytes(sga) <= pop->bytes;
    operator_complete(o, pop, sga, fits ? 0 : -EMSGSIZE);
    return fits;
}

void operator_close(struct operator_queue *o, struct op *op) {
    operator_fail(o, -ECANCELED);
    o->closing = op;
    o->closed = true;
    o->q.rt->lingering++;
    operator_free_if_done(o);
}
