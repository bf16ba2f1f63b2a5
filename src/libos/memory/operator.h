/* SPDX-License-Identifier: MIT */
/*
 * Code that operators share: sources (queues that belong to the application, which may close them at any time), waiting
 * pops, pushes that are passed on, and a lifetime that ends when the last of these is complete.
 */
#ifndef LIBOS_MEMORY_OPERATOR_H
#define LIBOS_MEMORY_OPERATOR_H

#include "core/completion.h"

#include <stdbool.h>

struct operator_queue;

/* A source. The serial number detects that it was closed, even if its descriptor was reused. */
struct source {
    int qd;
    uint64_t serial;
    struct op *pop; /* our internal pop on it; NULL: none */
};

struct operator_queue {
    struct queue q;
    struct list waiters; /* waiting pops, oldest first */
    uint32_t pushing;    /* pushes passed to sources and not complete */
    bool closed;
    struct op *closing; /* the close operation, which completes after the last push; NULL: none requested */
    void (*fini)(
        struct operator_queue *o); /* releases the kind's resources and frees the queue; called once, after close */
};

struct source source_of(const struct queue *q);

/* Returns the source's queue, or NULL if it was closed. */
struct queue *source_queue(const struct dmtr_runtime *rt, const struct source *s);

/*
 * Starts the internal pop, of at most `limit` bytes of a stream (0: no limit), unless there is one already. `done` is
 * called with ctx and finds s->pop still set. Returns 0, -ECANCELED (the source was closed) or the source's error.
 */
int source_pop(struct dmtr_runtime *rt, struct source *s, uint64_t limit, op_done_fn done, void *ctx);

/* Cancels the internal pop. A pop that is already complete is left to its `done`. */
void source_cancel(struct dmtr_runtime *rt, struct source *s);

/* Ends the internal pop, if any, and discards its result. Used for closing. */
void source_abandon(struct dmtr_runtime *rt, struct source *s);

void operator_init(struct operator_queue *o, struct dmtr_runtime *rt, const struct queue_ops *ops,
                   void (*fini)(struct operator_queue *));

/*
 * Passes a push on to `s`; `op` completes when that push has. For several sources, call it for each, with `first` on
 * the first.
 */
int operator_push(struct operator_queue *o, struct op *op, const struct source *s, bool first);

/* Unlinks and returns the oldest waiting pop; NULL: none. */
struct op *operator_waiter(struct operator_queue *o);

/* Completes all waiting pops with `error`. */
void operator_fail(struct operator_queue *o, int error);

/* Moves a result into a waiting pop and completes the pop. */
void operator_complete(struct operator_queue *o, struct op *pop, dmtr_sgarray_t *sga, int error);

/*
 * As operator_complete, but never splits an element: if the pop asked for less, completes it with EMSGSIZE and returns
 * false.
 */
bool operator_complete_whole(struct operator_queue *o, struct op *pop, dmtr_sgarray_t *sga);

/* Implements queue_ops.close after the kind has released its sources: frees the queue now or after the last push. */
void operator_close(struct operator_queue *o, struct op *op);

#endif
