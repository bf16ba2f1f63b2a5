/* SPDX-License-Identifier: MIT */
/*
 * Turns. A turn is what a program does between two polls of the devices. A wait that finds results need not poll, so a
 * program whose operations complete at once could stay in one turn for ever and never receive. The bounds below end it:
 * a wait that begins when one of them is reached polls before it looks for results.
 */
#ifndef CORE_TURN_H
#define CORE_TURN_H

#include "core/runtime.h"

#define TURN_RESULTS 256    /* results since the last poll, of all waits together */
#define TURN_NS      100000 /* time since the last poll */
#define TURN_LOOK    16     /* results before the clock is read first; then each time the turn has doubled */

/* The first turn; and again when the event descriptor was made. */
void turn_init(struct dmtr_runtime *rt);

/* A poll, or a sleep that handles what happened, begins a turn. */
static inline void turn_begin(struct dmtr_runtime *rt) {
    rt->turn = rt->turn_first;
}

/* False: a wait may hand a result out at once. */
static inline bool turn_is_due(const struct dmtr_runtime *rt) {
    return __builtin_expect(rt->turn.left <= 0, 0);
}

/* Polls if a bound of the turn is reached. True: it did. */
bool turn_look(struct dmtr_runtime *rt);

#endif
