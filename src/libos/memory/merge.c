/* SPDX-License-Identifier: MIT */
/* Merge: a pop takes an element from the source that has one first; a push goes to both sources. */
#include "base/sys.h"
#include "core/sga.h"
#include "libos/memory/memory.h"
#include "libos/memory/operator.h"

#include <errno.h>

struct branch {
    struct source source;
    bool ended;  /* the source has reached the end of its stream */
    bool stored; /* an element arrived when no pop waited any more */
    dmtr_sgarray_t element;
};

struct merge {
    struct operator_queue o;
    struct branch branches[2];
    uint32_t turn; /* the branch to try first, so that neither starves */
};

static struct merge *self(struct queue *q) {
    return list_entry(q, struct merge, o.q);
}

static void pump(struct merge *m);

static void popped(struct dmtr_runtime *rt, struct op *op) {
    struct merge *m = op->ctx;
    struct branch *b = &m->branches[m->branches[1].source.pop == op];
    b->source.pop = NULL;
    dmtr_sgarray_t sga;
    int error = -op->error;
    if (!error) sga_copy(&sga, &op->sga);
    op_free(rt, op);
    m->turn = b == &m->branches[0];
    if (!error && sga.sga_numsegs == 0) {
        b->ended = true;
    } else {
        struct op *waiter = operator_waiter(&m->o);
        if (waiter) {
            operator_complete(&m->o, waiter, &sga, error);
        } else if (!error) {
            b->stored = true;
            sga_copy(&b->element, &sga);
        }
    }
    pump(m);
}

/* Keeps pops on the sources while a pop waits; cancels them otherwise. */
static void pump(struct merge *m) {
    struct dmtr_runtime *rt = m->o.q.rt;
    for (struct op *first; !list_empty(&m->o.waiters);) {
        first = list_entry(list_first(&m->o.waiters), struct op, link);
        uint64_t limit = first->flags & OP_LIMITED ? first->bytes : 0;
        int r = 0;
        for (uint32_t i = 0; i < 2 && !r; i++) {
            struct branch *b = &m->branches[m->turn ^ i];
            r = b->ended ? 0 : source_pop(rt, &b->source, limit, popped, m);
        }
        bool over = m->branches[0].ended && m->branches[1].ended;
        if (!r && !over) return;
        dmtr_sgarray_t end = {0};
        operator_complete(&m->o, operator_waiter(&m->o), &end, r);
    }
    for (uint32_t i = 0; i < 2; i++)
        source_cancel(rt, &m->branches[i].source);
}

static int merge_pop(struct queue *q, struct op *op) {
    struct merge *m = self(q);
    for (uint32_t i = 0; i < 2; i++) {
        struct branch *b = &m->branches[m->turn ^ i];
        if (!b->stored) continue;
        b->stored = !operator_complete_whole(&m->o, op, &b->element);
        return 0;
    }
    list_push_back(&m->o.waiters, &op->link);
    pump(m);
    return 0;
}

static int merge_push(struct queue *q, struct op *op) {
    struct merge *m = self(q);
    int r = operator_push(&m->o, op, &m->branches[0].source, true);
    return r ? r : operator_push(&m->o, op, &m->branches[1].source, false);
}

static bool merge_cancel(struct queue *q, struct op *op) {
    list_remove(&op->link);
    pump(self(q));
    return true;
}

static void merge_fini(struct operator_queue *o) {
    sys_free(list_entry(o, struct merge, o));
}

static void merge_close(struct queue *q, struct op *op) {
    struct merge *m = self(q);
    for (uint32_t i = 0; i < 2; i++) {
        source_abandon(q->rt, &m->branches[i].source);
        if (m->branches[i].stored) sga_release(&m->branches[i].element);
    }
    operator_close(&m->o, op);
}

static const struct queue_ops merge_ops = {
    .backend = "merge",
    .push = merge_push,
    .pop = merge_pop,
    .cancel = merge_cancel,
    .close = merge_close,
};

int merge_queue_new(struct queue *q1, struct queue *q2, struct queue **q_out) {
    struct merge *m = sys_calloc(1, sizeof *m);
    if (!m) return -ENOMEM;
    operator_init(&m->o, q1->rt, &merge_ops, merge_fini);
    m->branches[0].source = source_of(q1);
    m->branches[1].source = source_of(q2);
    *q_out = &m->o.q;
    return 0;
}
