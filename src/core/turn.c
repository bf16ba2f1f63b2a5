/* SPDX-License-Identifier: MIT */
/* Turns: the bounds, looked at. */
#include "core/turn.h"

#include "base/clock.h"

/* Results are handed out before they are counted; not with an event descriptor, which has to hear of each. */
static void grant(struct dmtr_runtime *rt, struct turn *t) {
    t->granted = t->left = rt->event.epoll_fd < 0 ? (int32_t)(t->look_at - t->results) : 0;
}

void turn_init(struct dmtr_runtime *rt) {
    rt->turn_first = (struct turn){.look_at = TURN_LOOK};
    grant(rt, &rt->turn_first);
    turn_begin(rt);
}

bool turn_look(struct dmtr_runtime *rt) {
    struct turn *t = &rt->turn;
    t->results += (uint32_t)(t->granted - t->left);
    bool looks = t->results >= t->look_at;
    /* Twice as many results take about twice the time: the clock is read five times in the longest turn. */
    if (looks) t->look_at = t->results * 2;
    grant(rt, t);
    if (!looks || (t->results < TURN_RESULTS && clock_now_ns() - rt->now_ns < TURN_NS)) return false;
    runtime_poll(rt);
    return true;
}
