/* SPDX-License-Identifier: MIT */
/*
 * Hierarchical timer wheel (Varghese & Lauck, SOSP'87): arm, cancel and expire in O(1). Ticks of 2^WHEEL_TICK_SHIFT ns;
 * a timer never fires early, and fires at most one tick late. Time is an argument.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_SHIFT 10 /* 1,024 ns */
#define WHEEL_LEVEL_BITS 6
#define WHEEL_LEVELS     9 /* 10 + 6*9 bits cover every deadline */

struct timer {
    struct list link;
    uint64_t deadline_ns;
    bool armed;
};

struct wheel {
    uint64_t now_tick;
    uint64_t occupied[WHEEL_LEVELS]; /* a bit per slot that has timers, or whose timers were all cancelled */
    struct list slots[WHEEL_LEVELS][1u << WHEEL_LEVEL_BITS];
    struct list due;    /* expired, not yet returned */
    uint64_t next_tick; /* time reaches no slot with timers before this tick */
    bool exact;         /* next_tick is the exact minimum: no timer has left its slot since it was computed */
    uint32_t count;
};

void wheel_init(struct wheel *w, uint64_t now_ns);
void timer_init(struct timer *t);

/* Arms a timer, or moves an armed timer. A timer with a deadline in the past fires at the next wheel_expire. */
void wheel_arm(struct wheel *w, struct timer *t, uint64_t deadline_ns);
/* Has no effect on a timer that is not armed. */
void wheel_cancel(struct wheel *w, struct timer *t);

/*
 * Advances to now_ns and returns one expired timer, disarmed, or NULL if none is left. Call it until it returns NULL.
 * Timers may be armed and cancelled between calls. Timers expire in the order of their ticks.
 */
struct timer *wheel_expire(struct wheel *w, uint64_t now_ns);

/* Whether a call of wheel_expire would have an effect. */
static inline bool wheel_is_due(const struct wheel *w, uint64_t now_ns) {
    return now_ns >> WHEEL_TICK_SHIFT >= w->next_tick || !list_empty(&w->due);
}

/*
 * The time of the next useful call of wheel_expire: at most one tick after the nearest deadline, earlier if a timer
 * must first move down a level, and not in the future if a deadline has passed. UINT64_MAX if no timer is armed.
 */
uint64_t wheel_next_ns(struct wheel *w);

#endif
