/* SPDX-License-Identifier: MIT */
/* Watches: operations that complete when a kernel descriptor is ready, and operations that complete at a time. */
#ifndef CORE_WATCH_H
#define CORE_WATCH_H

#include "core/op.h"

int watch_table_init(struct dmtr_runtime *rt);
void watch_table_fini(struct dmtr_runtime *rt);

/* Begins a watch of fd for poll(2) events. 0, -EINVAL (no events), -EBADF, -EPERM, -ENOMEM, -ENOSPC. */
int watch_begin(struct dmtr_runtime *rt, int fd, uint32_t events, struct op **op_out);

/* Begins a timer that completes ns nanoseconds from now. */
int timer_begin(struct dmtr_runtime *rt, uint64_t ns, struct op **op_out);

/* The same for a layer of the library; ends with -ECANCELED when the runtime does. */
int timer_begin_internal(struct dmtr_runtime *rt, uint64_t ns, op_done_fn done, void *ctx);
void timer_cancel_internal(struct dmtr_runtime *rt);

/* Ends a pending watch or timer without a result. */
void watch_cancel(struct dmtr_runtime *rt, struct op *op);

#endif
