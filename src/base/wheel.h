/* SPDX-License-Identifier: MIT */
/*
 * Hierarchical timer wheel (Varghese & Lauck, SOSP'87): arm, cancel and expire in O(1). Ticks of
 * 2^WHEEL_TICK_SHIFT ns; a timer never fires early and at most one tick late. Time is an argument.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_SHIFT 10 /* 1,024 ns */
#define WHEEL_LEVEL_BITS 6
#define WHEEL_LEVELS     9 /* 10 + 6*9 bits: every deadline has its place */

struct timer {
    struct list link;
    uint64_t deadline_ns;
    bool armed;
};

struct wheel {
    uint64_t now_tick;
    uint64_t occupied[WHEEL_LEVELS]; /* a bit per slot that has timers, or had some that were cancelled */
    struct list slots[WHEEL_LEVELS][1u << WHEEL_LEVEL_BITS];
    struct list due;    /* expired, not yet handed out */
    uint64_t next_tick; /* no slot with timers is reached before */
    bool exact; /* one is reached at that tick, or there are none: no timer has left its slot since it was set */
    uint32_t count;
};

void wheel_init(struct wheel *w, uint64_t now_ns);
void timer_init(struct timer *t);

/* Arms, or moves an armed timer. A deadline in the past fires at the next wheel_expire. */
void wheel_arm(struct wheel *w, struct timer *t, uint64_t deadline_ns);
/* Does nothing to a timer that is not armed. */
void wheel_cancel(struct wheel *w, struct timer *t);

/*
 * Advances to now_ns and hands out one expired timer, disarmed; NULL when there is none left. Call until NULL.
 * Timers may be armed and cancelled between calls. Order is by tick.
 */
struct timer *wheel_expire(struct wheel *w, uint64_t now_ns);

/* Whether wheel_expire has anything to do; where not, it need not be called. */
static inline bool wheel_is_due(const struct wheel *w, uint64_t now_ns) {
    return now_ns >> WHEEL_TICK_SHIFT >= w->next_tick || !list_empty(&w->due);
}

/*
 * When wheel_expire is next worth calling: at most one tick after the nearest deadline, earlier where a far timer
 * first has to move down a level; not after now where a deadline has passed. UINT64_MAX when empty.
 */
uint64_t wheel_next_ns(struct wheel *w);

#endif
