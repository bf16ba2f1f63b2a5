/*
 * The FIFO. An element owns its memory: what is the heap's is taken over by the hold the push has on it, what is not is
 * copied. A push meets a waiting pop without being stored.
 */
#include "base/sys.h"
#include "core/runtime.h"
#include "core/sga.h"
#include "libos/memory/memory.h"
#include "mem/heap.h"

#include <errno.h>
#include <string.h>

#define ELEMENTS_FIRST 8u

struct memory_queue {
    struct queue q;
    struct list pops;   /* waiting, oldest first; only while there are no elements */
    struct list pushes; /* waiting for room, oldest first */
    dmtr_sgarray_t *elements;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t head, count, max;
};

static struct memory_queue *self(struct queue *q) {
    return list_entry(q, struct memory_queue, q);
}

/* Copies the segments that are not the heap's, so that every segment of op->sga is memory op holds. */
static int own_segments(struct queue *q, struct op *op) {
    dmtr_sgarray_t *sga = &op->sga;
    for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
        dmtr_sgaseg_t *seg = &sga->sga_segs[i];
        if (seg->sgaseg_len == 0) {
            seg->sgaseg_buf = NULL;
            continue;
        }
        if (heap_owns(seg->sgaseg_buf)) continue;
        void *copy = heap_alloc(seg->sgaseg_len);
        if (!copy) return -ENOMEM;
        memcpy(copy, seg->sgaseg_buf, seg->sgaseg_len);
        heap_hold(copy);
        heap_free(copy);
        seg->sgaseg_buf = copy;
        op->flags |= OP_HELD;
        q->copies += seg->sgaseg_len;
        counter_add(&q->rt->counters, copied_bytes, seg->sgaseg_len);
    }
    sga->sga_buf = NULL;
    return 0;
}

static int elements_grow(struct memory_queue *m) {
    uint32_t capacity = m->capacity ? m->capacity * 2 : ELEMENTS_FIRST;
    dmtr_sgarray_t *fresh = sys_calloc(capacity, sizeof *fresh);
    if (!fresh) return -ENOMEM;
    for (uint32_t i = 0; i < m->count; i++)
        sga_copy(&fresh[i], &m->elements[(m->head + i) & (m->capacity - 1)]);
    sys_free(m->elements);
    m->elements = fresh;
    m->capacity = capacity;
    m->head = 0;
    return 0;
}

/* The push's data becomes the newest element, its holds with it. There is room. */
static void store(struct memory_queue *m, struct op *push) {
    sga_copy(&m->elements[(m->head + m->count++) & (m->capacity - 1)], &push->sga);
    push->flags &= (uint16_t)~OP_HELD;
    op_complete(m->q.rt, push, 0);
}

/* Gives `sga`, whose holds become the pop's ownership. False: larger than the pop asked for. */
static bool give(struct memory_queue *m, struct op *pop, const dmtr_sgarray_t *sga) {
    if (pop->flags & OP_LIMITED && sga_bytes(sga) > pop->bytes) {
        op_complete(m->q.rt, pop, -EMSGSIZE);
        return false;
    }
    sga_copy(&pop->sga, sga);
    for (uint32_t i = 0; i < sga->sga_numsegs; i++)
        if (sga->sga_segs[i].sgaseg_buf) heap_hold_to_owner(sga->sga_segs[i].sgaseg_buf);
    op_complete(m->q.rt, pop, 0);
    return true;
}

static int memory_push(struct queue *q, struct op *op) {
    struct memory_queue *m = self(q);
    int r = own_segments(q, op);
    if (r) return r;
    while (!list_empty(&m->pops)) {
        struct op *pop = list_entry(list_pop_front(&m->pops), struct op, link);
        if (!give(m, pop, &op->sga)) continue;
        op->flags &= (uint16_t)~OP_HELD;
        op_complete(q->rt, op, 0);
        return 0;
    }
    if (m->count == m->max) {
        list_push_back(&m->pushes, &op->link);
        return 0;
    }
    if (m->count == m->capacity) r = elements_grow(m);
    if (!r) store(m, op);
    return r;
}

static int memory_pop(struct queue *q, struct op *op) {
    struct memory_queue *m = self(q);
    if (m->count == 0) {
        list_push_back(&m->pops, &op->link);
        return 0;
    }
    if (!give(m, op, &m->elements[m->head & (m->capacity - 1)])) return 0;
    m->head++;
    m->count--;
    struct list *waiting = list_pop_front(&m->pushes);
    if (waiting) store(m, list_entry(waiting, struct op, link));
    return 0;
}

static bool memory_cancel(struct queue *q, struct op *op) {
    (void)q;
    list_remove(&op->link);
    return true;
}

static void cancel_all(struct dmtr_runtime *rt, struct list *ops) {
    for (struct list *l; (l = list_pop_front(ops));)
        op_complete(rt, list_entry(l, struct op, link), -ECANCELED);
}

static void memory_close(struct queue *q, struct op *op) {
    struct memory_queue *m = self(q);
    cancel_all(q->rt, &m->pops);
    cancel_all(q->rt, &m->pushes);
    for (; m->count; m->count--, m->head++)
        sga_release_held(&m->elements[m->head & (m->capacity - 1)]);
    if (op) op_complete(q->rt, op, 0);
    sys_free(m->elements);
    sys_free(m);
}

static const struct queue_ops memory_ops = {
    .backend = "memory",
    .push = memory_push,
    .pop = memory_pop,
    .cancel = memory_cancel,
    .close = memory_close,
};

int memory_queue_new(struct dmtr_runtime *rt, struct queue **q_out) {
    struct memory_queue *m = sys_calloc(1, sizeof *m);
    if (!m) return -ENOMEM;
    queue_init(&m->q, rt, &memory_ops);
    list_init(&m->pops);
    list_init(&m->pushes);
    m->max = (uint32_t)rt->config.memory_max_elements;
    *q_out = &m->q;
    return 0;
}
