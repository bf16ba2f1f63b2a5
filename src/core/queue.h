/* SPDX-License-Identifier: MIT */
/*
 * Queues: a queue descriptor names one. A kind of queue embeds struct queue and implements struct queue_ops; core
 * implements the table, the limits, the statistics and the framing for all kinds.
 *
 * Lifetime: a libos makes a queue (queue_init), core assigns a descriptor (queue_open). dmtr_close removes the
 * descriptor and calls ops->close; from then on the kind owns the queue, completes outstanding operations, delivers
 * what was pushed, and frees the queue. Functions return 0 or a negative errno.
 */
#ifndef CORE_QUEUE_H
#define CORE_QUEUE_H

#include "base/list.h"
#include "core/op.h"
#include "core/sga.h"

#include <sys/types.h>

/*
 * A layer over a stream queue: it implements pushes and pops instead of the kind. `cancel` is as in struct queue_ops.
 * `close` completes pops with -ECANCELED, still delivers pushes, and frees the layer when the queue no longer needs it;
 * it returns whether the layer holds, or has discarded, received data that was not popped.
 */
struct queue_layer {
    int (*push)(struct queue_layer *l, struct op *op);
    int (*pop)(struct queue_layer *l, struct op *op);
    bool (*cancel)(struct queue_layer *l, struct op *op);
    bool (*close)(struct queue_layer *l);
};

/*
 * An entry may be NULL: core then returns EOPNOTSUPP, or ENOTSOCK if `socket` is false, or ESPIPE
 * for lseek, truncate and fsync.
 */
struct queue_ops {
    const char *backend; /* for DMTR_SO_INFO, e.g. "posix/io_uring" */
    bool socket;
    bool stream;      /* a byte stream, to which framing may be added */
    bool owns_pushed; /* push reads op->sga, takes references to its memory, and checks limits itself; no streams */
    /* As push, but of one segment, which is not empty and which the queue then owns. For kinds with owns_pushed. */
    int (*push_owned)(struct queue *q, struct op *op);
    /*
     * Fast paths of dmtr_push and dmtr_pop. They handle the kind's usual case with few instructions, and call
     * queue_call_push and queue_call_pop in every other case. No pointer is NULL; sga is not checked. Return 0 or a
     * positive errno. NULL: the kind has no fast path.
     */
    int (*push_call)(struct queue *q, const dmtr_sgarray_t *sga, dmtr_qtoken_t *qt_out);
    int (*pop_call)(struct queue *q, dmtr_qtoken_t *qt_out);

    /*
     * Begin an operation that core has made PENDING. Either store it (link op->link into a list of the kind) and
     * op_complete it later, or op_complete it now. If an entry returns an error, the call fails without any effect.
     *   push: op->segs, op->numsegs, op->bytes; destination in op->sga.sga_addr with OP_TO. Memory of the heap is held
     * by core until the operation is complete; other memory stays valid by the API's contract. pop:  fill op->sga with
     * memory of the heap, at most op->bytes with OP_LIMITED. End of stream: no segments. accept: complete with
     * queue_accepted.
     */
    int (*push)(struct queue *q, struct op *op);
    int (*pop)(struct queue *q, struct op *op);
    int (*accept)(struct queue *q, struct op *op);
    int (*connect)(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len);

    /*
     * Cancels a PENDING pop, accept or connect without loss of data or of a connection: unlinks it and returns
     * true; core frees it. False: it cannot be cancelled now; core marks it OP_DROPPED, and the kind later
     * completes it and keeps its data or connection for the next operation.
     */
    bool (*cancel)(struct queue *q, struct op *op);

    /*
     * The descriptor is closed. Complete pops, accepts and connects with -ECANCELED; continue pushes; complete
     * `op` (may be NULL) when the peer has all data, then free q. All of this may happen within the call.
     */
    void (*close)(struct queue *q, struct op *op);

    /* Moves the connection to another runtime of the process. The queue stays without it; core closes the queue. */
    int (*transfer)(struct queue *q, uint32_t runtime);

    int (*bind)(struct queue *q, const struct sockaddr *addr, socklen_t len);
    int (*listen)(struct queue *q, int backlog);
    int (*shutdown)(struct queue *q, int how);
    int (*getsockname)(struct queue *q, struct sockaddr *addr, socklen_t *len);
    int (*getpeername)(struct queue *q, struct sockaddr *addr, socklen_t *len);
    int (*setsockopt)(struct queue *q, int level, int name, const void *value, socklen_t len);
    int (*getsockopt)(struct queue *q, int level, int name, void *value, socklen_t *len);
    int (*lseek)(struct queue *q, off_t offset, int whence, off_t *offset_out);
    int (*truncate)(struct queue *q, off_t length);
    int (*fsync)(struct queue *q);
};

struct queue {
    const struct queue_ops *ops;
    struct dmtr_runtime *rt;
    int qd;                      /* -1: not opened yet, or closed */
    bool frame_accepted;         /* a listener that adds framing to its connections */
    bool push_acked;             /* DMTR_SO_PUSH_ACKED */
    bool unread;                 /* at its close: framing has read data from the stream that was not popped */
    void *user;                  /* set by dmtr_set_user; copied to each operation when it begins */
    struct queue_layer *framing; /* NULL: none */
    uint64_t push_outstanding_bytes, push_limit_bytes;
    uint64_t message_limit_bytes;            /* a larger push fails with EMSGSIZE */
    uint64_t pushes, pops, copies, syscalls; /* for DMTR_SO_INFO */
    uint64_t serial;       /* unique in the runtime: distinguishes a queue from a later one with the same descriptor */
    dmtr_qtoken_t failure; /* token of the result that reports failed quiet pushes; stale: no such result */
};

