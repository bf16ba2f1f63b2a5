/* SPDX-License-Identifier: MIT */
/* Deadlines, the count of timeouts, and keepalive. */
#include "inet/tcp/timers.h"

void timers_init(struct tcp_timers *t, void (*fire)(struct inet *s, struct inet_timer *t), uint64_t now_ns) {
    inet_timer_init(&t->timer, fire);
    for (uint32_t i = 0; i < TCP_TIMER_COUNT; i++)
        timers_clear(t, i);
    t->received_ns = t->progress_ns = now_ns;
}

void timers_suspend(struct tcp_timers *t, struct wheel *w) {
    wheel_cancel(w, &t->timer.timer);
}

void timers_stop(struct tcp_timers *t, struct wheel *w) {
    timers_suspend(t, w);
    for (uint32_t i = 0; i < TCP_TIMER_COUNT; i++)
        timers_clear(t, i);
}

void timers_resume(struct tcp_timers *t, struct wheel *w) {
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < TCP_TIMER_COUNT; i++)
        if (t->deadlines[i] < next) next = t->deadlines[i];
    if (next != UINT64_MAX) wheel_arm(w, &t->timer.timer, next);
}

void timers_user_timeout_changed(struct tcp_timers *t, struct wheel *w) {
    uint64_t last_ns = timers_user_timeout_ns(t);
    if (timers_pending(t, TCP_TIMER_SEND) && last_ns < t->deadlines[TCP_TIMER_SEND])
        timers_set(t, w, TCP_TIMER_SEND, last_ns);
}

void timers_count_try(struct tcp_timers *t) {
    if (t->tries < UINT8_MAX) t->tries++;
    if (t->backoff < TCP_BACKOFF_MAX) t->backoff++;
}

enum tcp_keepalive timers_keepalive(struct tcp_timers *t, uint64_t now_ns, bool in_flight, uint64_t *next_ns) {
    uint64_t due = timers_keepalive_ns(t), interval_ns = t->keep_interval_s * NS_PER_S;
    *next_ns = due > now_ns ? due : now_ns + interval_ns;
    if (due > now_ns || in_flight) return TCP_KEEPALIVE_WAIT;
    if (t->probes >= t->keep_count) return TCP_KEEPALIVE_END;
    t->probes++;
    return TCP_KEEPALIVE_PROBE;
}
