/* SPDX-License-Identifier: MIT */
/*
 * Thread heap: the slabs that one thread allocates from. A heap outlives its thread: it is parked, with the blocks that
 * are still in use, and the next new thread adopts it whole. A thread that frees a block into a parked heap also drains
 * the heap, so that the memory does not wait for a thread that may never start.
 */
#ifndef MEM_THREAD_HEAP_H
#define MEM_THREAD_HEAP_H

#include "mem/poison.h"
#include "mem/slab.h"

#include <errno.h>

#define GRANULE        16u
#define DIRECT_MAX     4096u
#define KEPT_MAX_BYTES ((size_t)512 << 10) /* empty slabs that a heap keeps before it releases units */

enum thread_heap_state { HEAP_OWNED, HEAP_PARKED, HEAP_DRAINING };

struct thread_heap {
    struct slab *direct[DIRECT_MAX / GRANULE + 1]; /* current slab by size in granules, for sizes up to DIRECT_MAX */
    struct slab *current[CLASS_COUNT];             /* slabs that blocks are allocated from; never NULL */
    struct list partial[CLASS_COUNT];              /* other slabs with room */
    size_t kept_bytes;
    struct thread_heap *all_next;                /* list of all heaps, under the region's lock */
    _Alignas(64) _Atomic(struct slab *) notices; /* slabs into which other threads have freed */
    _Atomic(enum thread_heap_state) state;
};

/* This thread's heap. Until the thread's first allocation, an empty heap that no thread owns. */
extern _Thread_local struct thread_heap *thread_heap;

/* Allocates a block of the class when the current slab has no free one. Returns NULL if there is no memory. */
void *thread_heap_alloc_slow(unsigned cls);

/* Frees a block of another thread's slab, or a large block. Returns 0, so that block_free can tail-call it. */
int thread_heap_free_remote(struct slab *s, uint32_t block);

/*
 * Moves the slab to the list that fits its number of used blocks: partial, kept, or back to the region. Returns 0, so
 * that block_free can tail-call it.
 */
int thread_heap_relink(struct slab *s);

/* Releases the slabs that this thread keeps for reuse. Returns whether there were any. */
bool thread_heap_trim(void);

/* Collects the blocks that other threads have freed into the heap's slabs. */
void thread_heap_drain(struct thread_heap *h);

/* Allocates the first free block; the slab has one. */
static inline void *slab_pop(struct slab *s) {
    uint32_t block = s->free;
    void *p = slab_at(s, block);
    s->free = s->next[block];
    s->used++;
    slab_mark_allocated(s, block);
    unpoison(p, s->block_bytes);
    return p;
}

/* Frees a block without references. Returns 0, or -EINVAL if it is already free (debug builds). */
static inline int block_free(struct slab *s, uint32_t block) {
    if (!slab_mark_free(s, block)) return -EINVAL;
    poison(slab_at(s, block), s->block_bytes);
    if (__builtin_expect(s->owner != thread_heap, 0)) return thread_heap_free_remote(s, block);
    uint32_t first = s->free;
    s->next[block] = (uint16_t)first;
    s->free = block;
    s->used--;
    if (__builtin_expect(s->used == 0 || first == BLOCK_NONE, 0)) return thread_heap_relink(s);
    return 0;
}

#endif
