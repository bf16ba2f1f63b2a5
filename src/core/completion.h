/* SPDX-License-Identifier: MIT */
/* How operations end: their accounting, the memory they hold, and the list of results. */
#ifndef CORE_COMPLETION_H
#define CORE_COMPLETION_H

#include "core/queue.h"

/* Completes a PENDING operation, which the caller has unlinked. error: 0 or a negative errno. */
void op_complete(struct dmtr_runtime *rt, struct op *op, int error);

/* Unlinks and completes all operations of a list that links them by `link`. */
void ops_complete(struct dmtr_runtime *rt, struct list *ops, int error);

/* Releases the popped memory or the accepted queue of a READY operation. */
void op_release_result(struct dmtr_runtime *rt, struct op *op);

#endif
