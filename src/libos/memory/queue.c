/* SPDX-License-Identifier: MIT */
/*
 * The FIFO. An element owns its memory: it becomes a further owner of heap blocks, and copies other memory. A push that
 * finds a waiting pop completes it without storing the element.
 */
#include "base/sys.h"
#include "core/completion.h"
#include "core/sga.h"
#include "libos/memory/memory.h"
#include "libos/memory/options.h"
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
    uint32_t room; /* elements that fit now: the minimum of capacity and max */
};

static struct memory_queue *self(struct queue *q) {
    return list_entry(q, struct memory_queue, q);
}

/* Copies a segment that is not in the heap. */
static int copy_foreign(struct queue *q, dmtr_sgaseg_t *seg) {
    void *copy = heap_alloc(seg->sgaseg_len);
    if (!copy) return -ENOMEM;
    memcpy(copy, seg->sgaseg_buf, seg->sgaseg_len);
    seg->sgaseg_buf = copy;
    q->copies += seg->sgaseg_len;
    counter_add(&q->rt->counters, copied_bytes, seg->sgaseg_len);
    return 0;
}

static int own_segment(struct queue *q, dmtr_sgaseg_t *seg) {
    if (likely(seg->sgaseg_len && heap_share(seg->sgaseg_buf))) return 0;
    if (seg->sgaseg_len) return copy_foreign(q, seg);
    seg->sgaseg_buf = NULL;
    return 0;
}

/* Makes `sga` an owner of the memory of each of its segments. */
static int take_ownership(struct queue *q, dmtr_sgarray_t *sga) {
    sga->sga_buf = NULL;
    for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
        int r = own_segment(q, &sga->sga_segs[i]);
        if (likely(!r)) continue;
        sga->sga_numsegs = i;
        sga_release(sga);
        return r;
    }
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
    m->room = capacity < m->max ? capacity : m->max;
    m->head = 0;
    return 0;
}

/* The place of the next element, for which there is room. */
static inline dmtr_sgarray_t *newest(struct memory_queue *m) {
    return &m->elements[(m->head + m->count++) & (m->capacity - 1)];
}

static void store(struct memory_queue *m, const dmtr_sgarray_t *sga) {
    sga_copy_segments(newest(m), sga);
}

static inline void set_segment(dmtr_sgarray_t *to, dmtr_sgaseg_t seg) {
    to->sga_buf = NULL;
    to->sga_numsegs = 1;
    to->sga_addrlen = 0;
    to->sga_segs[0] = seg;
}

static bool fits(const struct op *pop, const dmtr_sgarray_t *sga) {
    return likely(!(pop->flags & OP_LIMITED)) || sga_bytes(sga) <= pop->bytes;
}

/* Returns the first waiting pop that accepts this many bytes. Pops before it that asked for less fail with EMSGSIZE. */
static struct op *waiting_pop(struct memory_queue *m, const dmtr_sgarray_t *sga) {
    for (struct list *l; (l = list_pop_front(&m->pops));) {
        struct op *pop = list_entry(l, struct op, link);
        if (fits(pop, sga)) return pop;
        op_complete(m->q.rt, pop, -EMSGSIZE);
    }
    return NULL;
}

/* The queue is full: the push waits for room, within the queue's push limit. */
static int push_wait(struct memory_queue *m, struct op *op) {
    op->bytes = sga_bytes(&op->sga);
    int r = queue_admit(&m->q, op);
    if (r) return r;
    m->q.pushes++;
    queue_count_push(&m->q, op);
    list_push_back(&m->pushes, &op->link);
    return 0;
}

/*
 * Pushes in any case. With `owned` the push passes its ownership of the memory to the queue, otherwise the queue
 * becomes a further owner. After an error the queue owns nothing.
 */
static inline __attribute__((always_inline)) int push_as(struct memory_queue *m, struct op *op, bool owned) {
    int r = m->count == m->room && m->count < m->max ? elements_grow(m) : 0;
    if (!r && !owned) r = take_ownership(&m->q, &op->sga);
    if (r) return r;
    struct op *pop = waiting_pop(m, &op->sga);
    if (!pop && m->count == m->max) {
        r = push_wait(m, op);
        if (r && !owned) sga_release(&op->sga);
        return r;
    }
    if (pop) {
        sga_copy_segments(&pop->sga, &op->sga);
        op_complete(m->q.rt, pop, 0);
    } else {
        store(m, &op->sga);
    }
    m->q.pushes++;
    op_finish(m->q.rt, op, 0);
    return 0;
}

