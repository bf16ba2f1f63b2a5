/* SPDX-License-Identifier: MIT */
/* A queue of small structures in one array that doubles when full, up to a bound, and is given back when not needed. */
#ifndef INET_FIFO_H
#define INET_FIFO_H

#include "base/sys.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FIFO_FIRST 16u

struct fifo {
    char *base;     /* NULL: no array */
    uint32_t room;  /* a power of two, or 0 */
    uint32_t first; /* position of the oldest; positions run on and stay valid while an entry lives */
    uint32_t count;
};

/* The entry at a position, first ... first + count - 1. */
static inline void *fifo_at(const struct fifo *q, size_t size, uint32_t position) {
    return q->base + (position & (q->room - 1)) * size;
}

/* Adds an entry, not cleared; NULL: max (a power of two) reached, or no memory. */
static inline void *fifo_add(struct fifo *q, size_t size, uint32_t max) {
    if (q->count == q->room) {
        if (q->room == max) return NULL;
        struct fifo grown = {.room = q->room ? q->room * 2 : FIFO_FIRST, .first = q->first, .count = q->count};
        if (!(grown.base = sys_calloc(grown.room, size))) return NULL;
        for (uint32_t i = 0; i < q->count; i++)
            memcpy(fifo_at(&grown, size, q->first + i), fifo_at(q, size, q->first + i), size);
        sys_free(q->base);
        *q = grown;
    }
    return fifo_at(q, size, q->first + q->count++);
}

static inline void fifo_drop_first(struct fifo *q) {
    q->first++;
    q->count--;
}

/* Gives the array back; what the entries refer to is the caller's. */
static inline void fifo_free(struct fifo *q) {
    sys_free(q->base);
    *q = (struct fifo){.base = NULL};
}

#endif
