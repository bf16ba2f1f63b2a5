/* SPDX-License-Identifier: MIT */
/*
 * Queues: what a descriptor names. A kind of queue embeds struct queue and implements struct queue_ops; core keeps the
 * table, the limits, the statistics and the framing, so that kinds need not.
 *
 * Life: a libos makes a queue (queue_init), core gives it a descriptor (queue_open). dmtr_close takes the descriptor
 * away and calls ops->close; from then on the queue belongs to its kind, which ends what is outstanding, delivers what
 * was pushed, and frees it. Functions return 0 or a negative errno.
 */
#ifndef CORE_QUEUE_H
#define CORE_QUEUE_H

#include "base/list.h"
#include "core/op.h"
#include "core/sga.h"

#include <sys/types.h>

/*
 * A layer over a stream queue: it does pushes and pops in place of the kind. `cancel` is as in struct queue_ops.
 * `close` ends pops with -ECANCELED, still delivers pushes, and frees the layer when the queue no longer needs it; it
 * returns whether the layer has received data that no pop was given.
 */
struct queue_layer {
    int (*push)(struct queue_layer *l, struct op *op);
    int (*pop)(struct queue_layer *l, struct op *op);
    bool (*cancel)(struct queue_layer *l, struct op *op);
    bool (*close)(struct queue_layer *l);
};

/*
 * An entry may be NULL where it does not apply: core answers EOPNOTSUPP, or ENOTSOCK when `socket` is false, or ESPIPE
 * for lseek, truncate and fsync.
 */
struct queue_ops {
    const char *backend; /* for DMTR_SO_INFO, e.g. "posix/io_uring" */
    bool socket;
    bool stream;      /* bytes without borders: framing may be put on top */
    bool owns_pushed; /* push reads op->sga, takes references to its memory, and sees to limits itself; no streams */
    /* As push, of one segment with bytes that becomes the queue's own. For kinds with owns_pushed. */
    int (*push_owned)(struct queue *q, struct op *op);

    /*
     * Begin an operation that core has made PENDING. Either keep it (link op->link into a list of the kind's) and
     * op_complete it later, or op_complete it now. An error returned refuses the call, as if it never was.
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
     * Takes back a PENDING pop, accept or connect so that no data and no connection is lost: unlinks it and returns
     * true; core frees it. False: it cannot be taken back at once; core marks it OP_DROPPED and the kind still
     * completes it, keeping data and connections for the next one.
     */
    bool (*cancel)(struct queue *q, struct op *op);

    /*
     * The descriptor is gone. Complete pops, accepts and connects with -ECANCELED; go on with pushes; complete
     * `op` (NULL: nobody asks) when the peer has all, then free q. May do all of it at once.
     */
    void (*close)(struct queue *q, struct op *op);

    /* Gives the connection to another runtime of the process; the queue stays, without one, to be closed by core. */
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
    int qd;                      /* -1 once closed or before it is opened */
    bool frame_accepted;         /* a listener whose connections are to be framed */
    bool push_acked;             /* DMTR_SO_PUSH_ACKED */
    bool unread;                 /* at its close: framing has taken data off the stream that no pop was given */
    void *user;                  /* of dmtr_set_user, for the results of operations begun from now on */
    struct queue_layer *framing; /* NULL: none */
    uint64_t push_outstanding_bytes, push_limit_bytes;
    uint64_t message_limit_bytes;            /* a larger push is EMSGSIZE; 0: none */
    uint64_t pushes, pops, copies, syscalls; /* for DMTR_SO_INFO */
    uint64_t serial;       /* unique in the runtime: tells a queue from a later one with its descriptor */
    dmtr_qtoken_t failure; /* of the result that tells of failed quiet pushes; stale: none is there */
};

/* Fills in what core needs; push_limit_bytes from the configuration. */
void queue_init(struct queue *q, struct dmtr_runtime *rt, const struct queue_ops *ops);

/* Gives q a descriptor. 0, -ENOBUFS (core.max_queues), -ENOMEM. On failure q stays the caller's. */
int queue_open(struct queue *q);

/* The queue a descriptor names on this runtime, or NULL. */
struct queue *queue_find(const struct dmtr_runtime *rt, int qd);

/* The table itself; freed with the runtime. */
int queue_table_init(struct dmtr_runtime *rt);
/* Iterates over the open queues, from *cursor 0. NULL: no more. */
struct queue *queue_next(const struct dmtr_runtime *rt, uint32_t *cursor);

/*
 * What the API calls are made of: a kind's entry with limits, holds and framing around it. An operation begun with an
 * error returned is still PENDING and the caller's to free. queue_push sends op->sga.
 */
int queue_push(struct queue *q, struct op *op);
/* The same for one segment in a block of the heap's, which becomes the operation's if this succeeds. */
int queue_push_owned(struct queue *q, struct op *op);
int queue_pop(struct queue *q, struct op *op);
/* Counts a push that stays outstanding against the queue's limit. */
void queue_count_push(struct queue *q, struct op *op);
void queue_cancel(struct queue *q, struct op *op);
void queue_close(struct queue *q, struct op *op);
int queue_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len);
int queue_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len);

/*
 * A fresh PENDING operation with its token, or an internal one. 0, -ENOBUFS (core.max_operations), -ENOMEM. Its sga is
 * not initialised; a pop is completed without error only after the kind has filled it in.
 */
int op_new(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, struct op **op_out);
int op_new_internal(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, op_done_fn done, void *ctx,
                    struct op **op_out);

/* ---- the inner steps of the datapath ---- */

/* A fresh PENDING operation with a token; its link and sga are not initialised. 0, -ENOBUFS, -ENOMEM. */
static inline int op_begin(struct dmtr_runtime *rt, struct queue *q, enum dmtr_opcode opcode, struct op **op_out) {
    if (unlikely(!rt->ops_free)) {
        int r = op_grow(rt);
        if (r) return r;
    }
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
    *op_out = op;
    return 0;
}

static inline struct queue *queue_lookup(const struct dmtr_runtime *rt, int qd) {
    uint32_t index = (uint32_t)qd & (RUNTIME_MAX_QDS - 1);
    if (unlikely(index >= rt->queues.len)) return NULL;
    struct queue *q = ((struct queue_slot *)(void *)rt->queues.base)[index].q;
    /* The descriptor it has now tells apart runtimes and negative numbers. */
    return likely(q && q->qd == qd) ? q : NULL;
}

/* 0, or why this push is refused. */
static inline int queue_admit(struct queue *q, const struct op *op) {
    uint64_t limit = q->push_limit_bytes;
    if (unlikely(op->bytes > q->message_limit_bytes || op->bytes > limit)) return -EMSGSIZE;
    /* Internal pushes are bounded by their layer, and their data was admitted there. */
    if (likely(op->bytes <= limit - q->push_outstanding_bytes) || op->flags & OP_INTERNAL) return 0;
    counter_inc(&q->rt->counters, push_bytes_limit);
    return -ENOBUFS;
}

/* queue_push; a kind that owns what is pushed does all of it itself. */
static inline int queue_begin_push(struct queue *q, struct op *op) {
    return likely(q->ops->owns_pushed) ? q->ops->push(q, op) : queue_push(q, op);
}

/* queue_pop */
static inline int queue_begin_pop(struct queue *q, struct op *op) {
    if (unlikely(!q->ops->pop)) return -EOPNOTSUPP;
    q->pops++;
    int r = unlikely(q->framing != NULL) ? q->framing->pop(q->framing, op) : q->ops->pop(q, op);
    if (unlikely(r)) q->pops--;
    return r;
}

#endif
