/* SPDX-License-Identifier: MIT */
/* How one wait idles: it polls, spins or sleeps by the configured policy until an operation completes. */
#ifndef CORE_IDLE_H
#define CORE_IDLE_H

#include "core/runtime.h"

struct idle {
    struct dmtr_runtime *rt;
    uint64_t timeout_ns;
    uint64_t deadline_ns;   /* absolute; UINT64_MAX: none */
    uint64_t spin_until_ns; /* adaptive policy; 0 before the first step */
    bool polled;            /* at least once */
    bool flushed;           /* the last step flushed */
};

static inline void idle_begin(struct idle *i, struct dmtr_runtime *rt, uint64_t timeout_ns) {
    *i = (struct idle){.rt = rt, .timeout_ns = timeout_ns};
}

/* -EINTR if dmtr_wake was called since the last call of this function; else 0. */
int idle_take_wake(struct dmtr_runtime *rt);

/*
 * One flush of unsent pushes, poll or sleep; call while the wait has no result. 0: check again. -ETIMEDOUT, -EINTR
 * (dmtr_wake), or the error of a failed sleep: check once more, then give up. The caller counts all steps of a wait as
 * one call (rt->calls), so that exit() in a signal handler closes no connection between two of them.
 */
int idle_step(struct idle *i);

/* True when the next idle_step may sleep. */
bool idle_may_sleep(const struct idle *i);

/* The wait has a result: the adaptive policy spins longer next time if spinning found it. */
void idle_end(struct idle *i);

#endif
