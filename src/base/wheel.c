/* SPDX-License-Identifier: MIT */
/*
 * Hierarchical timer wheel. A timer's level is that of the highest base-64 digit in which its tick differs from the
 * current tick; its slot is that digit. So every timer of a level is due before every timer of the next level, and
 * within a level higher slots are due later: two bit scans find the nearest timer. When time reaches a slot of a higher
 * level, its timers move to lower levels. Cancelling only unlinks the timer; if that empties a slot, the next search
 * for the nearest timer clears the slot's bit.
 */
#include "base/wheel.h"

#include <stddef.h>

#define SLOTS (1u << WHEEL_LEVEL_BITS)

_Static_assert(WHEEL_LEVEL_BITS == 6, "a level is a bitmap of 64 bits");
_Static_assert(WHEEL_LEVELS *WHEEL_LEVEL_BITS + WHEEL_TICK_SHIFT == 64, "the levels cover every deadline");

void wheel_init(struct wheel *w, uint64_t now_ns) {
    w->now_tick = now_ns >> WHEEL_TICK_SHIFT;
    w->count = 0;
    w->next_tick = UINT64_MAX;
    w->exact = true;
    list_init(&w->due);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        w->occupied[level] = 0;
        for (unsigned slot = 0; slot < SLOTS; slot++)
            list_init(&w->slots[level][slot]);
    }
}

void timer_init(struct timer *t) {
    list_init(&t->link);
    t->deadline_ns = 0;
    t->armed = false;
}

/* The first tick that is not before the deadline. A deadline whose rounding overflows gets the last tick. */
static inline uint64_t deadline_tick(uint64_t deadline_ns) {
    uint64_t rounded;
    if (__builtin_add_overflow(deadline_ns, (1u << WHEEL_TICK_SHIFT) - 1, &rounded)) rounded = UINT64_MAX;
    return rounded >> WHEEL_TICK_SHIFT;
}

static inline void wheel_insert(struct wheel *w, struct timer *t) {
    uint64_t tick = deadline_tick(t->deadline_ns);
    struct list *at = &w->due;
    if (tick > w->now_tick) {
        unsigned bit = 63u - (unsigned)__builtin_clzll(tick ^ w->now_tick);
        unsigned level = bit * 43 >> 8; /* bit / 6, exact below 64 */
        unsigned slot = (unsigned)(tick >> (level * WHEEL_LEVEL_BITS)) & (SLOTS - 1);
        uint64_t begins = tick >> (level * WHEEL_LEVEL_BITS) << (level * WHEEL_LEVEL_BITS);
        if (begins < w->next_tick) w->next_tick = begins;
        w->occupied[level] |= 1ull << slot;
        at = &w->slots[level][slot];
    }
    list_push_back(at, &t->link);
}

void wheel_arm(struct wheel *w, struct timer *t, uint64_t deadline_ns) {
    if (t->armed) {
        list_unlink(&t->link);
        w->exact = false;
    } else {
        w->count++;
    }
    t->armed = true;
    t->deadline_ns = deadline_ns;
    wheel_insert(w, t);
}

void wheel_cancel(struct wheel *w, struct timer *t) {
    if (!t->armed) return;
    list_unlink(&t->link);
    t->armed = false;
    w->exact = false;
    w->count--;
}

/*
 * Finds the occupied slot that time reaches first, and the tick at which it does. Returns false if no timer is armed.
 */
static bool wheel_nearest(struct wheel *w, unsigned *level_out, unsigned *slot_out, uint64_t *tick_out) {
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        for (; w->occupied[level]; w->occupied[level] &= w->occupied[level] - 1) {
            unsigned slot = (unsigned)__builtin_ctzll(w->occupied[level]), shift = level * WHEEL_LEVEL_BITS;
            if (list_empty(&w->slots[level][slot])) continue;
            uint64_t above = w->now_tick >> shift >> WHEEL_LEVEL_BITS << WHEEL_LEVEL_BITS;
            *level_out = level;
            *slot_out = slot;
            *tick_out = (above | slot) << shift;
            return true;
        }
    }
    return false;
}

/*
 * Moves time to the next occupied slot, at most to target, and empties the slot. Returns false when target is reached.
 */
static bool wheel_advance(struct wheel *w, uint64_t target) {
    unsigned level, slot;
    uint64_t tick;
    bool found = wheel_nearest(w, &level, &slot, &tick);
    w->next_tick = found ? tick : UINT64_MAX;
    w->exact = !found || tick > target;
    if (!found || tick > target) {
        if (w->now_tick < target) w->now_tick = target;
        return false;
    }
    struct list *from = &w->slots[level][slot], *node;
    w->now_tick = tick;
    w->occupied[level] &= ~(1ull << slot);
    if (level == 0)
        list_splice_back(&w->due, from);
    else
        while ((node = list_pop_front(from)))
            wheel_insert(w, list_entry(node, struct timer, link));
    return true;
}

struct timer *wheel_expire(struct wheel *w, uint64_t now_ns) {
    struct list *node;
    while (!(node = list_pop_front(&w->due)))
        if (!wheel_advance(w, now_ns >> WHEEL_TICK_SHIFT)) return NULL;
    struct timer *t = list_entry(node, struct timer, link);
    t->armed = false;
    w->count--;
    return t;
}

uint64_t wheel_next_ns(struct wheel *w) {
    unsigned level, slot;
    uint64_t tick;
    if (!list_empty(&w->due)) return w->now_tick << WHEEL_TICK_SHIFT;
    if (!w->exact) w->next_tick = wheel_nearest(w, &level, &slot, &tick) ? tick : UINT64_MAX;
    w->exact = true;
    return w->next_tick == UINT64_MAX ? UINT64_MAX : w->next_tick << WHEEL_TICK_SHIFT;
}
