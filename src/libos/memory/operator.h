/* SPDX-License-Identifier: MIT */
/*
 * What operators share: a source (a queue that somebody else owns and may close at any time), pops that wait, pushes
 * passed through, and a life that lasts until the last of those is complete.
 */
#ifndef LIBOS_MEMORY_OPERATOR_H
#define LIBOS_MEMORY_OPERATOR_H

#include "core/completion.h"

#include <stdbool.h>

struct operator_queue;

/* A source, named so that its closing is noticed even if its descriptor is taken again. */
struct source {
    int qd;
    uint64_t serial;
    struct op *pop; /* our internal pop on it; NULL: none */
};

struct operator_queue {
    struct queue q;
    struct list waiters; /* pops waiting, oldest first */
    uint32_t pushing;    /* pushes passed to sources and not complete */
    bool closed;
    struct op *closing;                     /* the close that completes with the last push; NULL: nobody asked */
    void (*fini)(struct operator_queue *o); /* releases what the kind holds, frees it; once, after close */
};

struct source source_of(const struct queue *q);

/* NULL: closed. */
struct queue *source_queue(const struct dmtr_runtime *rt, const struct source *s);

/*
 * Begins the internal pop, at most `limit` bytes of a stream (0: any), unless there is one. `done` runs with ctx and
 * finds s->pop still set. 0; -ECANCELED: the source is closed; or why it refused.
 */
int source_pop(struct dmtr_runtime *rt, struct source *s, uint64_t limit, op_done_fn done, void *ctx);

/* Takes the internal pop back; one that is complete already is left for its `done`. */
void source_cancel(struct dmtr_runtime *rt, struct source *s);

/* Ends what there is of the internal pop, its result lost: for closing. */
void source_abandon(struct dmtr_runtime *rt, struct source *s);

void operator_init(struct operator_queue *o, struct dmtr_runtime *rt, const struct queue_ops *ops,
                   void (*fini)(struct operator_queue *));

/* Passes a push on to `s`; `op` completes when that has. To several: call with each, `first` on the first. */
int operator_push(struct operator_queue *o, struct op *op, const struct source *s, bool first);

/* The oldest waiting pop, unlinked; NULL: none. */
struct op *operator_waiter(struct operator_queue *o);

/* Ends all waiting pops with `error`. */
void operator_fail(struct operator_queue *o, int error);

/* Moves a result into a waiting pop and completes it. */
void operator_give(struct operator_queue *o, struct op *pop, dmtr_sgarray_t *sga, int error);

/* As operator_give, without splitting an element: false, and the pop ends with EMSGSIZE, if it asked for less. */
bool operator_give_whole(struct operator_queue *o, struct op *pop, dmtr_sgarray_t *sga);

/* queue_ops.close once the kind has let go of its sources: frees it now or after the last push. */
void operator_close(struct operator_queue *o, struct op *op);

#endif
