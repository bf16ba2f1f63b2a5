/* SPDX-License-Identifier: MIT */
/* Grows the array of a FIFO. */
#include "inet/fifo.h"

#include <string.h>

#define FIFO_FIRST 16u

bool fifo_grow(struct fifo *q, size_t size, uint32_t max) {
    if (q->room == max) return false;
    uint32_t room = q->room < FIFO_FIRST ? FIFO_FIRST : q->room * 2;
    struct fifo grown = {.room = room, .first = q->first, .count = q->count};
    if (!(grown.base = sys_calloc(grown.room, size))) return false;
    for (uint32_t i = 0; i < q->count; i++)
        memcpy(fifo_at(&grown, size, q->first + i), fifo_at(q, size, q->first + i), size);
    fifo_free(q);
    *q = grown;
    return true;
}
