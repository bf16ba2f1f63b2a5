/* SPDX-License-Identifier: MIT */
/*
 * Bounded lock-free rings of pointers. spsc: one producer, one consumer, with batches. mpsc: any number of producers,
 * one consumer. A push to a full ring fails; nothing blocks. The producer's and the consumer's fields are on separate
 * cache lines.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_LINE 64

struct spsc {
    /* written by the producer: the push position, and the pop position it last read */
    _Alignas(RING_LINE) _Atomic uint32_t tail;
    uint32_t head_seen;
    /* written by the consumer: the pop position, and the push position it last read */
    _Alignas(RING_LINE) _Atomic uint32_t head;
    uint32_t tail_seen;
    /* never written after spsc_init */
    _Alignas(RING_LINE) uint32_t mask;
    void **slots;
};

struct mpsc_slot {
    _Atomic uint64_t turn; /* the position whose producer may use the slot; that position plus one: its consumer may */
    void *value;
};

struct mpsc {
    _Alignas(RING_LINE) _Atomic uint64_t tail;
    _Alignas(RING_LINE) uint64_t head;
    _Alignas(RING_LINE) uint64_t mask;
    struct mpsc_slot *slots;
};

/* Creates a ring for `capacity` pointers, a power of two up to 2^31. Returns 0, -EINVAL or -ENOMEM. */
int spsc_init(struct spsc *r, uint32_t capacity);
int mpsc_init(struct mpsc *r, uint32_t capacity);
/* Does not free values still in the ring: they belong to the caller. */
void spsc_fini(struct spsc *r);
void mpsc_fini(struct mpsc *r);

/* Producer: pushes as many of the n values as fit, in order. Returns how many. */
static inline uint32_t spsc_push(struct spsc *r, void *const *values, uint32_t n) {
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed), room = r->mask + 1 - (tail - r->head_seen);
    if (room < n) {
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
        room = r->mask + 1 - (tail - r->head_seen);
        if (room < n) n = room;
    }
    for (uint32_t i = 0; i < n; i++)
        r->slots[(tail + i) & r->mask] = values[i];
    atomic_store_explicit(&r->tail, tail + n, memory_order_release);
    return n;
}

/* Consumer: pops up to n values, oldest first. Returns how many. */
static inline uint32_t spsc_pop(struct spsc *r, void **values, uint32_t n) {
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed), available = r->tail_seen - head;
    if (available < n) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        available = r->tail_seen - head;
        if (available < n) n = available;
    }
    for (uint32_t i = 0; i < n; i++)
        values[i] = r->slots[(head + i) & r->mask];
    atomic_store_explicit(&r->head, head + n, memory_order_release);
    return n;
}

/* Consumer: whether the ring is empty. */
static inline bool spsc_is_empty(const struct spsc *r) {
    return atomic_load_explicit(&r->tail, memory_order_acquire) == atomic_load_explicit(&r->head, memory_order_relaxed);
}

/* Any thread: pushes a value. Returns false if the ring is full. */
static inline bool mpsc_push(struct mpsc *r, void *value) {
    uint64_t at = atomic_load_explicit(&r->tail, memory_order_relaxed);
    for (;;) {
        struct mpsc_slot *slot = &r->slots[at & r->mask];
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn < at) return false; /* the value of the previous round is still in the slot */
        if (turn > at) {             /* another producer took this slot */
            at = atomic_load_explicit(&r->tail, memory_order_relaxed);
            continue;
        }
        if (!atomic_compare_exchange_weak_explicit(&r->tail, &at, at + 1, memory_order_relaxed, memory_order_relaxed))
            continue;
        slot->value = value;
        atomic_store_explicit(&slot->turn, at + 1, memory_order_release);
        return true;
    }
}

/* Consumer: pops the oldest value. Returns false if there is none or its producer has not finished. */
static inline bool mpsc_pop(struct mpsc *r, void **value) {
    struct mpsc_slot *slot = &r->slots[r->head & r->mask];
    if (atomic_load_explicit(&slot->turn, memory_order_acquire) != r->head + 1) return false;
    *value = slot->value;
    atomic_store_explicit(&slot->turn, r->head + r->mask + 1, memory_order_release);
    r->head++;
    return true;
}

#endif
