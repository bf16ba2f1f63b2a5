/* SPDX-License-Identifier: MIT */
/*
 * The timers of a connection: its deadlines, which share one timer of the stack's wheel, what the send timer waits for,
 * how often it expired, and the settings of keepalive and of the user timeout. What happens when a deadline passes is
 * in timeouts.c.
 */
#ifndef INET_TCP_TIMERS_H
#define INET_TCP_TIMERS_H

#include "inet/state.h"
#include "inet/tcp/rtt.h"

#define TCP_ORPHAN_NS    (120 * NS_PER_S) /* an orphan ends if its peer acknowledges nothing new for this time */
#define TCP_FIN_WAIT_2_S 60u              /* default time that an orphan stays in FIN_WAIT_2 */

/* TCP_TIMER_ROOM: the device had no room for a frame, which is offered again. */
enum tcp_deadline { TCP_TIMER_SEND, TCP_TIMER_DELACK, TCP_TIMER_LIFE, TCP_TIMER_TRIM, TCP_TIMER_ROOM, TCP_TIMER_COUNT };

/* What TCP_TIMER_SEND waits for. */
enum tcp_send_timer { TCP_SEND_RTO, TCP_SEND_PROBE, TCP_SEND_REORDER, TCP_SEND_PERSIST };

/* What keepalive does when its deadline has passed. */
enum tcp_keepalive { TCP_KEEPALIVE_WAIT, TCP_KEEPALIVE_PROBE, TCP_KEEPALIVE_END };

struct tcp_timers {
    uint32_t user_timeout_ms; /* RFC 5482; 0: none */
    uint16_t keep_idle_s, keep_interval_s;
    uint8_t keep_count, syn_count, fin_wait_2_s; /* limits: keepalive probes, SYNs sent again, time in FIN_WAIT_2 */
    bool keepalive;
    uint8_t send_timer;      /* enum tcp_send_timer */
    uint8_t backoff;         /* how often the retransmission timeout was doubled */
    uint8_t tries;           /* timeouts since the last segment from the peer */
    uint8_t probes;          /* keepalive probes since the last segment from the peer */
    struct inet_timer timer; /* armed for the earliest deadline, or earlier */
    uint64_t deadlines[TCP_TIMER_COUNT];
    uint64_t progress_ns, received_ns; /* when the peer last acknowledged new data, and when any segment last came */
};

/* No deadline. `fire` is called when the timer expires. */
void timers_init(struct tcp_timers *t, void (*fire)(struct inet *s, struct inet_timer *t), uint64_t now_ns);

/*
 * Sets a deadline; UINT64_MAX: none. The timer is only ever moved forward: a timer that expires early costs less than
 * one that is moved with each segment.
 */
static inline void timers_set(struct tcp_timers *t, struct wheel *w, enum tcp_deadline which, uint64_t at_ns) {
    t->deadlines[which] = at_ns;
    if (at_ns != UINT64_MAX && (!t->timer.timer.armed || at_ns < t->timer.timer.deadline_ns))
        wheel_arm(w, &t->timer.timer, at_ns);
}
static inline void timers_clear(struct tcp_timers *t, enum tcp_deadline which) {
    t->deadlines[which] = UINT64_MAX;
}
static inline bool timers_pending(const struct tcp_timers *t, enum tcp_deadline which) {
    return t->deadlines[which] != UINT64_MAX;
}
/* Whether the deadline has passed; clears it then. */
static inline bool timers_expire(struct tcp_timers *t, enum tcp_deadline which, uint64_t now_ns) {
    if (t->deadlines[which] > now_ns) return false;
    timers_clear(t, which);
    return true;
}

/* Clears all deadlines and takes the timer off the wheel. */
void timers_stop(struct tcp_timers *t, struct wheel *w);
/* Takes the timer off the wheel, and keeps the deadlines for timers_resume. */
void timers_suspend(struct tcp_timers *t, struct wheel *w);
/* Arms the timer for the earliest deadline, if there is one. */
void timers_resume(struct tcp_timers *t, struct wheel *w);

/* When the user timeout ends the connection; UINT64_MAX: there is none. */
static inline uint64_t timers_user_timeout_ns(const struct tcp_timers *t) {
    return t->user_timeout_ms > 0 ? t->progress_ns + t->user_timeout_ms * NS_PER_MS : UINT64_MAX;
}
/* Arms the send timer for the kind, no later than the user timeout. */
static inline void timers_arm_send(struct tcp_timers *t, struct wheel *w, enum tcp_send_timer kind, uint64_t at_ns) {
    uint64_t last_ns = timers_user_timeout_ns(t);
    t->send_timer = (uint8_t)kind;
    timers_set(t, w, TCP_TIMER_SEND, at_ns < last_ns ? at_ns : last_ns);
}
/* The user timeout has changed: a pending send timer must not expire later. */
void timers_user_timeout_changed(struct tcp_timers *t, struct wheel *w);

/* A retransmission or a window probe was sent: the next one waits twice as long. */
void timers_count_try(struct tcp_timers *t);
/* Whether `tries` timeouts have brought no answer. A user timeout replaces this limit. */
static inline bool timers_tried(const struct tcp_timers *t, uint32_t tries) {
    return t->tries >= tries && t->user_timeout_ms == 0;
}

/* When the peer's silence has lasted long enough for the first keepalive probe. */
static inline uint64_t timers_keepalive_ns(const struct tcp_timers *t) {
    return t->received_ns + t->keep_idle_s * NS_PER_S;
}
/*
 * The keepalive deadline has passed: what to do now, and at `next_ns` again. While data is in flight its retransmission
 * takes the place of probes.
 */
enum tcp_keepalive timers_keepalive(struct tcp_timers *t, uint64_t now_ns, bool in_flight, uint64_t *next_ns);

/* When an orphan ends: counted from the last ACK of new data, so that answers to probes alone do not prolong it. */
static inline uint64_t timers_orphan_ns(const struct tcp_timers *t) {
    return t->progress_ns + TCP_ORPHAN_NS;
}
/* How long an orphan stays in FIN_WAIT_2 (TCP_LINGER2). */
static inline uint64_t timers_fin_wait_2_ns(const struct tcp_timers *t) {
    return t->fin_wait_2_s * NS_PER_S;
}

#endif
