/* SPDX-License-Identifier: MIT */
/* A timer of a runtime: a wheel timer with a handler, which a poll calls. */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "base/wheel.h"

struct dmtr_runtime;

struct runtime_timer {
    struct timer timer;
    void (*fire)(struct dmtr_runtime *rt, struct runtime_timer *t);
};

#endif
