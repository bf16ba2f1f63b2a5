/* Turns: the bounds, looked at. */
#include "core/turn.h"

#include "base/clock.h"

static void grant(struct dmtr_runtime *rt) {
    rt->turn_granted = rt->turn_left = turn_shortcut(rt) ? (int32_t)(rt->turn_look_at - rt->turn_results) : 0;
}

void turn_count(struct dmtr_runtime *rt) {
    rt->turn_results += (uint32_t)(rt->turn_granted - rt->turn_left);
    if (rt->turn_look_at < rt->turn_results) rt->turn_look_at = rt->turn_results;
    grant(rt);
}

bool turn_look(struct dmtr_runtime *rt) {
    turn_count(rt);
    if (rt->turn_results < rt->turn_look_at) return false;
    /* Twice as many results take about twice the time: the clock is read five times in the longest turn. */
    rt->turn_look_at = rt->turn_results * 2;
    grant(rt);
    if (rt->turn_results < TURN_RESULTS && clock_now_ns() - rt->now_ns < TURN_NS) return false;
    runtime_poll(rt);
    return true;
}
