/* SPDX-License-Identifier: MIT */
/* Filter and map: each element popped from a source is passed on, changed or dropped. */
#include "base/sys.h"
#include "core/sga.h"
#include "libos/memory/memory.h"
#include "libos/memory/operator.h"

#include <errno.h>

enum outcome { PASS, DROP };

struct transform {
    struct operator_queue o;
    struct source source;
    dmtr_filter_fn filter; /* one of the two is set */
    dmtr_map_fn map;
    void *arg;
    bool stored; /* an element arrived when no pop waited any more */
    dmtr_sgarray_t element;
};

static struct transform *self(struct queue *q) {
    return list_entry(q, struct transform, o.q);
}

/*
 * Applies the function. Returns PASS, DROP or a negative errno. The end of the stream (no segments) is not an element.
 */
static int apply(struct transform *t, dmtr_sgarray_t *sga) {
    if (sga->sga_numsegs == 0) return PASS;
    if (t->filter) return t->filter(sga, t->arg) ? PASS : DROP;
    int r = t->map(sga, t->arg);
    if (r == 0 && sga->sga_numsegs > DMTR_SGARRAY_MAXSIZE) r = EINVAL;
    return -r;
}

static void pump(struct transform *t);

static void popped(struct dmtr_runtime *rt, struct op *op) {
    struct transform *t = op->ctx;
    t->source.pop = NULL;
    dmtr_sgarray_t sga;
    int error = -op->error;
    if (!error) sga_copy(&sga, &op->sga);
    op_free(rt, op);
    if (!error) {
        int outcome = apply(t, &sga);
        if (outcome != PASS) sga_release(&sga);
        if (outcome < 0) error = outcome;
        if (outcome == DROP) {
            pump(t);
            return;
        }
    }
    struct op *waiter = operator_waiter(&t->o);
    if (waiter) {
        operator_complete(&t->o, waiter, &sga, error);
    } else if (!error) {
        t->stored = true;
        sga_copy(&t->element, &sga);
    }
    pump(t);
}

/* Keeps a pop on the source while a pop waits. */
static void pump(struct transform *t) {
    while (!list_empty(&t->o.waiters)) {
        struct op *first = list_entry(list_first(&t->o.waiters), struct op, link);
        uint64_t limit = first->flags & OP_LIMITED ? first->bytes : 0;
        int r = source_pop(t->o.q.rt, &t->source, limit, popped, t);
        if (!r) return;
        operator_complete(&t->o, operator_waiter(&t->o), NULL, r);
    }
}

static int transform_pop(struct queue *q, struct op *op) {
    struct transform *t = self(q);
    if (t->stored) {
        t->stored = !operator_complete_whole(&t->o, op, &t->element);
        return 0;
    }
    list_push_back(&t->o.waiters, &op->link);
    pump(t);
    return 0;
}

static int transform_push(struct queue *q, struct op *op) {
    struct transform *t = self(q);
    if (!t->filter || t->filter(&op->sga, t->arg)) return operator_push(&t->o, op, &t->source, true);
    op_complete(q->rt, op, source_queue(q->rt, &t->source) ? 0 : -ECANCELED);
    return 0;
}

static bool transform_cancel(struct queue *q, struct op *op) {
    struct transform *t = self(q);
    list_remove(&op->link);
    if (list_empty(&t->o.waiters)) source_cancel(q->rt, &t->source);
    return true;
}

static void transform_fini(struct operator_queue *o) {
    sys_free(list_entry(o, struct transform, o));
}

static void transform_close(struct queue *q, struct op *op) {
    struct transform *t = self(q);
    source_abandon(q->rt, &t->source);
    if (t->stored) sga_release(&t->element);
    operator_close(&t->o, op);
}

static const struct queue_ops filter_ops = {
    .backend = "filter",
    .push = transform_push,
    .pop = transform_pop,
    .cancel = transform_cancel,
    .close = transform_close,
};

static const struct queue_ops map_ops = {
    .backend = "map",
    .push = transform_push,
    .pop = transform_pop,
    .cancel = transform_cancel,
    .close = transform_close,
};

static int transform_new(struct queue *q1, const struct queue_ops *ops, void *arg, struct transform **t_out) {
    struct transform *t = sys_calloc(1, sizeof *t);
    if (!t) return -ENOMEM;
    operator_init(&t->o, q1->rt, ops, transform_fini);
    t->source = source_of(q1);
    t->arg = arg;
    *t_out = t;
    return 0;
}

int filter_queue_new(struct queue *q1, dmtr_filter_fn fn, void *arg, struct queue **q_out) {
    struct transform *t;
    int r = transform_new(q1, &filter_ops, arg, &t);
    if (r) return r;
    t->filter = fn;
    *q_out = &t->o.q;
    return 0;
}

int map_queue_new(struct queue *q1, dmtr_map_fn fn, void *arg, struct queue **q_out) {
    struct transform *t;
    int r = transform_new(q1, &map_ops, arg, &t);
    if (r) return r;
    t->map = fn;
    *q_out = &t->o.q;
    return 0;
}
