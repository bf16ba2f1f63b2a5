/* SPDX-License-Identifier: MIT */
/* One wait's idling: polling, spinning or sleeping by the configured policy until something is complete. */
#ifndef CORE_IDLE_H
#define CORE_IDLE_H

#include "core/runtime.h"

struct idle {
    struct dmtr_runtime *rt;
    uint64_t timeout_ns;
    uint64_t deadline_ns;   /* absolute; UINT64_MAX: none */
    uint64_t spin_until_ns; /* adaptive policy; 0 before the first step */
    bool polled;            /* at least once */
};

static inline void idle_begin(struct idle *i, struct dmtr_runtime *rt, uint64_t timeout_ns) {
    *i = (struct idle){.rt = rt, .timeout_ns = timeout_ns};
}

/* -EINTR once for each dmtr_wake; else 0. */
int idle_take_wake(struct dmtr_runtime *rt);

/*
 * One step; call while what is waited for is not complete. 0: look again. -ETIMEDOUT, -EINTR (dmtr_wake), or why the
 * kernel would not let it sleep: look once more, then give up.
 */
int idle_step(struct idle *i);

/* True when the next idle_step may sleep. */
bool idle_may_sleep(const struct idle *i);

/* The wait got what it waited for: lets the adaptive policy learn. */
void idle_end(struct idle *i);

#endif
