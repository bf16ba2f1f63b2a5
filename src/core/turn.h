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

/* Results are handed out before they are counted; not with an event descriptor, which has to hear of each. */
static inline bool turn_shortcut(const struct dmtr_runtime *rt) {
    return rt->event.epoll_fd < 0;
}

/* A poll, or a sleep that handles what happened, begins a turn. */
static inline void turn_begin(struct dmtr_runtime *rt) {
    rt->turn_results = 0;
    rt->turn_look_at = TURN_LOOK;
    rt->turn_granted = rt->turn_left = turn_shortcut(rt) ? TURN_LOOK : 0;
}

/* Counts what was handed out; also called when turn_shortcut has changed. */
void turn_count(struct dmtr_runtime *rt);

/* False: a wait may hand a result out at once. */
static inline bool turn_is_due(const struct dmtr_runtime *rt) {
    return __builtin_expect(rt->turn_left <= 0, 0);
}

/* Polls if a bound of the turn is reached. True: it did. */
bool turn_look(struct dmtr_runtime *rt);

#endif
