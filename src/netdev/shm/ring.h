/* SPDX-License-Identifier: MIT */
/*
 * A ring of frames in memory to which another process may write anything: one producer, one consumer, no lock. Each
 * slot records which side's turn it is. Each side keeps its position in private memory, so the peer cannot corrupt an
 * index. Every other word is read once, then checked.
 */
#ifndef NETDEV_SHM_RING_H
#define NETDEV_SHM_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHM_LINE 64u

struct shm_slot {
    _Atomic uint32_t turn; /* the position that may be written here; that position plus one: it may be read here */
    uint32_t pad;
    _Atomic uint64_t meta; /* flags << 32 | bytes */
    char data[];
};
_Static_assert(sizeof(struct shm_slot) == 16, "both sides agree on it");

/* The header before the slots of a ring. */
struct shm_head {
    _Alignas(SHM_LINE) _Atomic uint32_t sleeping; /* 1: the consumer waits on its socket */
};
_Static_assert(sizeof(struct shm_head) == SHM_LINE, "both sides agree on it");

/* One side's view; private. */
struct shm_ring {
    struct shm_head *head;
    char *slots;
    uint32_t mask, stride; /* stride: bytes from slot to slot */
    uint32_t at;           /* position: the next slot to read, or to publish */
    uint32_t filled;       /* producer: the next slot to fill */
};

static inline uint32_t shm_stride(uint32_t frame_max) {
    return ((uint32_t)sizeof(struct shm_slot) + frame_max + SHM_LINE - 1) & ~(SHM_LINE - 1);
}

static inline uint64_t shm_ring_bytes(uint32_t slots, uint32_t stride) {
    return sizeof(struct shm_head) + (uint64_t)slots * stride;
}

static inline struct shm_slot *shm_slot(const struct shm_ring *r, uint32_t position) {
    return (struct shm_slot *)(void *)(r->slots + (uint64_t)(position & r->mask) * r->stride);
}

static inline void shm_ring_view(struct shm_ring *r, char *base, uint32_t slots, uint32_t stride) {
    *r = (struct shm_ring){(struct shm_head *)(void *)base, base + sizeof(struct shm_head), slots - 1, stride, 0, 0};
}

/* Initialises an empty ring in fresh memory. */
static inline void shm_ring_clear(struct shm_ring *r) {
    for (r->at = 0; r->at <= r->mask; r->at++)
        atomic_init(&shm_slot(r, r->at)->turn, r->at);
    r->at = 0;
}

/* Producer: returns the slot to fill next, or NULL if the ring is full. */
static inline struct shm_slot *shm_ring_next_free(const struct shm_ring *r) {
    struct shm_slot *s = shm_slot(r, r->filled);
    return atomic_load_explicit(&s->turn, memory_order_acquire) == r->filled ? s : NULL;
}

/* Producer: the slot contains data, which shm_ring_publish shows to the consumer. */
static inline void shm_ring_fill(struct shm_ring *r, struct shm_slot *s, uint32_t bytes, uint16_t flags) {
    atomic_store_explicit(&s->meta, (uint64_t)flags << 32 | bytes, memory_order_relaxed);
    r->filled++;
}

/* Producer: publishes the filled slots. */
static inline void shm_ring_publish(struct shm_ring *r) {
    while (r->at != r->filled) {
        struct shm_slot *s = shm_slot(r, r->at++);
        atomic_store_explicit(&s->turn, r->at, memory_order_release);
    }
}

/* Producer, after a burst: whether the consumer sleeps. If so, the caller must wake it. */
static inline bool shm_ring_must_wake(const struct shm_ring *r) {
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&r->head->sleeping, memory_order_relaxed) &&
           atomic_exchange_explicit(&r->head->sleeping, 0, memory_order_relaxed);
}

/* Consumer: returns the slot to read next, or NULL if the ring is empty. */
static inline struct shm_slot *shm_ring_next_full(const struct shm_ring *r) {
    struct shm_slot *s = shm_slot(r, r->at);
    return atomic_load_explicit(&s->turn, memory_order_acquire) == r->at + 1 ? s : NULL;
}

/* Consumer: releases the slot to the producer. */
static inline void shm_ring_release(struct shm_ring *r, struct shm_slot *s) {
    atomic_store_explicit(&s->turn, r->at + r->mask + 1, memory_order_release);
    r->at++;
}

/* Consumer: announces that it is about to sleep. Returns false if the ring is not empty, so that it must not sleep. */
static inline bool shm_ring_sleep(struct shm_ring *r) {
    atomic_store_explicit(&r->head->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    return !shm_ring_next_full(r);
}

static inline void shm_ring_awake(struct shm_ring *r) {
    atomic_store_explicit(&r->head->sleeping, 0, memory_order_relaxed);
}

#endif
