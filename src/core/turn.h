/* SPDX-License-Identifier: MIT */
/*
 * Turns. A turn is the time between two polls of the devices. A wait that finds results need not poll, so a program
 * whose operations complete at once could stay in one turn for ever and never receive. The bounds below end a turn: a
 * wait that begins after one of them is reached polls before it checks for results.
 */
#ifndef CORE_TURN_H
#define CORE_TURN_H

#include "core/runtime.h"

#define TURN_RESULTS 256    /* results of all waits since the last poll */
#define TURN_NS      100000 /* time since the last poll */
#define TURN_LOOK    16     /* results before the clock is first read; it is read again when their number has doubled */

/* Begins the first turn; called again when the event descriptor is made. */
void turn_init(struct dmtr_runtime *rt);

/* Begins a turn; called by each poll and sleep. */
static inline void turn_begin(struct dmtr_runtime *rt) {
    rt->turn = rt->turn_first;
}

/* False: a wait may return a result at once. */
static inline bool turn_is_due(const struct dmtr_runtime *rt) {
    return __builtin_expect(rt->turn.left <= 0, 0);
}

/* Polls if a bound of the turn is reached. True: it polled. */
bool turn_look(struct dmtr_runtime *rt);

#endif
