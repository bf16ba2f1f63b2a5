/* SPDX-License-Identifier: MIT */
/*
 * The memory that received data of all connections of a stack pins. Data is charged by what it pins, which is the whole
 * block that it lies in, not by its bytes: to its connection, whose limit follows its window, and to the stack
 * (inet.tcp_memory). Out-of-order data is dropped first, because the peer still has it.
 */
#ifndef INET_TCP_MEMORY_H
#define INET_TCP_MEMORY_H

#include "base/list.h"
#include "base/rng.h"
#include "mem/heap.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TCP_CHARGE_RATIO  4u     /* a connection may pin this many times its window ... */
#define TCP_CHARGE_LEAST  65536u /* ... and these bytes */
#define TCP_COLLECT_BYTES 2048u  /* size of a block that small payloads are copied to */

struct tcp_memory {
    uint64_t charged, limit;  /* bytes */
    struct list out_of_order; /* struct tcp_ooo, oldest first */
    uint64_t *counters;       /* [INET_COUNTER_COUNT]: what is dropped is counted there */
    struct rng *rng;          /* priorities of search trees */
};

static inline void memory_init(struct tcp_memory *m, uint64_t limit, uint64_t *counters, struct rng *rng) {
    *m = (struct tcp_memory){.limit = limit, .counters = counters, .rng = rng};
    list_init(&m->out_of_order);
}

/* Bytes of the block that p lies in. */
static inline uint32_t memory_pinned(const void *p) {
    size_t bytes = heap_block_bytes(p);
    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

/*
 * Copies bytes behind the *len bytes at `base`, if base is the start of its block and the block has room. Such a block
 * was made for copies: the payload of a received frame never starts its block.
 */
static inline bool memory_append(uint8_t *base, uint32_t *len, const uint8_t *from, uint32_t bytes) {
    if (heap_block(base) != base || heap_usable_size(base) < *len + bytes) return false;
    memcpy(base + *len, from, bytes);
    *len += bytes;
    return true;
}

/* `own`: what the connection's part has charged. */
static inline void memory_charge(struct tcp_memory *m, uint32_t *own, uint32_t bytes) {
    *own += bytes;
    m->charged += bytes;
}

/* m NULL: the connection is detached, and its charge is not the stack's. */
static inline void memory_uncharge(struct tcp_memory *m, uint32_t *own, uint32_t bytes) {
    assert(bytes <= *own && (!m || bytes <= m->charged));
    *own -= bytes;
    if (m) m->charged -= bytes;
}

/* Three quarters of the memory are charged: windows stop growing, and no more out-of-order data is kept. */
static inline bool memory_is_short(const struct tcp_memory *m, uint32_t more) {
    return m->charged + more > m->limit - m->limit / 4;
}

static inline bool memory_is_full(const struct tcp_memory *m, uint32_t more) {
    return m->charged + more > m->limit;
}

#endif