static int memory_push(struct queue *q, struct op *op) {
    return push_as(self(q), op, false);
}

static int memory_push_owned(struct queue *q, struct op *op) {
    return push_as(self(q), op, true);
}

/* Creates a READY operation, whose result the caller has filled in or then fills in. */
static inline struct op *create_ready(struct queue *q, enum dmtr_opcode opcode, dmtr_qtoken_t *qt_out) {
    struct op *op = op_take(q->rt, q, opcode);
    op_finish(q->rt, op, 0);
    *qt_out = op->token;
    return op;
}

/* One segment in the heap; there is room, and no pop waits, or a plain one does. */
static int memory_push_call(struct queue *q, const dmtr_sgarray_t *sga, dmtr_qtoken_t *qt_out) {
    struct memory_queue *m = self(q);
    const dmtr_sgaseg_t *seg = &sga->sga_segs[0];
    struct op *pop = op_first(&m->pops);
    bool usual = m->count < m->room && !(pop && pop->flags) && queue_may_take(q->rt);
    if (unlikely(!usual || sga->sga_numsegs != 1 || !seg->sgaseg_len || !heap_share(seg->sgaseg_buf)))
        return queue_call_push(q, sga, qt_out);
    q->pushes++;
    if (pop) {
        list_remove(&pop->link);
        set_segment(&pop->sga, *seg);
        op_finish(q->rt, pop, 0);
    } else {
        set_segment(newest(m), *seg);
    }
    (void)create_ready(q, DMTR_OPC_PUSH, qt_out);
    return 0;
}

/* Stores the oldest push that waits for room. */
static void admit_waiting(struct memory_queue *m) {
    struct list *l = list_pop_front(&m->pushes);
    if (!l) return;
    struct op *push = list_entry(l, struct op, link);
    store(m, &push->sga);
    op_complete(m->q.rt, push, 0);
}

static const dmtr_sgarray_t *oldest(const struct memory_queue *m) {
    return &m->elements[m->head & (m->capacity - 1)];
}

/* Moves the oldest element to the result of op. */
static inline void take_oldest(struct memory_queue *m, struct op *op) {
    sga_copy_segments(&op->sga, oldest(m));
    m->head++;
    m->count--;
}

static int memory_pop(struct queue *q, struct op *op) {
    struct memory_queue *m = self(q);
    if (m->count == 0) {
        list_push_back(&m->pops, &op->link);
        return 0;
    }
    if (!fits(op, oldest(m))) {
        op_complete(q->rt, op, -EMSGSIZE);
        return 0;
    }
    take_oldest(m, op);
    op_complete(q->rt, op, 0);
    admit_waiting(m);
    return 0;
}

/* There is an element, and no push waits for room. */
static int memory_pop_call(struct queue *q, dmtr_qtoken_t *qt_out) {
    struct memory_queue *m = self(q);
    if (unlikely(m->count == 0 || !list_empty(&m->pushes) || !queue_may_take(q->rt)))
        return queue_call_pop(q, 0, 0, qt_out);
    q->pops++;
    take_oldest(m, create_ready(q, DMTR_OPC_POP, qt_out));
    return 0;
}

static bool memory_cancel(struct queue *q, struct op *op) {
    (void)q;
    list_remove(&op->link);
    return true;
}

static void memory_close(struct queue *q, struct op *op) {
    struct memory_queue *m = self(q);
    struct list *l;
    ops_complete(q->rt, &m->pops, -ECANCELED);
    while ((l = list_pop_front(&m->pushes))) {
        struct op *push = list_entry(l, struct op, link);
        sga_release(&push->sga);
        op_complete(q->rt, push, -ECANCELED);
    }
    for (; m->count; m->count--, m->head++)
        sga_release(&m->elements[m->head & (m->capacity - 1)]);
    if (op) op_complete(q->rt, op, 0);
    sys_free(m->elements);
    sys_free(m);
}

static const struct queue_ops memory_ops = {
    .backend = "memory",
    .owns_pushed = true,
    .push = memory_push,
    .push_owned = memory_push_owned,
    .push_call = memory_push_call,
    .pop_call = memory_pop_call,
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
    m->max = memory_max_elements(rt);
    *q_out = &m->q;
    return 0;
}
