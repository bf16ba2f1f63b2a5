/* SPDX-License-Identifier: MIT */
/* Turns: checks the bounds, and flushes. */
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

void turn_flush(struct dmtr_runtime *rt, uint64_t now_ns) {
    struct list *l, *tmp;
    rt->unsent.frames = 0;
    rt->unsent.flushed_ns = now_ns;
    list_for_each (&rt->unsent.senders, l, tmp) {
        struct sender *s = list_entry(l, struct sender, link);
        s->flush(s, now_ns);
    }
}

void turn_flush_idle(struct dmtr_runtime *rt) {
    if (!turn_has_unsent(rt)) return;
    turn_flush(rt, clock_now_ns());
    runtime_run_internal(rt);
}
