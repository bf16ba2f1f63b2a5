/*
 * Hierarchical timer wheel. A timer stands in the level of the highest digit (base 64) in which its tick differs
 * from now, in the slot of that digit. So all of a level is nearer than all of the next one, and within a level
 * slots to the right are later: the nearest timer is found by two bit scans. When time reaches a slot of a higher
 * level, its timers are spread over the levels below.
 */
#include "base/wheel.h"

#include <stddef.h>

#define SLOTS    (1u << WHEEL_LEVEL_BITS)
#define MAX_TICK (UINT64_MAX >> WHEEL_TICK_SHIFT)

_Static_assert(WHEEL_LEVEL_BITS == 6, "a level is a bitmap of 64 bits");
_Static_assert(WHEEL_LEVELS *WHEEL_LEVEL_BITS + WHEEL_TICK_SHIFT == 64, "the levels cover every deadline");

void wheel_init(struct wheel *w, uint64_t now_ns) {
    w->now_tick = now_ns >> WHEEL_TICK_SHIFT;
    w->count = 0;
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
    t->slot = 0;
    t->armed = false;
}

/* The first tick that is not before the deadline. */
static inline uint64_t deadline_tick(uint64_t deadline_ns) {
    uint64_t tick = (deadline_ns >> WHEEL_TICK_SHIFT) + ((deadline_ns & ((1u << WHEEL_TICK_SHIFT) - 1)) != 0);
    return tick < MAX_TICK ? tick : MAX_TICK;
}

static inline void wheel_insert(struct wheel *w, struct timer *t) {
    uint64_t tick = deadline_tick(t->deadline_ns);
    if (tick <= w->now_tick) {
        t->slot = 0;
        list_push_back(&w->due, &t->link);
        return;
    }
    unsigned level = (63u - (unsigned)__builtin_clzll(tick ^ w->now_tick)) / WHEEL_LEVEL_BITS;
    unsigned slot = (unsigned)(tick >> (level * WHEEL_LEVEL_BITS)) & (SLOTS - 1);
    t->slot = level * SLOTS + slot;
    w->occupied[level] |= 1ull << slot;
    list_push_back(&w->slots[level][slot], &t->link);
}

/* A due timer's slot names a place it has left or was never in; to clear the bit of an empty slot is no harm. */
static inline void wheel_unlink(struct wheel *w, struct timer *t) {
    unsigned level = t->slot / SLOTS, slot = t->slot % SLOTS;
    list_remove(&t->link);
    if (list_empty(&w->slots[level][slot])) w->occupied[level] &= ~(1ull << slot);
}

void wheel_arm(struct wheel *w, struct timer *t, uint64_t deadline_ns) {
    if (t->armed)
        wheel_unlink(w, t);
    else
        w->count++;
    t->armed = true;
    t->deadline_ns = deadline_ns;
    wheel_insert(w, t);
}

void wheel_cancel(struct wheel *w, struct timer *t) {
    if (!t->armed) return;
    wheel_unlink(w, t);
    t->armed = false;
    w->count--;
}

/* The occupied slot that time reaches first and the tick at which it does; false: no timer waits. */
static bool wheel_nearest(const struct wheel *w, unsigned *level_out, unsigned *slot_out, uint64_t *tick_out) {
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        if (!w->occupied[level]) continue;
        unsigned slot = (unsigned)__builtin_ctzll(w->occupied[level]), shift = level * WHEEL_LEVEL_BITS;
        uint64_t above = w->now_tick >> shift >> WHEEL_LEVEL_BITS << WHEEL_LEVEL_BITS;
        *level_out = level;
        *slot_out = slot;
        *tick_out = (above | slot) << shift;
        return true;
    }
    return false;
}

/* Moves time to the next occupied slot, at most to target, and empties the slot; false: target is reached. */
static bool wheel_advance(struct wheel *w, uint64_t target) {
    unsigned level, slot;
    uint64_t tick;
    if (!wheel_nearest(w, &level, &slot, &tick) || tick > target) {
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

uint64_t wheel_next_ns(const struct wheel *w) {
    unsigned level, slot;
    uint64_t tick;
    if (!list_empty(&w->due)) return w->now_tick << WHEEL_TICK_SHIFT;
    return wheel_nearest(w, &level, &slot, &tick) ? tick << WHEEL_TICK_SHIFT : UINT64_MAX;
}
