/* SPDX-License-Identifier: MIT */
/* Watches and timers: operations that complete when a kernel descriptor is ready or at a time. */
#ifndef CORE_WATCH_H
#define CORE_WATCH_H

#include "core/op.h"

int watch_table_init(struct dmtr_runtime *rt);
void watch_table_fini(struct dmtr_runtime *rt);

/* Begins a watch of fd for poll(2) events. 0, -EINVAL (no events), -EBADF, -EPERM, -ENOMEM, -ENOSPC. */
int watch_begin(struct dmtr_runtime *rt, int fd, uint32_t events, struct op **op_out);

/*
 * Begins a timer that completes ns nanoseconds from now and, if period_ns is not 0, every period_ns after that until it
 * is dropped.
 */
int timer_begin(struct dmtr_runtime *rt, uint64_t ns, uint64_t period_ns, struct op **op_out);

/*
 * Called when a wait returns a timer's result, just after its slot was freed. Returns the number of expiries. A
 * periodic timer reuses its slot and token and waits for its next expiry.
 */
uint64_t timer_returned(struct dmtr_runtime *rt, struct op *op);

/* The number of expiries until now_ns, at least 1, period_ns apart from *due_ns on. Sets *due_ns to the next one. */
uint64_t timer_expiries(uint64_t *due_ns, uint64_t period_ns, uint64_t now_ns);

/*
 * A timer for a layer of the library. When the runtime ends, timer_cancel_internal completes these timers with
 * -ECANCELED, and a new one is refused with -ECANCELED.
 */
int timer_begin_internal(struct dmtr_runtime *rt, uint64_t ns, op_done_fn done, void *ctx);
void timer_cancel_internal(struct dmtr_runtime *rt);

/* Frees a pending watch or timer without a result. */
void watch_cancel(struct dmtr_runtime *rt, struct op *op);

#endif
