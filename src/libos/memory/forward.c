/* qconnect: one element at a time is popped from one queue and pushed to another. */
#include "base/sys.h"
#include "core/sga.h"
#include "libos/memory/memory.h"
#include "libos/memory/operator.h"

#include <errno.h>
#include <string.h>

struct forward {
    struct dmtr_runtime *rt;
    struct source in, out;
};

static void end(struct forward *f, int error) {
    if (error && error != -ECANCELED)
        log_info(&f->rt->log, "forwarding to queue %d ended: %s", f->out.qd, strerror(-error));
    sys_free(f);
}

static void popped(struct dmtr_runtime *rt, struct op *op);

static void pushed(struct dmtr_runtime *rt, struct op *op) {
    struct forward *f = op->ctx;
    int r = -op->error;
    op_free(rt, op);
    if (!r) r = source_pop(rt, &f->in, 0, popped, f);
    if (r) end(f, r);
}

static int forward_push(struct forward *f, dmtr_sgarray_t *sga) {
    struct queue *out = source_queue(f->rt, &f->out);
    if (!out) return -ECANCELED;
    struct op *op;
    int r = op_new_internal(f->rt, out, DMTR_OPC_PUSH, pushed, f, &op);
    if (r) return r;
    sga_copy(&op->sga, sga);
    op->sga.sga_addrlen = 0;
    r = queue_push(out, op);
    if (r) op_free(f->rt, op);
    return r;
}

static void popped(struct dmtr_runtime *rt, struct op *op) {
    struct forward *f = op->ctx;
    f->in.pop = NULL;
    int r = -op->error;
    bool over = !r && op->sga.sga_numsegs == 0;
    if (!r && !over) {
        r = forward_push(f, &op->sga);
        /* The push holds the memory for as long as it needs it. */
        sga_release(&op->sga);
    }
    op_free(rt, op);
    if (r || over) end(f, r);
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
