/* SPDX-License-Identifier: MIT */
/*
 * A FIFO of small structures in one array. The array doubles when it is full, up to a limit. The owner may embed a
 * place for the first entry (fifo_start): the FIFO then allocates an array only for the second.
 */
#ifndef INET_FIFO_H
#define INET_FIFO_H

#include "base/sys.h"

#include <stdbool.h>
#include <stdint.h>

struct fifo {
    char *base;     /* NULL: no array */
    uint32_t room;  /* a power of two, or 0; 1: base is the owner's place */
    uint32_t first; /* position of the oldest entry; positions count up, and stay valid as long as their entry */
    uint32_t count;
};

/* `place` is as large as an entry, and stays where it is until fifo_free. */
static inline void fifo_start(struct fifo *q, void *place) {
    *q = (struct fifo){.base = place, .room = 1};
}

/* The entry at a position from first to first + count - 1. */
static inline void *fifo_at(const struct fifo *q, size_t size, uint32_t position) {
    return q->base + (position & (q->room - 1)) * size;
}

/* Doubles the array. False: it has max entries, or no memory is left. */
bool fifo_grow(struct fifo *q, size_t size, uint32_t max);

/* Adds an entry, which is not cleared. NULL: it has max entries (a power of two), or no memory is left. */
static inline void *fifo_add(struct fifo *q, size_t size, uint32_t max) {
    if (__builtin_expect(q->count == q->room, 0) && !fifo_grow(q, size, max)) return NULL;
    return fifo_at(q, size, q->first + q->count++);
}

static inline void fifo_drop_first(struct fifo *q) {
    q->first++;
    q->count--;
}

/* Frees the array. The caller frees what the entries refer to. */
static inline void fifo_free(struct fifo *q) {
    if (q->room > 1) sys_free(q->base);
    *q = (struct fifo){.base = NULL};
}

#endif
