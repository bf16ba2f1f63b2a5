/* SPDX-License-Identifier: MIT */
/* Packs received data into shared blocks of the heap. */
#include "libos/posix/arena.h"

#include "mem/heap.h"

#include <stddef.h>

/* Each piece starts on a cache line of its own. */
#define ARENA_ALIGN 64u

char *arena_room(struct recv_arena *a, uint32_t bytes) {
    if (a->block && ARENA_BLOCK_BYTES - a->used >= bytes) return a->block + a->used;
    arena_fini(a);
    a->block = heap_alloc(ARENA_BLOCK_BYTES);
    return a->block;
}

char *arena_commit(struct recv_arena *a, uint32_t bytes) {
    char *p = a->block + a->used;
    uint32_t step = (bytes + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    if (step >= ARENA_BLOCK_BYTES - a->used) { /* the caller becomes the owner in place of the arena */
        a->block = NULL;
        a->used = 0;
        return p;
    }
    heap_share(a->block);
    a->used += step;
    return p;
}

void arena_fini(struct recv_arena *a) {
    if (a->block) heap_free(a->block);
    a->block = NULL;
    a->used = 0;
}
