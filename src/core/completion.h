/* SPDX-License-Identifier: MIT */
/* How operations end: their accounting, the memory they hold, and the list of results. */
#ifndef CORE_COMPLETION_H
#define CORE_COMPLETION_H

#include "core/queue.h"

/* Completes a PENDING operation, which the caller has unlinked. error: 0 or a negative errno. */
void op_complete(struct dmtr_runtime *rt, struct op *op, int error);

/* Unlinks and completes all operations of a list that links them by `link`. */
void ops_complete(struct dmtr_runtime *rt, struct list *ops, int error);

/* Makes `len` bytes in a heap block, which the application then owns, the result of a pop. */
static inline void op_set_popped(struct op *op, void *base, uint32_t len) {
    op->sga.sga_buf = base;
    op->sga.sga_numsegs = 1;
    op->sga.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = base, .sgaseg_len = len};
}

/* Releases the popped memory or the accepted queue of a READY operation. */
void op_release_result(struct dmtr_runtime *rt, struct op *op);

#endif
