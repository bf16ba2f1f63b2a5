/* SPDX-License-Identifier: MIT */
/*
 * Sort: a pop moves everything that has arrived at the source into a binary heap and returns the least element. Equal
 * elements keep their order of arrival.
 */
#include "base/sys.h"
#include "core/sga.h"
#include "libos/memory/memory.h"
#include "libos/memory/operator.h"
#include "libos/memory/options.h"

#include <errno.h>

#define CAPACITY_FIRST 16u

struct element {
    uint64_t arrival;
    dmtr_sgarray_t sga;
};

struct sort {
    struct operator_queue o;
    struct source source;
    dmtr_less_fn less;
    void *arg;
    struct element **heap; /* least first */
    uint32_t count, capacity, max;
    uint64_t arrivals;
    bool ended; /* the source has reached the end of its stream */
};

static struct sort *self(struct queue *q) {
    return list_entry(q, struct sort, o.q);
}

static bool before(const struct sort *s, const struct element *a, const struct element *b) {
    if (s->less(&a->sga, &b->sga, s->arg)) return true;
    return !s->less(&b->sga, &a->sga, s->arg) && a->arrival < b->arrival;
}

/* Allocates room for one more element, *fresh, so that insert cannot fail. */
static int reserve(struct sort *s, struct element **fresh) {
    if (s->count == s->capacity) {
        uint32_t capacity = s->capacity ? s->capacity * 2 : CAPACITY_FIRST;
        struct element **heap = sys_calloc(capacity, sizeof(struct element *));
        if (!heap) return -ENOMEM;
        for (uint32_t i = 0; i < s->count; i++)
            heap[i] = s->heap[i];
        sys_free(s->heap);
        s->heap = heap;
        s->capacity = capacity;
    }
    *fresh = sys_calloc(1, sizeof **fresh);
    return *fresh ? 0 : -ENOMEM;
}

static void insert(struct sort *s, struct element *e, const dmtr_sgarray_t *sga) {
    sga_copy(&e->sga, sga);
    e->arrival = s->arrivals++;
    uint32_t i = s->count++;
    for (; i > 0 && before(s, e, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

static struct element *remove_least(struct sort *s) {
    struct element *least = s->heap[0], *last = s->heap[--s->count];
    uint32_t i = 0;
    for (uint32_t child; (child = 2 * i + 1) < s->count; i = child) {
        if (child + 1 < s->count && before(s, s->heap[child + 1], s->heap[child])) child++;
        if (!before(s, s->heap[child], last)) break;
        s->heap[i] = s->heap[child];
    }
    s->heap[i] = last;
    return least;
}

static void popped(struct dmtr_runtime *rt, struct op *op);

/*
 * Moves one element that has arrived into the heap. Returns 1, 0 (none has arrived; the pop on the source stays) or a
 * negative errno.
 */
static int pop_arrived(struct sort *s) {
    if (s->ended || s->count == s->max) return 0;
    struct element *e;
    int r = reserve(s, &e);
    if (r) return r;
    r = source_pop(s->o.q.rt, &s->source, 0, popped, s);
    struct op *op = s->source.pop;
    if (r || op->state != OP_READY) {
        sys_free(e);
        return r;
    }
    s->source.pop = NULL;
    list_remove(&op->link);
    r = -op->error;
    s->ended = !r && op->sga.sga_numsegs == 0;
    bool element = !r && !s->ended;
    if (element)
        insert(s, e, &op->sga);
    else
        sys_free(e);
    op_free(s->o.q.rt, op);
    return element ? 1 : r;
}

/* Serves waiting pops while there are elements. Keeps a pop on the source only while a pop still waits. */
static void pump(struct sort *s) {
    while (!list_empty(&s->o.waiters)) {
        int r;
        do {
            r = pop_arrived(s);
        } while (r > 0);
        if (s->count == 0 && r == 0 && !s->ended) return;
        struct op *waiter = list_entry(list_first(&s->o.waiters), struct op, link);
        list_remove(&waiter->link);
        if (s->count == 0) {
            dmtr_sgarray_t end = {0};
            operator_complete(&s->o, waiter, &end, r);
        } else if (operator_complete_whole(&s->o, waiter, &s->heap[0]->sga)) {
            sys_free(remove_least(s));
        }
    }
    source_cancel(s->o.q.rt, &s->source);
}

/* The pop that stayed on the source is complete; pop_arrived consumes it. */
static void popped(struct dmtr_runtime *rt, struct op *op) {
    struct sort *s = op->ctx;
    (void)rt;
    int r = pop_arrived(s);
    if (r < 0) {
        struct op *waiter = operator_waiter(&s->o);
        if (waiter) operator_complete(&s->o, waiter, NULL, r);
    }
    pump(s);
}

static int sort_pop(struct queue *q, struct op *op) {
    struct sort *s = self(q);
    list_push_back(&s->o.waiters, &op->link);
    pump(s);
    return 0;
}

static int sort_push(struct queue *q, struct op *op) {
    struct sort *s = self(q);
    return operator_push(&s->o, op, &s->source, true);
}

static bool sort_cancel(struct queue *q, struct op *op) {
    struct sort *s = self(q);
    list_remove(&op->link);
    if (list_empty(&s->o.waiters)) source_cancel(q->rt, &s->source);
    return true;
}

static void sort_fini(struct operator_queue *o) {
    struct sort *s = list_entry(o, struct sort, o);
    for (uint32_t i = 0; i < s->count; i++) {
        sga_release(&s->heap[i]->sga);
        sys_free(s->heap[i]);
    }
    sys_free(s->heap);
    sys_free(s);
}

static void sort_close(struct queue *q, struct op *op) {
    struct sort *s = self(q);
    source_abandon(q->rt, &s->source);
    operator_close(&s->o, op);
}

static const struct queue_ops sort_ops = {
    .backend = "sort",
    .push = sort_push,
    .pop = sort_pop,
    .cancel = sort_cancel,
    .close = sort_close,
};

int sort_queue_new(struct queue *q1, dmtr_less_fn less, void *arg, struct queue **q_out) {
    struct sort *s = sys_calloc(1, sizeof *s);
    if (!s) return -ENOMEM;
    operator_init(&s->o, q1->rt, &sort_ops, sort_fini);
    s->source = source_of(q1);
    s->less = less;
    s->arg = arg;
    s->max = memory_max_elements(q1->rt);
    *q_out = &s->o.q;
    return 0;
}