/* Initialises q; push_limit_bytes comes from the configuration. */
void queue_init(struct queue *q, struct dmtr_runtime *rt, const struct queue_ops *ops);

/* Assigns a descriptor to q. 0, -ENOBUFS (core.max_queues), -ENOMEM. On failure the caller still owns q. */
int queue_open(struct queue *q);

/* The queue a descriptor names on this runtime, or NULL. */
struct queue *queue_find(const struct dmtr_runtime *rt, int qd);

/* Makes the table of queues, which is freed with the runtime. */
int queue_table_init(struct dmtr_runtime *rt);
/* Iterates over the open queues; *cursor begins at 0. NULL: no more. */
struct queue *queue_next(const struct dmtr_runtime *rt, uint32_t *cursor);

/*
 * These implement the API's calls: they add limits, holds and framing to a kind's entry. If one returns an error, op is
 * still PENDING, and the caller frees it. queue_push sends op->sga.
 */
int queue_push(struct queue *q, struct op *op);
/* The same for one segment in a block of the heap, which the operation owns after success. */
int queue_push_owned(struct queue *q, struct op *op);
int queue_pop(struct queue *q, struct op *op);
/*
 * dmtr_push and dmtr_pop after their arguments were found; limit, flags: `bytes` and `flags` of the pop. A positive
 * errno.
 */
int queue_call_push(struct queue *q, const dmtr_sgarray_t *sga, dmtr_qtoken_t *qt_out);
int queue_call_pop(struct queue *q, uint64_t limit, uint16_t flags, dmtr_qtoken_t *qt_out);
/*
 * Ends a call that begins op: r is what the queue's kind returned for it. Returns the token, or frees op and returns
 * the positive errno.
 */
int queue_begun(struct dmtr_runtime *rt, struct op *op, int r, dmtr_qtoken_t *qt_out);
void queue_cancel(struct queue *q, struct op *op);
void queue_close(struct queue *q, struct op *op);
int queue_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len);
int queue_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len);

/*
 * Makes a PENDING operation with a token, or an internal one. 0, -ENOBUFS (core.max_operations), -ENOMEM. Its sga is
 * not initialised; the queue's kind fills it in before it completes a pop without error.
 */
int op_new(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, struct op **op_out);
int op_new_internal(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, op_done_fn done, void *ctx,
                    struct op **op_out);

/* ---- the inner steps of the datapath ---- */

/* Takes a free slot, of which there is one, for a PENDING operation with a token; link and sga are not initialised. */
static inline struct op *op_take(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode) {
    struct op *op = rt->ops_free;
    rt->ops_free = op->next_free;
    rt->ops_outstanding++;
    op->opcode = opcode;
    op->qd = q ? q->qd : -1;
    op->user = q ? q->user : NULL;
    op->q = q;
    op->state = OP_PENDING;
    op->named = true;
    op->flags = 0;
    return op;
}

/* The same, and allocates slots if none is free. 0, -ENOBUFS, -ENOMEM. */
static inline int op_begin(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, struct op **op_out) {
    if (unlikely(!rt->ops_free)) {
        int r = op_grow(rt);
        if (r) return r;
    }
    *op_out = op_take(rt, q, opcode);
    return 0;
}

static inline struct queue *queue_lookup(const struct dmtr_runtime *rt, int qd) {
    uint32_t index = (uint32_t)qd & (RUNTIME_MAX_QDS - 1);
    if (unlikely(index >= rt->queues.len)) return NULL;
    struct queue *q = ((struct queue_slot *)(void *)rt->queues.base)[index].q;
    /* Comparing q->qd also refuses descriptors of other runtimes and negative numbers. */
    return likely(q && q->qd == qd) ? q : NULL;
}

/* 0, or the negative errno with which this push is refused. */
static inline int queue_admit(struct queue *q, const struct op *op) {
    uint64_t limit = q->push_limit_bytes;
    if (unlikely(op->bytes > q->message_limit_bytes || op->bytes > limit)) return -EMSGSIZE;
    /* The layer of an internal push has already checked its data against the limit. */
    if (likely(op->bytes <= limit - q->push_outstanding_bytes) || op->flags & OP_INTERNAL) return 0;
    counter_inc(&q->rt->counters, push_bytes_limit);
    return -ENOBUFS;
}

/* Whether push_call and pop_call may use op_take and omit runtime_event_sync: a slot is free, and no event descriptor
 * must be updated. */
static inline bool queue_may_take(const struct dmtr_runtime *rt) {
    return rt->ops_free && rt->event.epoll_fd < 0;
}

/* For pop_call: takes a slot for a pop without a limit, and counts it. */
static inline struct op *queue_take_pop(struct queue *q, dmtr_qtoken_t *qt_out) {
    struct op *op = op_take(q->rt, q, DMTR_OPC_POP);
    sga_clear(&op->sga);
    q->pops++;
    *qt_out = op->token;
    return op;
}

/* Counts an outstanding push against the queue's limit. */
static inline void queue_count_push(struct queue *q, struct op *op) {
    op->flags |= OP_COUNTED;
    q->push_outstanding_bytes += op->bytes;
}

#endif
