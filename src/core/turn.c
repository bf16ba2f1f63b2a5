/* SPDX-License-Identifier: MIT */
/* Turns: checks the bounds. */
#include "core/turn.h"

#include "base/clock.h"

/* Waits may return `left` results without counting them; none if an event descriptor must be updated for each. */
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
    /* Doubling means that the clock is read at most five times in a turn. */
    if (looks) t->look_at = t->results * 2;
    grant(rt, t);
    if (!looks || (t->results < TURN_RESULTS && clock_now_ns() - rt->now_ns < TURN_NS)) return false;
    runtime_poll(rt);
    return true;
}
