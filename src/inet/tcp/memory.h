/* SPDX-License-Identifier: MIT */
/*
 * Received data is charged by what it pins, which is the whole block that it lies in, not by its bytes: to its
 * connection, whose limit follows its window, and to the stack (inet.tcp_memory). Data out of order is given up first,
 * because the peer still has it.
 */
#ifndef INET_TCP_MEMORY_H
#define INET_TCP_MEMORY_H

#include "inet/tcp/conn.h"

#include <assert.h>

#define TCP_CHARGE_RATIO 4u     /* a connection may pin so many times its window ... */
#define TCP_CHARGE_LEAST 65536u /* ... and this */

/* What a pointer into a block pins. */
static inline uint32_t memory_pinned(const void *p) {
    size_t bytes = heap_block_bytes(p);
    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

#define TCP_COLLECT_BYTES 2048u /* a block that small payloads are copied together into */

/*
 * Copies bytes behind the *len ones that lie at `base`, if these begin a block, which then is ours, because the payload
 * of a received frame never does, and the block has room.
 */
static inline bool memory_append(uint8_t *base, uint32_t *len, const uint8_t *from, uint32_t bytes) {
    if (heap_block(base) != base || heap_usable_size(base) < *len + bytes) return false;
    memcpy(base + *len, from, bytes);
    *len += bytes;
    return true;
}

static inline void memory_charge(struct tcp_conn *c, uint32_t bytes) {
    c->charged += bytes;
    c->stack->tcp_charged += bytes;
}

static inline void memory_uncharge(struct tcp_conn *c, uint32_t bytes) {
    assert(bytes <= c->charged && (!c->stack || bytes <= c->stack->tcp_charged));
    c->charged -= bytes;
    if (c->stack) c->stack->tcp_charged -= bytes; /* NULL: it is on its way to another stack */
}

/* Three quarters of the stack's memory are taken: windows stop growing, and nothing more is kept out of order. */
static inline bool memory_is_short(const struct inet *s, uint32_t more) {
    uint64_t limit = s->config.tcp_memory;
    return s->tcp_charged + more > limit - limit / 4;
}

static inline bool memory_is_full(const struct inet *s, uint32_t more) {
    return s->tcp_charged + more > s->config.tcp_memory;
}

/* Whether the connection may pin so many bytes more for data out of order. */
static inline bool memory_allows(const struct tcp_conn *c, uint32_t more) {
    return (uint64_t)c->charged + more <= (uint64_t)c->receive_limit * TCP_CHARGE_RATIO + TCP_CHARGE_LEAST;
}

#endif
