/* SPDX-License-Identifier: MIT */
/* Watches: operations that complete when a kernel descriptor is ready, and operations that complete at a time. */
#ifndef CORE_WATCH_H
#define CORE_WATCH_H

#include "core/op.h"

int watch_table_init(struct dmtr_runtime *rt);
void watch_table_fini(struct dmtr_runtime *rt);

/* Begins a watch of fd for poll(2) events. 0, -EINVAL (no events), -EBADF, -EPERM, -ENOMEM, -ENOSPC. */
int watch_begin(struct dmtr_runtime *rt, int fd, uint32_t events, struct op **op_out);

/*
 * Begins a timer that completes ns nanoseconds from now and, where period_ns is not 0, every period_ns after that until
 * it is dropped.
 */
int timer_begin(struct dmtr_runtime *rt, uint64_t ns, uint64_t period_ns, struct op **op_out);

/*
 * A timer's result is being returned, and its slot was given back just before: how often it has expired. One with a
 * period takes its slot and token again and waits for its next expiry.
 */
uint64_t timer_returned(struct dmtr_runtime *rt, struct op *op);

/* How many expiries, period_ns apart, the first at *due_ns, there were by now_ns, at least 1. *due_ns: the next one. */
uint64_t timer_expiries(uint64_t *due_ns, uint64_t period_ns, uint64_t now_ns);

/*
 * The same for a layer of the library. When the runtime ends, timer_cancel_internal completes these timers with
 * -ECANCELED, and a new one is refused with -ECANCELED.
 */
int timer_begin_internal(struct dmtr_runtime *rt, uint64_t ns, op_done_fn done, void *ctx);
void timer_cancel_internal(struct dmtr_runtime *rt);

/* Ends a pending watch or timer without a result. */
void watch_cancel(struct dmtr_runtime *rt, struct op *op);

#endif
