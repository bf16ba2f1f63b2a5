/* SPDX-License-Identifier: MIT */
/*
 * Thread heap: the slabs that one thread allocates from. A heap outlives its thread: it is parked, with the blocks
 * that are still in use, and the next new thread takes it over whole. Blocks freed into a parked heap are taken back
 * by whoever frees them, so that its memory does not wait for a thread that may never come.
 */
#ifndef MEM_THREAD_HEAP_H
#define MEM_THREAD_HEAP_H

#include "mem/poison.h"
#include "mem/slab.h"

#include <errno.h>

#define GRANULE        16u
#define DIRECT_MAX     4096u
#define KEPT_MAX_BYTES ((size_t)512 << 10) /* empty slabs a heap keeps before it gives units back */

enum thread_heap_state { HEAP_OWNED, HEAP_PARKED, HEAP_TENDED };

struct thread_heap {
    struct slab *direct[DIRECT_MAX / GRANULE + 1]; /* current slab by size in granules, for sizes to DIRECT_MAX */
    struct slab *current[CLASS_COUNT];             /* allocated from; never NULL */
    struct list partial[CLASS_COUNT];              /* others with room */
    size_t kept_bytes;
    struct thread_heap *all_next;                /* every heap there is, under the region's lock */
    _Alignas(64) _Atomic(struct slab *) notices; /* slabs into which others have freed */
    _Atomic(enum thread_heap_state) state;
};

/* This thread's heap; until its first allocation one that has no room and is nobody's. */
extern _Thread_local struct thread_heap *thread_heap;

/* A block of the class, where the current slab has none free. NULL: no memory. */
void *thread_heap_alloc_slow(unsigned cls);

/* Frees a block of another thread's slab, or a large one. Gives 0, for the benefit of block_free. */
int thread_heap_free_foreign(struct slab *s, uint32_t block);

/*
 * Files the slab where it belongs now that blocks of it were freed: partial, kept, or back to the region. Gives 0,
 * likewise.
 */
int thread_heap_settle(struct slab *s);

/* Gives back what this thread keeps for reuse; whether there was any. */
bool thread_heap_trim(void);

/* Takes back what other threads have freed. */
void thread_heap_drain(struct thread_heap *h);

/* Takes the first free block; the slab has one. */
static inline void *slab_pop(struct slab *s) {
    uint32_t block = s->free;
    void *p = slab_at(s, block);
    s->free = s->next[block];
    s->used++;
    slab_mark_allocated(s, block);
    unpoison(p, s->block_bytes);
    return p;
}

/* Frees a block that nobody refers to any more. 0; -EINVAL: it is free already (debug builds). */
static inline int block_free(struct slab *s, uint32_t block) {
    if (!slab_mark_free(s, block)) return -EINVAL;
    poison(slab_at(s, block), s->block_bytes);
    if (__builtin_expect(s->owner != thread_heap, 0)) return thread_heap_free_foreign(s, block);
    uint32_t first = s->free;
    s->next[block] = (uint16_t)first;
    s->free = block;
    s->used--;
    if (__builtin_expect(s->used == 0 || first == BLOCK_NONE, 0)) return thread_heap_settle(s);
    return 0;
}

#endif
