/* SPDX-License-Identifier: MIT */
/* qconnect: pops one element at a time from one queue and pushes it to another. */
#include "base/sys.h"
#include "core/sga.h"
#include "core/watch.h"
#include "libos/memory/memory.h"
#include "libos/memory/operator.h"

#include <errno.h>
#include <string.h>

#define RETRY_NS 1000000

struct forward {
    struct dmtr_runtime *rt;
    struct source in, out;
    bool holding; /* element was popped and is not pushed yet */
    dmtr_sgarray_t element;
};

static void popped(struct dmtr_runtime *rt, struct op *op);
static void run(struct forward *f);

static void end(struct forward *f, int error) {
    if (error && error != -ECANCELED)
        log_warn(&f->rt->log, "qconnect: forwarding to queue %d ended: %s", f->out.qd, strerror(-error));
    if (f->holding) sga_release(&f->element);
    sys_free(f);
}

static void retry(struct dmtr_runtime *rt, struct op *op) {
    struct forward *f = op->ctx;
    int r = -op->error;
    op_free(rt, op);
    if (r)
        end(f, r);
    else
        run(f);
}

/* A lack of memory is temporary and loses nothing, so the step is retried. Any other error ends the forwarding. */
static void handle_error(struct forward *f, int error) {
    if (error == -ENOMEM || error == -ENOBUFS) error = timer_begin_internal(f->rt, RETRY_NS, retry, f);
    if (error) end(f, error);
}

static void pushed(struct dmtr_runtime *rt, struct op *op) {
    struct forward *f = op->ctx;
    int r = -op->error;
    op_free(rt, op);
    if (r) {
        handle_error(f, r);
        return;
    }
    f->holding = false;
    sga_release(&f->element);
    run(f);
}

static int forward_push(struct forward *f) {
    struct queue *out = source_queue(f->rt, &f->out);
    if (!out) return -ECANCELED;
    struct op *op;
    int r = op_new_internal(f->rt, out, DMTR_OPC_PUSH, pushed, f, &op);
    if (r) return r;
    sga_copy_segments(&op->sga, &f->element);
    op->sga.sga_addrlen = 0;
    r = queue_push(out, op);
    if (r) op_free(f->rt, op);
    return r;
}

static void run(struct forward *f) {
    int r = f->holding ? forward_push(f) : source_pop(f->rt, &f->in, 0, popped, f);
    if (r) handle_error(f, r);
}

static void popped(struct dmtr_runtime *rt, struct op *op) {
    struct forward *f = op->ctx;
    f->in.pop = NULL;
    int r = -op->error;
    f->holding = !r && op->sga.sga_numsegs;
    if (f->holding) sga_copy_segments(&f->element, &op->sga);
    op_free(rt, op);
    if (f->holding)
        run(f);
    else if (r)
        handle_error(f, r);
    else
        end(f, 0);
}

int forward_new(struct queue *in, struct queue *out) {
    struct forward *f = sys_calloc(1, sizeof *f);
    if (!f) return -ENOMEM;
    f->rt = in->rt;
    f->in = source_of(in);
    f->out = source_of(out);
    int r = source_pop(f->rt, &f->in, 0, popped, f);
    if (r) sys_free(f);
    return r;
}
