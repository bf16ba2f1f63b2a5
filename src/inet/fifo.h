/* SPDX-License-Identifier: MIT */
/* A FIFO of small structures in one array. The array doubles when it is full, up to a limit. */
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
    uint32_t first; /* position of the oldest entry; positions count up, and stay valid as long as their entry */
    uint32_t count;
};

/* The entry at a position from first to first + count - 1. */
static inline void *fifo_at(const struct fifo *q, size_t size, uint32_t position) {
    return q->base + (position & (q->room - 1)) * size;
}

/* Adds an entry, which is not cleared. NULL: it has max entries (a power of two), or no memory is left. */
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

/* Frees the array. The caller frees what the entries refer to. */
static inline void fifo_free(struct fifo *q) {
    sys_free(q->base);
    *q = (struct fifo){.base = NULL};
}

#endif
